"""Composing: patient, service, details, review, send; nothing of a patient in any address, nothing lost on the way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from records import clock, store
from records.access import SYSTEM
from referrals.models import Calendar, Handoff, Loop
from tests.web.conftest import Story
from web.drafts import STEPS, Draft

pytestmark = pytest.mark.django_db


def answer_step(client: Client, kind: str, step: str, typed: dict[str, str], follow: bool = False) -> Any:
    """Post a step as its form does, with the draft it was opened for."""
    draft = client.session.get(f"draft-{kind}", {}).get("id", "")
    return client.post(f"/new/{kind}/{step}/", {"draft": draft} | typed, follow=follow)


def to_review(client: Client, maria: str, cardiology: str, **details: str) -> str:
    client.post("/new/referral/patient/", {"patient": maria})
    answer_step(client, "referral", "service", {"service": cardiology})
    typed = {"reason": "New heart failure?", "priority": "urgent"} | details
    answer = answer_step(client, "referral", "details", typed, follow=True)
    page: str = answer.content.decode()
    return page


def test_a_referral_is_composed_and_sent(as_ana: Client, maria: str, cardiology: str) -> None:
    page = to_review(as_ana, maria, cardiology)
    assert "New heart failure?" in page
    assert "Heart failure clinic · " in page, "and whose it is"
    assert Loop.objects.count() == 0, "nothing is kept before it is sent"

    key = as_ana.session["draft-referral"]["request"]["id"]
    answer = answer_step(as_ana, "referral", "review", {"key": key, "send": "yes"})

    loop = Loop.objects.get()
    assert answer["Location"] == f"/loops/{loop.id}/"
    assert (loop.patient_id, loop.performer, loop.priority) == (maria, "org-clinic", "urgent")
    assert list(Handoff.objects.filter(closed_at=None).values_list("kind", flat=True)) == ["fulfil"]


def test_advice_is_asked_for_by_a_tick(as_ana: Client, maria: str, cardiology: str) -> None:
    to_review(as_ana, maria, cardiology, advice="on")
    key = as_ana.session["draft-referral"]["request"]["id"]
    answer = answer_step(as_ana, "referral", "review", {"key": key, "send": "yes"})
    assert Loop.objects.get().is_advice
    assert "advice alone" in as_ana.get(answer["Location"]).content.decode()


def test_a_double_click_sends_once(as_ana: Client, maria: str, cardiology: str) -> None:
    to_review(as_ana, maria, cardiology)
    key = as_ana.session["draft-referral"]["request"]["id"]

    for _click in range(2):
        answer_step(as_ana, "referral", "review", {"key": key, "send": "yes"})

    assert Loop.objects.count() == 1


def test_a_review_that_is_open_in_two_windows_is_sent_from_either(as_ana: Client, maria: str, cardiology: str) -> None:
    to_review(as_ana, maria, cardiology)
    first = as_ana.session["draft-referral"]
    as_ana.get("/new/referral/review/")

    answer = answer_step(as_ana, "referral", "review", {"key": first["request"]["id"], "send": "yes"})

    assert answer["Location"] == f"/loops/{Loop.objects.get().id}/"
    late = as_ana.post("/new/referral/review/", {"draft": first["id"], "key": first["request"]["id"]}, follow=True)
    assert "This draft was sent or thrown away" in late.content.decode()
    assert Loop.objects.count() == 1


def test_a_review_that_was_changed_in_another_window_is_not_sent_and_says_so(
    as_ana: Client, maria: str, cardiology: str
) -> None:
    to_review(as_ana, maria, cardiology)
    old = as_ana.session["draft-referral"]["request"]["id"]
    answer_step(as_ana, "referral", "details", {"reason": "Changed meanwhile", "priority": "routine"})

    answer = answer_step(as_ana, "referral", "review", {"key": old, "send": "yes"})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "This was changed in another window" in page
    assert "Changed meanwhile" in page
    assert Loop.objects.count() == 0
    answer_step(as_ana, "referral", "review", {"key": as_ana.session["draft-referral"]["request"]["id"]})
    assert Loop.objects.count() == 1


def test_a_patient_is_found_by_name_birth_date_or_number_and_the_address_stays_clean(
    as_ana: Client, maria: str
) -> None:
    for words in ("garcía maría", "1961-04-12", "MRN-4471"):
        answer = as_ana.post("/new/referral/patient/", {"find": words}, follow=True)
        assert [url for url, _status in answer.redirect_chain] == ["/new/referral/patient/"]
        assert "María José García" in answer.content.decode(), words


def test_an_outsider_does_not_find_the_patient(as_olga: Client, maria: str) -> None:
    answer = as_olga.post("/patients/", {"find": "García"}, follow=True)
    assert "Nobody found" in answer.content.decode()

    as_olga.post("/new/referral/patient/", {"patient": maria})
    assert as_olga.session.get("draft-referral", {}).get("patient", "") == ""


def test_the_directory_tells_the_wait(as_ana: Client, maria: str, cardiology: str) -> None:
    as_ana.post("/new/referral/patient/", {"patient": maria})

    page = as_ana.get("/new/referral/service/?q=cardio").content.decode()
    assert "wait: 18 days" in page
    assert "No service found" in as_ana.get("/new/referral/service/?q=zzz").content.decode()


def test_what_was_typed_stays_when_something_is_missing(as_ana: Client, maria: str, cardiology: str) -> None:
    page = to_review(as_ana, maria, cardiology, reason="", note="Please phone first")

    assert 'href="#id_reason"' in page
    assert "Please phone first" in page
    assert "Please phone first" in as_ana.get("/new/referral/details/").content.decode()


def test_today_is_the_readers_day_also_when_it_is_tomorrow_in_greenwich(
    as_ana: Client, hospital: str, maria: str, cardiology: str
) -> None:
    Calendar.objects.create(organization=hospital, time_zone="America/Los_Angeles")
    birthday = store.get("Patient", maria) | {"birthDate": "1961-04-13"}
    store.write(birthday, actor=SYSTEM)
    with clock.at(datetime(2031, 4, 13, 3, 0, tzinfo=UTC)):
        page = to_review(as_ana, maria, cardiology, needed_by="2031-04-12")
        assert "This date has passed." not in page
        assert "69 years" in page, "the patient is 70 tomorrow"
        key = as_ana.session["draft-referral"]["request"]["id"]
        answer_step(as_ana, "referral", "review", {"key": key})
        assert Loop.objects.get().needed_by == datetime(2031, 4, 13, 6, 59, 59, tzinfo=UTC)
        assert "This date has passed." in to_review(as_ana, maria, cardiology, needed_by="2031-04-11")


def test_a_step_whose_forerunners_are_missing_leads_back(as_ana: Client) -> None:
    assert as_ana.get("/new/referral/review/")["Location"] == "/new/referral/patient/"
    assert as_ana.get("/new/nonsense/review/").status_code == 404


def test_a_duplicate_is_warned_of_and_must_be_confirmed(
    as_ana: Client, story: Story, maria: str, cardiology: str
) -> None:
    to_review(as_ana, maria, cardiology)
    answer_step(as_ana, "referral", "review", {"key": as_ana.session["draft-referral"]["request"]["id"]})
    page = to_review(as_ana, maria, cardiology)
    assert "There is an open request for the same service and patient." in page
    key = as_ana.session["draft-referral"]["request"]["id"]

    assert "Tick this box" in answer_step(as_ana, "referral", "review", {"key": key}).content.decode()
    before = Loop.objects.count()
    answer_step(as_ana, "referral", "review", {"key": key, "confirm": "yes"})
    assert Loop.objects.count() == before + 1


def test_a_follow_up_and_a_test_order_are_ordered_the_same_way(as_ana: Client, maria: str) -> None:
    as_ana.post("/new/follow-up/patient/", {"patient": maria})
    window = {
        "reason": "Wound check",
        "window_end": f"{clock.now() + timedelta(days=30):%Y-%m-%d}",
        "priority": "routine",
    }
    assert answer_step(as_ana, "follow-up", "details", window)["Location"] == "/new/follow-up/review/"
    as_ana.get("/new/follow-up/review/")
    answer_step(as_ana, "follow-up", "review", {"key": as_ana.session["draft-follow-up"]["request"]["id"]})

    as_ana.post("/new/test-order/patient/", {"patient": maria})
    answer_step(
        as_ana, "test-order", "details", {"test": "HbA1c", "loinc": "4548-4", "reason": "?", "priority": "routine"}
    )
    answer_step(as_ana, "test-order", "service", {"service": ""})
    as_ana.get("/new/test-order/review/")
    answer_step(as_ana, "test-order", "review", {"key": as_ana.session["draft-test-order"]["request"]["id"]})

    assert sorted(Loop.objects.values_list("kind", flat=True)) == ["follow-up", "test-order"]


def test_starting_from_a_patients_page_knows_the_patient(as_ana: Client, maria: str) -> None:
    answer = as_ana.post("/new/for-patient/", {"kind": "referral", "patient": maria})

    assert answer["Location"] == "/new/referral/service/"
    assert "María José García" in as_ana.get("/new/referral/service/").content.decode()


def test_a_form_of_another_draft_is_refused_and_nothing_of_it_reaches_the_other_patient(
    as_ana: Client, maria: str, cardiology: str, hospital: str
) -> None:
    alexis = {"resourceType": "Patient", "id": "patient-alexis", "name": [{"given": ["Alexis"], "family": "Reed"}]}
    store.write(alexis, actor=SYSTEM, audience=[hospital])
    as_ana.post("/new/for-patient/", {"kind": "referral", "patient": maria})
    answer_step(as_ana, "referral", "service", {"service": cardiology})
    first = as_ana.session["draft-referral"]["id"]
    assert f'name="draft" value="{first}"' in as_ana.get("/new/referral/details/").content.decode()

    as_ana.post("/new/for-patient/", {"kind": "referral", "patient": "patient-alexis"})
    typed = {"draft": first, "reason": "Heart failure of María", "priority": "urgent"}
    chosen = {"service": {"service": cardiology}, "details": {"reason": "Asthma?", "priority": "routine"}}
    for moment in ("service", "details", "review"):
        as_ana.get(f"/new/referral/{moment}/")
        before = dict(as_ana.session["draft-referral"])
        for step in ("service", "details", "review"):
            answer = as_ana.post(f"/new/referral/{step}/", typed | {"service": "another"})
            page = answer.content.decode()
            assert answer.status_code == 409, (moment, step)
            assert "Another draft was begun in another window." in page
            assert "this is the draft for Alexis Reed" in page
            assert "Heart failure of María" not in page
            assert f'method="post" action="/new/referral/{min(moment, step, key=STEPS["referral"].index)}/"' in page
        assert as_ana.session["draft-referral"] == before
        if moment in chosen:
            answer_step(as_ana, "referral", moment, chosen[moment])
    assert Loop.objects.count() == 0


def test_words_about_one_patient_never_reach_another() -> None:
    draft = Draft(kind="referral", patient="first", details={"reason": "Chest pain"})
    draft.choose("first")
    assert draft.details == {"reason": "Chest pain"}
    draft.choose("second")
    assert draft.details == {}
