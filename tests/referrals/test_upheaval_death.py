"""A patient's death reaches all their loops at once; what was not so is taken up again, and nobody writes to the dead."""

from datetime import datetime
from typing import Any

import pytest

from records import clock, store
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from referrals.upheavals import death
from tests.referrals.exchange import (
    answer,
    appointment,
    concept,
    open_kinds,
    request,
    result,
    take,
    task_of,
    the,
    the_loop,
)
from tests.referrals.region import PRACTICE, Region
from tests.referrals.ward import hours

LAB: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
FOLLOW_UP = {"code": concept("390906007"), "performer": [{"reference": f"Organization/{PRACTICE}"}]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def ordered(here: Region, key: str, **elements: Any) -> Loop:
    take(request(key, **elements), here.ehr)
    loop = the_loop(key)
    for waiting in loop.handoffs.filter(kind="dispatch"):
        workflow.perform(waiting.id, "send", here.gp)
    return loop


def started(here: Region, key: str = "sr", **elements: Any) -> Loop:
    """A loop that the hospital has begun with."""
    loop = ordered(here, key, **elements)
    with clock.at(hours(1)):
        take(answer(the(loop, "fulfil"), "accepted", hours(1)), here.partner)
        take(answer(the(loop, "fulfil"), "in-progress", hours(1)), here.partner)
    return loop


def ana(**elements: object) -> Resource:
    said = {name: value for name, value in store.get("Patient", "ana").items() if not name.startswith("deceased")}
    return said | elements


def dies(here: Region, at: datetime) -> Handoff:
    with clock.at(at):
        take(ana(deceasedDateTime="2026-03-02T08:00:00Z"), here.ehr)
    return Handoff.objects.get(kind="confirm-death", closed_at=None)


def confirmed(here: Region, at: datetime) -> Handoff:
    asked = dies(here, at)
    with clock.at(at):
        workflow.perform(asked.id, "confirm", here.nina)
    return asked


def now(loop: Loop) -> Loop:
    return Loop.objects.get(pk=loop.pk)


def test_who_ends_one_loop_since_the_patient_has_died_lets_a_colleague_confirm_it_for_the_others(here: Region) -> None:
    first, other = ordered(here, "first"), ordered(here, "other")
    with clock.at(hours(1)):
        workflow.perform(the(first, "fulfil").id, "cancel", here.gp, data={"reason": "patient-died"})
    assert now(first).closed_at
    asked = Handoff.objects.get(kind="confirm-death")
    assert (asked.loop.about, asked.owner) == ("Patient/ana", here.pool.owner)
    assert death.is_silenced("ana"), "nobody calls about the other one"

    with clock.at(hours(2)):
        workflow.perform(asked.id, "confirm", here.nina)
    assert now(other).end_reason == "patient-died"
    assert Handoff.objects.filter(kind="confirm-death").count() == 1


def test_who_ends_the_only_loop_since_the_patient_has_died_asks_nobody(here: Region) -> None:
    only = ordered(here, "only")
    with clock.at(hours(1)):
        workflow.perform(the(only, "fulfil").id, "cancel", here.gp, data={"reason": "patient-died"})
    assert now(only).closed_at
    assert not Handoff.objects.filter(kind="confirm-death").exists()


def test_a_deceased_flag_asks_a_person_once_and_stops_all_messages(here: Region) -> None:
    loop = ordered(here, "sr")
    assert not death.is_silenced("ana")
    asked = dies(here, hours(1))
    take(ana(deceasedDateTime="2026-03-02T07:00:00Z"), here.ehr)
    assert Handoff.objects.filter(kind="confirm-death").count() == 1
    assert (asked.loop.kind, asked.loop.about, asked.owner) == ("upkeep", "Patient/ana", here.pool.owner)
    assert asked.due_at == hours(25)
    assert death.is_silenced("ana")
    assert open_kinds(loop) == ["fulfil"], "nothing ends before a person has confirmed it"


def test_the_death_of_somebody_without_open_loops_is_nobodys_work(here: Region) -> None:
    take({**store.get("Patient", "ben"), "deceasedBoolean": True}, here.ehr)
    assert not Loop.objects.exists()


def test_once_confirmed_everything_of_ours_ends_in_one_step_per_loop(here: Region) -> None:
    unsent = request("unsent")
    take(unsent, here.ehr)
    loops = [ordered(here, "sent"), ordered(here, "visit", **FOLLOW_UP), the_loop("unsent")]
    before = Event.objects.count()
    asked = confirmed(here, hours(2))
    proof = f"Task/{asked.id}"
    assert [now(loop).stage for loop in loops] == ["cancelled"] * 3
    assert {now(loop).end_reason for loop in loops} == {"patient-died"}
    assert {now(loop).told_reason for loop in loops} == {"patient-died"}
    events = Event.objects.filter(evidence=proof)
    assert sorted(events.values_list("loop", flat=True)) == sorted(loop.id for loop in loops)
    assert {event.actor_display for event in events} == {here.nina.display}
    assert Event.objects.count() == before + 2 + 3, "the question, its answer, and one line in each loop"
    assert not Handoff.objects.filter(closed_at=None).exists()
    assert task_of(the(loops[0], "fulfil"))["status"] == "cancelled", "not started there: the placer may cancel it"


def test_what_a_performer_elsewhere_has_started_is_asked_to_stop_with_its_appointment(here: Region) -> None:
    loop = started(here)
    with clock.at(hours(2)):
        take(appointment("booked", hours(2)), here.partner)
    confirmed(here, hours(3))
    assert open_kinds(loop) == ["fulfil", "request-cancellation", "request-cancellation"]
    asked = loop.handoffs.filter(kind="request-cancellation").order_by("focus")
    assert [one.focus for one in asked] == ["Appointment/visit", f"Task/{the(loop, 'fulfil').id}"]
    assert {(one.reason_code, one.owner) for one in asked} == {("patient-died", the(loop, "fulfil").owner)}
    assert (now(loop).told_reason, now(loop).closed_at) == ("patient-died", None)
    with clock.at(hours(4)):
        take(answer(asked[1], "completed", hours(4)), here.partner)
    assert (now(loop).stage, now(loop).end_reason, open_kinds(loop)) == ("cancelled", "patient-died", [])


def test_a_report_is_still_read_and_the_patient_not_told_of_it(here: Region) -> None:
    loop = ordered(here, "sr", **LAB)
    with clock.at(hours(2)):
        take(result("final", hours(2)), here.partner)
    confirmed(here, hours(3))
    assert open_kinds(loop) == ["review-report"]
    with clock.at(hours(4)):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "None", "question_answered": True})
    assert (now(loop).stage, open_kinds(loop)) == ("cancelled", [])


