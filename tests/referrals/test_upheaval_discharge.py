"""A stay in hospital that ends: somebody calls, somebody sees the patient, and no pending result is nobody's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from records import access, clock, store
from records.errors import Incorrect
from records.json import Resource
from referrals import people, workflow
from referrals.models import Event, Handoff, Loop
from referrals.worklists import loop_view
from tests.referrals import region
from tests.referrals.exchange import concept, open_kinds, request, result, take, the, the_loop
from tests.referrals.region import CLINIC, PRACTICE, Region

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEXT_MONDAY = MONDAY + timedelta(days=7)
LAB: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        found = region.build()
        region.person("ward", "practitioner", organization=CLINIC)
        take({**store.get("Patient", "ana"), "generalPractitioner": [{"reference": "Practitioner/gp"}]}, found.ehr)
        store.share("Patient", "ana", [CLINIC])
        yield found


def clinic() -> access.Actor:
    return region.client("clinic", CLINIC)


def stay(status: str = "finished", key: str = "stay", **elements: Any) -> Resource:
    period = {"start": (MONDAY - timedelta(days=3)).isoformat()}
    if status == "finished":
        period["end"] = MONDAY.isoformat()
    return {
        "resourceType": "Encounter",
        "id": key,
        "status": status,
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/ana"},
        "period": period,
        "serviceProvider": {"reference": f"Organization/{CLINIC}"},
        "participant": [{"type": [{"coding": [{"code": "DIS"}]}], "individual": {"reference": "Practitioner/ward"}}],
        **elements,
    }


def visit() -> Loop:
    return Loop.objects.get(kind="follow-up")


@pytest.mark.parametrize(("priority", "within"), [("EM", 7), ("", 7), ("EL", 14)])
def test_a_discharge_opens_a_call_and_a_visit_at_the_patients_practice_once(
    here: Region, priority: str, within: int
) -> None:
    urgency: dict[str, Any] = {"priority": {"coding": [{"code": priority}]}} if priority else {}
    take(stay("in-progress", **urgency), clinic())
    assert not Loop.objects.exists()
    take(stay(**urgency), clinic())
    take(stay(**urgency, length={"value": 3}), clinic())
    loop = visit()
    assert (open_kinds(loop), loop.placer, loop.patient_id) == (["contact-patient", "fulfil"], PRACTICE, "ana")
    assert loop.accountable == here.pool.owner
    assert the(loop, "contact-patient").due_at == MONDAY + timedelta(days=2)
    assert the(loop, "fulfil").due_at == MONDAY + timedelta(days=within)
    asked = store.get("ServiceRequest", loop.request_id or "")
    assert (asked["encounter"]["reference"], asked["requester"]["reference"]) == ("Encounter/stay", "Practitioner/gp")
    assert loop_view(here.gp, loop.id, MONDAY).patient_name == "Ana Ruiz"


def test_the_visit_is_batons_own_request_though_an_ehrs_word_led_to_it(here: Region) -> None:
    take(stay(), replace(clinic(), id="partner:7", kind="partner"))
    workflow.perform(
        the(visit(), "fulfil").id,
        "cancel",
        here.nina,
        data={"reason": "no-longer-needed", "second_person": "Practitioner/gp"},
    )
    assert "propose-change" not in open_kinds(visit()), "there is nobody to whom a change could be proposed"


def test_a_discharge_that_is_heard_of_late_hides_no_days(here: Region) -> None:
    ordered = pending(here)
    with clock.at(MONDAY + timedelta(days=3)):
        take(stay(), clinic())
    called = the(visit(), "contact-patient")
    assert (called.due_at, called.half_due_at) == (MONDAY + timedelta(days=2), MONDAY + timedelta(days=1))
    assert the(ordered, "confirm-handover").due_at == MONDAY + timedelta(days=2)


@pytest.mark.parametrize(
    "elements",
    [
        {"class": {"code": "AMB"}},
        {"period": {"start": "2019-01-01", "end": "2019-01-09"}},
        {"subject": {"display": "?"}},
    ],
)
def test_a_visit_of_a_day_and_the_stays_of_years_ago_open_nothing(here: Region, elements: Any) -> None:
    take(stay(**elements), clinic())
    assert not Loop.objects.exists()


def ordered_on_the_ward(here: Region, key: str = "sr", **elements: Any) -> Loop:
    """A test for somebody who is in hospital, not sent yet."""
    ordering: dict[str, Any] = {
        "requester": {"reference": "Practitioner/ward"},
        "encounter": {"reference": "Encounter/stay"},
    }
    take(request(key, **LAB, **ordering, **elements), clinic())
    return the_loop(key)


def pending(here: Region, **elements: Any) -> Loop:
    """A test that the ward has ordered at the hospital's laboratory."""
    take(stay("in-progress"), clinic())
    loop = ordered_on_the_ward(here, **elements)
    workflow.perform(the(loop, "dispatch").id, "send", clinic())
    return loop


