"""What was entered for a performer, what its own record says against it, and records that speak against themselves."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from records import clock, store
from records.errors import Incorrect
from referrals import workflow, worklists
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import answer, appointment, concept, document, open_kinds, output, sent, take, the
from tests.referrals.region import Region
from tests.referrals.ward import hours

BY_PHONE = {"channel": "phone", "spoken_to": "Ms Ray"}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def told(here: Region, loop: Loop, action: str, at: datetime, **data: Any) -> Handoff:
    with clock.at(at):
        workflow.perform(the(loop, "fulfil").id, action, here.nina, attested=True, data=BY_PHONE | data)
    return the(loop, "fulfil")


def says(here: Region, loop: Loop, status: str, at: datetime, **elements: Any) -> None:
    with clock.at(at):
        take(answer(the(loop, "fulfil"), status, at, **elements), here.partner)


def labels(here: Region, loop: Loop, now: datetime) -> frozenset[str]:
    found = worklists.rows(here.nina, worklists.Filters(scope="organisation"), now=now).rows
    return next(row.labels for row in found if row.handoff_id == the(loop, "fulfil").id)


def business_status(code: str) -> dict[str, Any]:
    return concept(code, system="http://127.0.0.1:8000/CodeSystem/stage")


def test_what_was_told_keeps_its_due_time_and_has_to_be_confirmed_after_a_week(here: Region) -> None:
    loop = sent(here)
    due = the(loop, "fulfil").due_at
    fulfil = told(here, loop, "accept", hours(5))
    assert (fulfil.stage, fulfil.due_at, fulfil.stage_since) == ("awaiting-booking", due, hours(5))
    assert fulfil.reconfirm_at == hours(5) + timedelta(days=7)
    assert "to-confirm" not in labels(here, loop, hours(6))
    assert {"to-confirm", "chase"} <= labels(here, loop, hours(5) + timedelta(days=8))


def test_an_appointment_that_was_told_is_due_after_its_end(here: Region) -> None:
    loop = sent(here)
    booked = told(here, loop, "book", hours(5), slot_end=hours(24 * 18))
    assert booked.due_at == hours(24 * 21), "the Monday after"
    late = hours(24 * 8)
    assert {"to-confirm", "chase"} <= labels(here, loop, late)
    with clock.at(late):
        workflow.perform(booked.id, "reconfirm", here.nina, data=BY_PHONE)
    assert not {"to-confirm", "chase"} & labels(here, loop, late)
    assert the(loop, "fulfil").due_at == booked.due_at


def test_only_what_was_told_is_confirmed_once_more(here: Region) -> None:
    loop = sent(here)
    with pytest.raises(Incorrect, match="nobody has entered it"):
        workflow.perform(the(loop, "fulfil").id, "reconfirm", here.nina, data=BY_PHONE)


def test_the_performers_own_word_that_agrees_is_the_confirmation(here: Region) -> None:
    loop = sent(here)
    told(here, loop, "accept", hours(5))
    says(here, loop, "accepted", hours(9))
    fulfil = the(loop, "fulfil")
    assert (fulfil.stage, fulfil.reconfirm_at, open_kinds(loop)) == ("awaiting-booking", None, ["fulfil"])


def test_the_performers_own_word_that_differs_asks_the_referrer_and_overwrites_nothing(here: Region) -> None:
    loop = sent(here)
    told(here, loop, "seen", hours(5))
    says(here, loop, "received", hours(9))
    fulfil = the(loop, "fulfil")
    assert (fulfil.stage, open_kinds(loop)) == ("seen-awaiting-report", ["decide-next-step", "fulfil"])
    assert store.get("Task", fulfil.id)["status"] == "received"
    says(here, loop, "accepted", hours(10))
    assert open_kinds(loop) == ["decide-next-step", "fulfil"], "asked once"
    workflow.perform(the(loop, "decide-next-step").id, "keep", here.gp)
    assert open_kinds(loop) == ["fulfil"]


def test_an_end_that_was_told_is_questioned_when_the_performer_goes_on(here: Region) -> None:
    loop = sent(here)
    ended = told(here, loop, "decline", hours(5), reason="no-capacity", reason_text="Full")
    workflow.perform(the(loop, "decide-next-step").id, "redirect", here.gp, data={"performer": "Organization/clinic"})
    with clock.at(hours(9)):
        take(answer(ended, "accepted", hours(9)), here.partner)
    assert "decide-next-step" in open_kinds(loop)
    assert Event.objects.filter(loop=loop, action="contradict", handoff=ended).exists()


@pytest.mark.parametrize("status", ["failed", "rejected"])
def test_a_performer_who_says_that_there_is_none_after_its_report_asks_the_referrer(here: Region, status: str) -> None:
    loop = sent(here)
    take(document(hours(0), context={"related": [{"reference": "ServiceRequest/sr"}]}), here.partner)
    says(here, loop, status, hours(1))
    says(here, loop, status, hours(2))
    assert open_kinds(loop) == ["decide-next-step", "review-report"]
    assert the(loop, "fulfil").stage == "report-sent"
    assert store.get("Task", the(loop, "fulfil").id)["status"] == status


def test_after_the_end_it_asks_in_a_new_loop_whose_outcome_stands_until_it_is_decided(here: Region) -> None:
    loop = sent(here)
    with clock.at(hours(1)):
        take(document(hours(1)), here.partner)
    told(here, loop, "report", hours(2), report="DocumentReference/note")
    plan = {"plan": "Continue.", "question_answered": True}
    with clock.at(hours(3)):
        workflow.perform(the(loop, "review-report").id, "acknowledge", here.gp, data=plan)
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    for at in (hours(4), hours(5)):
        says(here, loop, "rejected", at)
    later = Loop.objects.get(based_on=loop)
    assert (open_kinds(loop), open_kinds(later)) == ([], ["decide-next-step"])
    assert store.get("Task", the(loop, "fulfil").id)["status"] == "rejected"
    with clock.at(hours(6)):
        workflow.perform(the(later, "decide-next-step").id, "keep", here.gp)
    assert Loop.objects.get(pk=later.pk).stage == "closed"
    says(here, loop, "rejected", hours(7))
    assert Loop.objects.filter(based_on=loop).count() == 1


def test_a_stage_that_the_status_does_not_allow_is_kept_and_shown_and_the_status_wins(here: Region) -> None:
    loop = sent(here)
    says(here, loop, "accepted", hours(1), businessStatus=business_status("report-sent"))
    fulfil = the(loop, "fulfil")
    assert (fulfil.stage, fulfil.contradiction) == ("awaiting-booking", "report-sent")
    assert "contradictory" in labels(here, loop, hours(2))
    assert store.get("Task", fulfil.id)["businessStatus"] == business_status("report-sent")
    says(here, loop, "in-progress", hours(3), businessStatus=business_status("in-progress"))
    assert "contradictory" not in labels(here, loop, hours(4))


def test_an_outcome_of_what_is_only_requested_is_read_and_completes_nothing(here: Region) -> None:
    loop = sent(here)
    with clock.at(hours(1)):
        take(document(hours(1)), here.partner)
    fulfilled = {"output": output("DocumentReference/note"), "businessStatus": business_status("report-sent")}
    says(here, loop, "requested", hours(2), **fulfilled)
    says(here, loop, "requested", hours(3), **fulfilled, note=[{"text": "again"}])
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["decide-next-step", "fulfil", "review-report"])
    says(here, loop, "completed", hours(4), output=output("DocumentReference/note"))
    assert the(loop, "fulfil").stage == "report-sent"


@pytest.mark.parametrize(("days", "late"), [(28, False), (29, True)])
def test_a_booking_more_than_four_weeks_after_the_order_is_late(here: Region, days: int, late: bool) -> None:
    loop = sent(here)
    with clock.at(hours(1)):
        workflow.perform(the(loop, "fulfil").id, "book", here.partner, data={"slot_end": hours(24 * days)})
    assert ("late-booking" in labels(here, loop, hours(2))) is late
    assert ("attendance-unknown" in labels(here, loop, hours(24 * (days + 5)))) is True


def asked_to_cancel(here: Region) -> tuple[Loop, Handoff]:
    loop = sent(here)
    says(here, loop, "in-progress", hours(1))
    with clock.at(hours(2)):
        workflow.perform(the(loop, "fulfil").id, "request-cancellation", here.gp, data={"reason": "withdrawn"})
    return loop, the(loop, "request-cancellation")


def answered_by_phone(here: Region, action: str, data: dict[str, str]) -> tuple[Loop, Handoff, list[str]]:
    """The loop, the request to cancel that somebody here has entered an answer to, and what was open after that."""
    loop, asked = asked_to_cancel(here)
    with clock.at(hours(3)):
        workflow.perform(asked.id, action, here.nina, attested=True, data=BY_PHONE | data)
    return loop, asked, open_kinds(loop)


REFUSED = {"reason": "other", "reason_text": "The theatre is booked."}


@pytest.mark.parametrize(
    ("action", "data", "status"),
    [("refuse-cancellation", REFUSED, "rejected"), ("accept-cancellation", {}, "completed")],
)
def test_an_answer_to_a_request_to_cancel_that_was_told_and_comes_itself_is_the_same_answer(
    here: Region, action: str, data: dict[str, str], status: str
) -> None:
    loop, asked, before = answered_by_phone(here, action, data)
    with clock.at(hours(4)):
        take(answer(asked, status, hours(4)), here.partner)
    after = Handoff.objects.get(pk=asked.pk)
    assert (open_kinds(loop), after.task_status) == (before, status)


@pytest.mark.parametrize(
    ("action", "data", "status"),
    [("refuse-cancellation", REFUSED, "completed"), ("accept-cancellation", {}, "rejected")],
)
def test_another_answer_to_a_request_to_cancel_than_was_told_asks_the_referrer(
    here: Region, action: str, data: dict[str, str], status: str
) -> None:
    loop, asked, before = answered_by_phone(here, action, data)
    for at in (hours(4), hours(5)):
        with clock.at(at):
            take(answer(asked, status, at), here.partner)
    assert open_kinds(loop) == sorted([*before, "decide-next-step"])
    assert Handoff.objects.get(pk=asked.pk).task_status == status


@pytest.mark.parametrize("behind", [0, 1])
def test_a_visit_that_was_told_and_then_called_off_is_called_off_whatever_the_performers_clock_says(
    here: Region, behind: int
) -> None:
    loop = sent(here)
    with clock.at(hours(2.5)):
        told(here, loop, "book", hours(2.5), slot_end=hours(75).isoformat())
    with clock.at(hours(3)):
        take(appointment("cancelled", hours(3 - behind)), here.partner)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("appointment-cancelled", ["fulfil", "notify-patient"])


def test_a_performers_own_older_word_undoes_nothing_of_its_newer_one(here: Region) -> None:
    loop = sent(here)
    says(here, loop, "in-progress", hours(3))
    with clock.at(hours(4)):
        take(appointment("cancelled", hours(2)), here.partner)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("in-progress", ["fulfil"])
