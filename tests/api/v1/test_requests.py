"""Care requests over v1: composed in plain JSON, listed, read, and seen only by who takes part."""

from typing import Any

import pytest

from records import store
from records.access import SYSTEM
from tests.api.v1.conftest import PERFORMER, PLACER, Caller, Town, patient


def test_a_referral_composed_in_plain_json_is_sent_to_its_performer(town: Town) -> None:
    response = town.placer.post(
        "referrals", {"patient": "p-1", "service": "clinic", "reason": "Chest pain on exertion", "priority": "urgent"}
    )
    assert response.status_code == 201
    loop = response.json()["loop"]
    assert (
        loop["loop"] | {"kind": "referral", "placer": PLACER, "performer": PERFORMER, "priority": "urgent"}
        == loop["loop"]
    )
    assert response["Location"] == f"/api/v1/referrals/{loop['loop']['id']}"
    assert [(one["kind"], one["stage"], one["closed_at"] is None) for one in loop["handoffs"]] == [
        ("fulfil", "sent", True),
        ("dispatch", "dispatched", False),
    ]
    assert [line["action"] for line in loop["journal"]] == ["open", "send"]
    assert store.get("ServiceRequest", loop["loop"]["request"])["subject"] == {"reference": "Patient/p-1"}


def test_advice_alone_is_asked_for(town: Town) -> None:
    request = store.get("ServiceRequest", town.refer(advice=True)["loop"]["request"])
    assert request["category"][-1]["coding"][0]["code"] == "advice"


def test_a_request_that_is_not_sent_waits_on_the_own_list(town: Town) -> None:
    loop = town.refer(send=False)
    assert [(one["kind"], one["list"]["organization"]) for one in loop["handoffs"]] == [("dispatch", PLACER)]


def test_a_follow_up_and_a_test_order_are_composed_alike(town: Town) -> None:
    visit = town.placer.post("follow-ups", {"patient": "p-1", "reason": "Wound check", "window_end": "2099-01-31"})
    order = town.placer.post(
        "test-orders",
        {"patient": "p-1", "test": "Potassium", "loinc": "2823-3", "service": "laboratory", "reason": "Check"},
    )
    assert visit.status_code == order.status_code == 201
    assert {one["kind"] for one in visit.json()["loop"]["handoffs"]} == {"fulfil", "contact-patient"}
    assert order.json()["loop"]["loop"]["performer"] == PERFORMER


def test_a_test_is_ordered_of_a_laboratory_that_exists_or_of_none_yet(town: Town) -> None:
    order = {"patient": "p-1", "test": "Potassium", "reason": "Check"}
    unknown = town.placer.post("test-orders", order | {"service": "no-such-laboratory"})
    assert unknown.status_code == 422
    assert town.placer.post("test-orders", order | {"service": ""}).status_code == 201
    assert [issue["expression"] for issue in unknown.json()["issues"]] == ["ServiceRequest.performer"]
    assert town.placer.post("test-orders", order).status_code == 201