def test_what_is_pending_is_read_by_the_patients_own_doctor_and_handed_over_by_who_discharges(here: Region) -> None:
    loop = pending(here)
    take(stay(), clinic())
    assert open_kinds(loop) == ["confirm-handover", "fulfil"]
    handover = the(loop, "confirm-handover")
    assert (handover.owner.key, handover.due_at) == ("ward", MONDAY + timedelta(days=2))
    with clock.at(MONDAY + timedelta(days=1)):
        workflow.perform(handover.id, "confirm", clinic())
        take(result("final", MONDAY + timedelta(days=1)), here.partner)
    review = the(loop, "review-report")
    assert (review.owner.key, review.list.key) == ("gp", "gp")
    assert [one.action for one in workflow.available(here.gp, review) if one.is_primary] == ["acknowledge"]
    assert loop_view(here.gp, loop.id, MONDAY).patient_name == "Ana Ruiz"
    assert access.visible(here.gp, "DiagnosticReport").get().pk == "result"
    with clock.at(MONDAY + timedelta(days=2)):
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Again", "question_answered": True})
    assert open_kinds(loop) == ["notify-patient"]


def test_a_test_that_has_to_be_collected_again_or_is_not_sent_yet_is_pending_too(here: Region) -> None:
    again = pending(here)
    for action, said in (("collect", {}), ("reject-specimen", {"reason": "specimen-unsatisfactory"})):
        workflow.perform(the(again, "fulfil").id, action, here.partner, data=said)
    unsent = ordered_on_the_ward(here, "unsent")
    take(stay(), clinic())
    assert open_kinds(again) == ["confirm-handover", "decide-next-step", "recollect"]
    assert open_kinds(unsent) == ["confirm-handover", "dispatch"]
    assert {Loop.objects.get(pk=one.pk).responsible.key for one in (again, unsent)} == {"gp"}  # type: ignore[union-attr]


def test_a_handover_that_is_no_longer_needed_ends_with_a_reason_and_the_result_keeps_its_reader(here: Region) -> None:
    loop = pending(here)
    take(stay(), clinic())
    take(stay("in-progress", "again"), clinic())
    with pytest.raises(Incorrect):
        workflow.perform(the(loop, "confirm-handover").id, "waive-handover", clinic())
    workflow.perform(the(loop, "confirm-handover").id, "waive-handover", clinic(), data={"reason": "readmitted"})
    waived = the(loop, "confirm-handover")
    assert (waived.stage, waived.task_status, waived.reason_code) == ("handover-waived", "cancelled", "readmitted")
    assert open_kinds(loop) == ["fulfil"]
    take(result("final", MONDAY), here.partner)
    assert the(loop, "review-report").owner.key == "gp"


def test_who_has_no_doctor_of_their_own_is_called_by_the_house_itself_and_keeps_the_reader(here: Region) -> None:
    body = {name: value for name, value in store.get("Patient", "ana").items() if name != "generalPractitioner"}
    loop = pending(here)
    take(body, here.ehr)
    take(stay(), clinic())
    assert (visit().placer, visit().accountable) == (CLINIC, people.default_pool(CLINIC))
    assert open_kinds(loop) == ["confirm-handover", "fulfil"]
    assert Loop.objects.get(pk=loop.pk).responsible == people.owner_for("person", "ward", organization=CLINIC)


def test_a_readmission_supersedes_the_visit_and_keeps_what_is_pending(here: Region) -> None:
    loop = pending(here)
    take(stay(), clinic())
    with clock.at(MONDAY + timedelta(days=1)):
        again: dict[str, Any] = {"period": {"start": (MONDAY + timedelta(days=1)).isoformat()}}
        take(stay("in-progress", key="again", **again), clinic())
    assert the(visit(), "fulfil").stage == "superseded"
    assert Event.objects.get(loop=visit(), action="supersede").evidence == "Encounter/again"
    assert "contact-patient" not in open_kinds(visit())
    assert open_kinds(loop) == ["confirm-handover", "fulfil"]
    assert Handoff.objects.get(pk=the(loop, "fulfil").pk).stage == "ordered"


def test_what_is_heard_late_of_an_earlier_stay_supersedes_nothing(here: Region) -> None:
    take(stay(), clinic())
    long_ago: dict[str, Any] = {"period": {"start": (MONDAY - timedelta(days=20)).isoformat()}}
    with clock.at(MONDAY + timedelta(hours=3)):
        take(stay("in-progress", key="earlier", **long_ago), clinic())
    assert open_kinds(visit()) == ["contact-patient", "fulfil"]


def test_whoever_is_kept_in_from_the_emergency_room_is_readmitted(here: Region) -> None:
    take(stay(), clinic())
    arrived: dict[str, Any] = {"period": {"start": (MONDAY + timedelta(days=1)).isoformat()}}
    with clock.at(MONDAY + timedelta(days=1)):
        take(stay("in-progress", key="again", **arrived, **{"class": {"code": "EMER"}}), clinic())
    assert the(visit(), "fulfil").stage == "planned"
    with clock.at(MONDAY + timedelta(days=1, hours=6)):
        take(stay("in-progress", key="again", **arrived), clinic())
    assert the(visit(), "fulfil").stage == "superseded"


def test_a_stay_that_is_taken_up_again_under_the_same_number_is_followed_again(here: Region) -> None:
    take(stay(), clinic())
    first = visit()
    with clock.at(MONDAY + timedelta(days=1)):
        take(stay("in-progress"), clinic())
    assert the(first, "fulfil").stage == "superseded"
    end = MONDAY + timedelta(days=2)
    with clock.at(end):
        again: dict[str, Any] = {"period": {"start": (MONDAY - timedelta(days=3)).isoformat(), "end": end.isoformat()}}
        take(stay(**again), clinic())
        take(stay(**again, length={"value": 5}), clinic())
    second = Loop.objects.filter(kind="follow-up").exclude(pk=first.pk).get()
    assert (open_kinds(second), second.ordered_at) == (["contact-patient", "fulfil"], end)
