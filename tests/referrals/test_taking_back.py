"""What was asked of a performer and is taken back, or answered once it no longer matters: only its referrer decides."""

from collections.abc import Iterator

import pytest

from records import clock
from records.errors import Incorrect
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import answer, appointment, open_kinds, request, take, task_of, the, the_loop
from tests.referrals.region import CLINIC, Region, build
from tests.referrals.test_upheaval_death import ana, confirmed, now, ordered, started
from tests.referrals.ward import MONDAY, hours

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        yield build()


def asked_to_stop(loop: Loop, focus: str = "Task/") -> Handoff:
    return loop.handoffs.select_related("owner", "loop").get(kind="request-cancellation", focus__startswith=focus)


def refuted(here: Region) -> tuple[Loop, Handoff]:
    """A loop that the hospital has begun with, whose patient turned out to live, and what the death had asked there."""
    loop = started(here)
    confirmed(here, hours(3))
    asked = asked_to_stop(loop)
    with clock.at(hours(6)):
        take(ana(deceasedBoolean=False), here.ehr)
    return loop, asked


def test_refuting_a_death_takes_back_what_it_asked_performers_to_cancel(here: Region) -> None:
    loop, asked = refuted(here)
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert asked_to_stop(loop).stage == "overtaken"
    assert task_of(asked)["status"] == "cancelled", "the placer takes its own request back"


def test_a_performer_who_stops_all_the_same_leaves_the_end_to_the_referrer(here: Region) -> None:
    loop, asked = refuted(here)
    with clock.at(hours(8)):
        take(answer(asked, "completed", hours(8)), here.partner)
    assert open_kinds(loop) == ["decide-next-step", "notify-patient"]
    assert the(loop, "fulfil").stage == "cancelled"
    left = now(loop)
    assert (left.closed_at, left.end_reason, left.acknowledged_by, left.told_by) == (None, "", "", "")


def test_a_performer_who_stops_after_it_was_kept_asks_for_another_decision(here: Region) -> None:
    loop, asked = refuted(here)
    workflow.perform(the(loop, "decide-next-step").id, "keep", here.gp)
    with clock.at(hours(8)):
        take(answer(asked, "completed", hours(8)), here.partner)
    assert open_kinds(loop) == ["decide-next-step", "notify-patient"]


def test_a_refusal_that_comes_too_late_is_kept_and_changes_nothing(here: Region) -> None:
    loop, asked = refuted(here)
    with clock.at(hours(8)):
        take(answer(asked, "rejected", hours(8)), here.partner)
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert task_of(asked)["status"] == "rejected"


def test_a_death_is_taken_back_also_where_only_a_decision_is_left(here: Region) -> None:
    loop = started(here)
    confirmed(here, hours(3))
    with clock.at(hours(4)):
        take(answer(the(loop, "fulfil"), "failed", hours(4)), here.partner)
    assert open_kinds(loop) == ["decide-next-step"]
    with clock.at(hours(6)):
        take(ana(deceasedBoolean=False), here.ehr)
    assert open_kinds(loop) == ["decide-next-step"]
    assert (now(loop).told_by, now(loop).end_reason) == ("", "")


def test_a_cancelled_appointment_of_the_dead_ends_nothing_else(here: Region) -> None:
    loop = started(here)
    with clock.at(hours(2)):
        take(appointment("booked", hours(2)), here.partner)
    confirmed(here, hours(3))
    with clock.at(hours(4)):
        take(answer(asked_to_stop(loop, "Appointment/"), "completed", hours(4)), here.partner)
    assert open_kinds(loop) == ["fulfil", "request-cancellation"]
    assert (the(loop, "fulfil").stage, asked_to_stop(loop).stage) == ("scheduled", "cancellation-asked")
    assert now(loop).closed_at is None


def loser_at_work(here: Region) -> tuple[Loop, Handoff, Handoff]:
    """A bidding that the clinic has won and the hospital began with all the same: the winner's part, and what was asked."""
    take(request("sr"), here.ehr)
    loop = the_loop("sr")
    both = ["Organization/hospital", f"Organization/{CLINIC}"]
    workflow.perform(the(loop, "dispatch").id, "send", here.gp, data={"performer": both, "bidding": True})
    offers = {one.owner.organization: one for one in loop.handoffs.select_related("owner").filter(kind="fulfil")}
    workflow.perform(offers[CLINIC].id, "accept", region.client("clinic", CLINIC))
    with clock.at(hours(2)):
        take(answer(offers["hospital"], "in-progress", hours(2)), here.partner)
    return loop, offers[CLINIC], asked_to_stop(loop)


@pytest.mark.parametrize(
    ("said", "stage", "asked_then"),
    [("completed", "cancellation-accepted", []), ("rejected", "cancellation-refused", ["decide-next-step"])],
)
def test_a_loser_who_has_started_keeps_the_loop_open_until_it_answers(
    here: Region, said: str, stage: str, asked_then: list[str]
) -> None:
    loop, won, asked = loser_at_work(here)
    workflow.perform(won.id, "cancel", here.gp, data={"reason": "no-longer-needed"})
    assert open_kinds(loop) == ["notify-patient", "request-cancellation"]
    with clock.at(hours(4)):
        take(answer(asked, said, hours(4)), here.partner)
    assert (asked_to_stop(loop).stage, open_kinds(loop)) == (stage, [*asked_then, "notify-patient"])
    for decision in loop.handoffs.filter(kind="decide-next-step", closed_at=None):
        workflow.perform(decision.id, "close", here.gp, data={"reason": "no-longer-needed"})
    workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    assert (now(loop).stage, now(loop).end_reason) == ("cancelled", "no-longer-needed")