def test_composing_the_same_again_is_possible_and_said(town: Town) -> None:
    town.refer()
    again = town.placer.post("referrals", {"patient": "p-1", "service": "clinic", "reason": "Chest pain"})
    assert "duplicate" in {one["code"] for one in again.json()["advice"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"patient": "nobody"}, "ServiceRequest.subject"),
        ({"patient": None}, "patient"),
        ({"priority": "whenever"}, "priority"),
        ({"needed_by": "soon"}, "needed_by"),
        ({"needed_by": "2001-01-01"}, "ServiceRequest.occurrence"),
        ({"service": "nothing"}, "ServiceRequest.performer"),
        ({"servcie": "clinic"}, "servcie"),
        ({"reason": "x" * 3000}, "reason"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_field_and_nothing_is_kept(
    town: Town, change: dict[str, Any], field: str
) -> None:
    body = {"patient": "p-1", "service": "clinic", "reason": "Chest pain"}
    response = town.placer.post("referrals", body | change)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["category"] == "incorrect"
    assert field in {issue["expression"] for issue in response.json()["issues"]}
    assert town.placer.get("referrals").json()["rows"] == []


def test_both_sides_see_the_loop_and_nobody_else_does(town: Town) -> None:
    loop = town.refer()["loop"]["id"]
    for side in (town.placer, town.performer):
        assert [row["id"] for row in side.get("referrals").json()["rows"]] == [loop]
        assert side.get(f"referrals/{loop}").json()["loop"]["id"] == loop
    assert town.outsider.get("referrals").json() == {"rows": [], "next": None}
    assert town.outsider.get(f"referrals/{loop}").status_code == 404
    assert town.outsider.get(f"referrals/{loop}").content == town.outsider.get("referrals/none-such").content


def test_a_loop_of_one_kind_is_not_found_under_another(town: Town) -> None:
    loop = town.refer()["loop"]["id"]
    assert town.placer.get(f"test-orders/{loop}").status_code == 404
    assert town.placer.get("follow-ups").json()["rows"] == []


def test_nobody_refers_a_patient_whom_they_may_not_see(town: Town) -> None:
    response = town.outsider.post("referrals", {"patient": "p-1", "service": "clinic", "reason": "Chest pain"})
    assert response.status_code == 422
    assert b"Ferreira" not in response.content


def test_lists_are_narrowed_by_direction_state_and_patient(town: Town) -> None:
    store.write(patient("p-2", "Silva"), actor=SYSTEM, audience=[PLACER])
    first, second = town.refer()["loop"]["id"], town.refer(patient="p-2", priority="urgent")["loop"]["id"]

    def ids(who: Caller, **wanted: str) -> set[str]:
        return {row["id"] for row in who.get("referrals", **wanted).json()["rows"]}

    assert ids(town.placer, direction="sent") == ids(town.performer, direction="received") == {first, second}
    assert ids(town.placer, direction="received") == ids(town.placer, state="ended") == set()
    assert ids(town.placer, patient="p-2") == ids(town.placer, priority="urgent", state="open") == {second}
    assert ids(town.placer, stage="waiting-partner") == {first, second}


def test_pages_follow_each_other_without_a_gap_or_a_repetition(town: Town) -> None:
    made = [town.refer()["loop"]["id"] for _number in range(5)]
    first = town.placer.get("referrals", limit=2).json()
    second = town.placer.get("referrals", limit=2, after=first["next"]).json()
    town.refer()  # somebody else works meanwhile
    third = town.placer.get("referrals", limit=2, after=second["next"]).json()
    assert [row["id"] for page in (first, second, third) for row in page["rows"]] == made[::-1]
    assert third["next"] is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"after": "edited"},
        {"after": "W10"},
        {"direction": "sideways"},
        {"colour": "red"},
        {"patient": "x" * 300},
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(town: Town, wanted: dict[str, str]) -> None:
    response = town.placer.get("referrals", **wanted)
    assert response.status_code == 400
    assert response.json()["category"] == "malformed"


def test_a_list_costs_the_same_however_long_it_is(town: Town, django_assert_max_num_queries: Any) -> None:
    for _number in range(6):
        town.refer()
    with django_assert_max_num_queries(2):  # the token, the page
        assert len(town.placer.get("referrals").json()["rows"]) == 6


def test_a_loop_with_its_journal_costs_five_queries(town: Town, django_assert_max_num_queries: Any) -> None:
    loop = town.refer()["loop"]["id"]
    with django_assert_max_num_queries(5):  # the token, the loop, its handoffs, its journal, its patient
        town.placer.get(f"referrals/{loop}")


def test_a_patients_timeline_holds_all_loops_that_one_has_a_part_in(town: Town) -> None:
    referral = town.refer()["loop"]["id"]
    visit = town.placer.post("follow-ups", {"patient": "p-1", "reason": "Wound check", "window_end": "2099-01-31"})
    ours = town.placer.get("patients/p-1/timeline").json()["loops"]
    assert [one["loop"]["id"] for one in ours] == [visit.json()["loop"]["loop"]["id"], referral]
    assert [one["loop"]["id"] for one in town.performer.get("patients/p-1/timeline").json()["loops"]] == [referral]
    assert town.outsider.get("patients/p-1/timeline").status_code == 404


def test_patients_are_found_by_the_search_parameters_of_fhir(town: Town) -> None:
    store.write(patient("p-2", "Иванова", birthDate="1990-05"), actor=SYSTEM, audience=[PLACER])

    def found(**wanted: str) -> list[str]:
        return [row["id"] for row in town.placer.get("patients", **wanted).json()["rows"]]

    assert found(name="иван") == found(birthdate="ge1990") == ["p-2"]
    assert found(family="ferreira,иванова") == ["p-1", "p-2"]
    assert town.outsider.get("patients", name="ferreira").json()["rows"] == []
    first = town.placer.get("patients", limit=1).json()
    assert [row["id"] for row in town.placer.get("patients", after=first["next"]).json()["rows"]] == ["p-2"]
    assert town.placer.get("patients", shoe_size="42").status_code == 400


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_that_no_clock_reaches_is_refused_by_its_field(town: Town, day: str) -> None:
    wanted = {"patient": "p-1", "reason": "Check"}
    for path, body in {
        "referrals": {"service": "clinic", "needed_by": day},
        "follow-ups": {"window_start": day, "window_end": "2099-01-31"},
        "test-orders": {"test": "Potassium", "needed_by": day},
    }.items():
        refused = town.placer.post(path, wanted | body)
        assert refused.status_code == 422, path
        field = next(name for name, value in body.items() if value == day)
        assert [one["expression"] for one in refused.json()["issues"]] == [field]
        assert "Please give a year between 1900 and" in refused.content.decode()
    follow_up = town.placer.post("follow-ups", wanted | {"window_end": day})
    assert [one["expression"] for one in follow_up.json()["issues"]] == ["window_end"]
