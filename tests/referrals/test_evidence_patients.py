"""A resource that turns out to be another patient's: what it led to is taken back, and a person says whose it is."""

from datetime import datetime
from typing import Any

import pytest

from records import clock, store
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import (
    answer,
    appointment,
    concept,
    document,
    encounter,
    open_kinds,
    output,
    request,
    result,
    take,
    the,
    the_loop,
)
from tests.referrals.region import Region
from tests.referrals.ward import hours

LAB: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
BENS: dict[str, Any] = {"subject": {"reference": "Patient/ben"}}
WITH_BEN: dict[str, Any] = {"participant": [{"actor": {"reference": "Patient/ben"}, "status": "accepted"}]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def sent(here: Region, **elements: Any) -> Loop:
    take(request(**elements), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return the_loop()


def arrives(here: Region, resource: Resource) -> None:
    with clock.at(datetime.fromisoformat(resource["meta"]["lastUpdated"])):
        take(resource, here.partner)


def close(here: Region, loop: Loop, at: datetime) -> None:
    with clock.at(at):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Treat.", "question_answered": True})
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def waiting() -> list[str]:
    """What waits for somebody who knows whose it is."""
    open_ones = Handoff.objects.filter(kind="match-evidence", closed_at=None).order_by("loop__about")
    return list(open_ones.values_list("loop__about", flat=True))


@pytest.mark.parametrize("status", ["corrected", "final"])
def test_a_result_that_the_laboratory_finds_to_be_bens_is_withdrawn_from_anas_loop(here: Region, status: str) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    review = the(loop, "review-report")
    arrives(here, result(status, hours(6), **BENS))
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert Handoff.objects.get(pk=review.pk).stage == "voided"
    decide = the(loop, "decide-next-step")
    assert (decide.stage, decide.due_at) == ("right-result", hours(30))
    withdrawn = Event.objects.get(loop=loop, action="withdraw-report")
    assert (withdrawn.reason_code, withdrawn.evidence) == ("wrong-patient", "DiagnosticReport/result")
    assert waiting() == ["DiagnosticReport/result"]
    arrives(here, result("amended", hours(7), conclusion="7.3", **BENS))
    assert (open_kinds(loop), len(waiting())) == (["decide-next-step", "fulfil"], 1)


def test_what_was_bens_after_all_moves_nothing_of_anas_once_her_own_result_is_there(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    arrives(here, result("corrected", hours(6), **BENS))
    arrives(here, result("final", hours(7), key="right"))
    arrives(here, result("amended", hours(8), conclusion="7.3", **BENS))
    review = the(loop, "review-report")
    assert (review.focus, review.stage) == ("DiagnosticReport/right", "to-review")


def test_it_counts_again_when_it_was_anas_after_all(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    arrives(here, result("corrected", hours(6), **BENS))
    arrives(here, result("corrected", hours(7)))
    assert (the(loop, "fulfil").stage, the(loop, "review-report").stage) == ("final", "to-review")


def test_after_the_end_a_new_loop_asks_for_the_right_result_and_the_patient_hears_today(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    close(here, loop, hours(6))
    arrives(here, result("corrected", hours(7), **BENS))
    later = Loop.objects.get(based_on=loop)
    assert open_kinds(later) == ["decide-next-step", "fulfil", "notify-patient"]
    assert (the(later, "notify-patient").stage, waiting()) == ("to-tell-today", ["DiagnosticReport/result"])


def test_a_note_that_only_the_task_named_and_whose_patient_changes_is_withdrawn(here: Region) -> None:
    loop = sent(here)
    for status in ("accepted", "in-progress"):
        arrives(here, answer(the(loop, "fulfil"), status, hours(1)))
    arrives(here, document(hours(2)))
    arrives(here, answer(the(loop, "fulfil"), "completed", hours(3), output=output("DocumentReference/note")))
    arrives(here, document(hours(4), **BENS))
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert waiting() == ["DocumentReference/note"]


def test_a_report_that_somebody_entered_is_withdrawn_as_well(here: Region) -> None:
    loop = sent(here)
    arrives(here, document(hours(1)))
    by_phone = {"channel": "phone", "spoken_to": "Ms Ray", "report": "DocumentReference/note"}
    workflow.perform(the(loop, "fulfil").id, "report", here.nina, attested=True, data=by_phone)
    arrives(here, document(hours(4), context={"related": [{"reference": "ServiceRequest/sr"}]}, **BENS))
    assert (open_kinds(loop), waiting()) == (["decide-next-step", "fulfil"], ["DocumentReference/note"])


def test_an_appointment_with_another_patient_is_no_booking_of_this_one(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    arrives(here, appointment("fulfilled", hours(2), **WITH_BEN))
    assert (the(loop, "fulfil").stage, the(loop, "notify-patient").stage) == ("appointment-cancelled", "to-tell-today")
    assert waiting() == ["Appointment/visit"]
    arrives(here, appointment("booked", hours(3), key="hers"))
    assert the(loop, "fulfil").stage == "scheduled"


def test_a_visit_that_was_another_patients_asks_the_referrer(here: Region) -> None:
    loop = sent(here)
    arrives(here, encounter(hours(1)))
    arrives(here, encounter(hours(2), **BENS))
    assert (open_kinds(loop), waiting()) == (["decide-next-step", "fulfil"], ["Encounter/contact"])


def test_what_a_person_has_matched_stays_until_it_names_somebody_else_again(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5), **BENS))
    with clock.at(hours(6)):
        match = Handoff.objects.get(kind="match-evidence")
        workflow.perform(match.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
    arrives(here, result("corrected", hours(7), conclusion="7.3", **BENS))
    assert (open_kinds(loop), waiting()) == (["review-report"], [])
    arrives(here, result("corrected", hours(8), subject={"reference": "Patient/eve"}))
    assert (open_kinds(loop), waiting()) == (["decide-next-step", "fulfil"], ["DiagnosticReport/result"])


def test_what_was_taken_for_one_patients_while_two_were_merged_is_withdrawn_when_they_are_not(here: Region) -> None:
    loop = sent(here, **LAB)
    ana, link = store.get("Patient", "ana"), [{"other": {"reference": "Patient/ben"}, "type": "replaced-by"}]
    take({**ana, "active": False, "link": link}, here.ehr)
    arrives(here, result("final", hours(5), **BENS))
    assert open_kinds(loop) == ["review-report"]
    with clock.at(hours(6)):
        take({**ana, "active": True}, here.ehr)
    assert (open_kinds(loop), waiting()) == (["decide-next-step", "fulfil"], ["DiagnosticReport/result"])