def test_a_result_that_was_pending_is_read_when_it_comes(here: Region) -> None:
    loop = started(here, **LAB)
    confirmed(here, hours(3))
    with clock.at(hours(5)):
        take(result("final", hours(5)), here.partner)
    assert "review-report" in open_kinds(loop)
    assert now(loop).told_reason == "patient-died"


def test_a_flag_that_is_taken_back_before_the_answer_refutes_it(here: Region) -> None:
    loop = ordered(here, "sr")
    asked = dies(here, hours(1))
    with clock.at(hours(2)):
        take(ana(deceasedBoolean=False), here.ehr)
    assert Handoff.objects.get(pk=asked.pk).stage == "death-refuted"
    assert (death.is_silenced("ana"), open_kinds(loop)) == (False, ["fulfil"])


def test_refuted_later_every_loop_that_it_ended_is_taken_up_by_its_referrer(here: Region) -> None:
    ended, going = ordered(here, "ended"), started(here)
    confirmed(here, hours(3))
    with clock.at(hours(30)):
        take(ana(deceasedBoolean=False), here.ehr)
    later = Loop.objects.get(based_on=ended)
    assert (open_kinds(later), later.patient_id, later.about) == (["decide-next-step"], "ana", "ServiceRequest/ended")
    assert later.ordered_at == ended.ordered_at, "the clock of the order runs on"
    assert now(ended).stage == "cancelled", "a loop never leaves its end"
    assert open_kinds(going) == ["decide-next-step", "fulfil"]
    assert (now(going).told_by, now(going).end_reason) == ("", "")
    with clock.at(hours(31)):
        death.refute("ana", here.nina)
    assert Loop.objects.filter(based_on=ended).count() == 1, "once is enough"
    assert not death.is_silenced("ana")


def test_a_death_that_was_none_asks_once_about_an_order_that_was_read_twice_since(here: Region) -> None:
    loop = ordered(here, "sr", **LAB)
    read = {"plan": "Go on", "question_answered": True}
    with clock.at(hours(2)):
        take(result("final", hours(2)), here.partner)
        workflow.perform(the(loop, "review-report").id, "acknowledge", here.gp, data=read)
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
        take(result("corrected", hours(2), conclusion="Lower"), here.partner)
    confirmed(here, hours(3))
    with clock.at(hours(4)):
        second = Loop.objects.get(based_on=loop)
        workflow.perform(the(second, "review-report").id, "acknowledge", here.gp, data=read)
        take(result("corrected", hours(4), conclusion="Lower still"), here.partner)
    with clock.at(hours(5)):
        death.refute("ana", here.nina)
    deciding = Handoff.objects.get(kind="decide-next-step", closed_at=None)
    assert "review-report" in open_kinds(deciding.loop), "in the loop that is open"


def test_a_death_that_was_none_takes_an_order_up_once_where_all_its_loops_have_ended(here: Region) -> None:
    loop = ordered(here, "sr", **LAB)
    read = {"plan": "Go on", "question_answered": True}
    with clock.at(hours(2)):
        take(result("final", hours(2)), here.partner)
    confirmed(here, hours(3))
    for at in (4, 5):
        with clock.at(hours(at)):
            unread = Handoff.objects.get(kind="review-report", closed_at=None)
            workflow.perform(unread.id, "acknowledge", here.gp, data=read)
            take(result("corrected", hours(at), conclusion=f"Lower by {at}"), here.partner)
    with clock.at(hours(6)):
        unread = Handoff.objects.get(kind="review-report", closed_at=None)
        workflow.perform(unread.id, "acknowledge", here.gp, data=read)
    assert not Loop.objects.filter(about=loop.request_reference, closed_at=None).exists()
    with clock.at(hours(7)):
        death.refute("ana", here.nina)
    assert Handoff.objects.get(kind="decide-next-step", closed_at=None).loop.based_on_id