def test_a_loser_who_answers_last_ends_the_loop_for_the_reason_that_it_had(here: Region) -> None:
    loop, won, asked = loser_at_work(here)
    workflow.perform(won.id, "cancel", here.gp, data={"reason": "no-longer-needed"})
    workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    assert open_kinds(loop) == ["request-cancellation"]
    with clock.at(hours(4)):
        take(answer(asked, "completed", hours(4)), here.partner)
    assert (now(loop).stage, now(loop).end_reason, now(loop).told_reason) == ("cancelled", "no-longer-needed", "")


@pytest.mark.parametrize("status", ["received", "accepted", "in-progress", "on-hold"])
def test_a_performer_who_has_the_request_to_stop_has_not_decided_yet(here: Region, status: str) -> None:
    loop = started(here)
    workflow.perform(the(loop, "fulfil").id, "request-cancellation", here.gp, data={"reason": "withdrawn"})
    asked = asked_to_stop(loop)
    for at in (hours(4), hours(5)):
        with clock.at(at):
            take(answer(asked, status, at), here.partner)
    assert (asked_to_stop(loop).stage, task_of(asked)["status"]) == ("cancellation-asked", status)
    assert the(loop, "fulfil").is_open
    with clock.at(hours(6)):
        take(answer(asked, "failed", hours(6)), here.partner)
    assert (asked_to_stop(loop).stage, the(loop, "fulfil").is_open) == ("cancellation-refused", True)


def started_with_a_question(here: Region) -> tuple[Loop, Handoff]:
    """A referral that the hospital has begun with, and that waits there for an answer now."""
    loop = started(here)
    with clock.at(hours(2)):
        workflow.perform(the(loop, "fulfil").id, "ask-information", here.partner, data={"question": "Since when?"})
    return loop, the(loop, "fulfil")


def test_what_was_started_ends_by_its_performers_yes_also_while_it_waits_for_information(here: Region) -> None:
    loop, fulfil = started_with_a_question(here)
    assert (fulfil.stage, fulfil.task_status) == ("awaiting-information", "in-progress")
    offered = {one.action for one in workflow.available(here.gp, fulfil)}
    assert offered & {"cancel", "request-cancellation"} == {"request-cancellation"}
    with pytest.raises(Incorrect, match="ask the performer to cancel first"):
        workflow.perform(fulfil.id, "cancel", here.gp, data={"reason": "withdrawn"})
    workflow.perform(fulfil.id, "request-cancellation", here.gp, data={"reason": "withdrawn"})
    assert open_kinds(loop) == ["fulfil", "provide-information", "request-cancellation"]
    with clock.at(hours(4)):
        take(answer(asked_to_stop(loop), "completed", hours(4)), here.partner)
    assert (the(loop, "fulfil").stage, the(loop, "provide-information").stage) == ("cancelled", "overtaken")
    assert open_kinds(loop) == ["notify-patient"]


def test_a_performer_who_goes_on_still_waits_for_the_answer(here: Region) -> None:
    loop, fulfil = started_with_a_question(here)
    workflow.perform(fulfil.id, "request-cancellation", here.gp, data={"reason": "withdrawn"})
    with clock.at(hours(4)):
        take(answer(asked_to_stop(loop), "rejected", hours(4)), here.partner)
    assert open_kinds(loop) == ["fulfil", "provide-information"]
    with clock.at(hours(5)):
        workflow.perform(the(loop, "provide-information").id, "answer", here.gp, data={"answer": "Since May."})
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("in-progress", ["fulfil"])


def test_a_revoked_request_asks_back_what_was_started_and_waits_for_information(here: Region) -> None:
    loop, _fulfil = started_with_a_question(here)
    with clock.at(hours(3)):
        take(request(status="revoked"), here.ehr)
    assert open_kinds(loop) == ["fulfil", "provide-information", "request-cancellation"]


def test_what_only_a_telephone_call_says_was_started_is_asked_back_as_well(here: Region) -> None:
    loop = ordered(here, "sr")
    told = {"channel": "phone", "spoken_to": "Ms Ray"}
    for action, more in (("start", {}), ("ask-information", {"question": "Since when?"})):
        workflow.perform(the(loop, "fulfil").id, action, here.gp, attested=True, data=told | more)
    offered = {one.action for one in workflow.available(here.gp, the(loop, "fulfil"))}
    assert offered & {"cancel", "request-cancellation"} == {"request-cancellation"}


def test_what_nobody_has_started_is_cancelled_while_it_waits_for_information(here: Region) -> None:
    loop = ordered(here, "sr")
    workflow.perform(the(loop, "fulfil").id, "ask-information", here.partner, data={"question": "Since when?"})
    workflow.perform(the(loop, "fulfil").id, "cancel", here.gp, data={"reason": "withdrawn"})
    assert open_kinds(loop) == ["notify-patient"]
