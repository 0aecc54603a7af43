"""A performer that goes on with what has ended here: somebody is always asked, whoever ended it and whatever it says."""

from collections.abc import Callable
from datetime import datetime

import pytest

from records import clock, store
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from referrals.upheavals import death
from tests.referrals import region
from tests.referrals.exchange import (
    answer,
    appointment,
    document,
    encounter,
    open_kinds,
    output,
    request,
    sent,
    take,
    the,
    the_loop,
)
from tests.referrals.region import CLINIC, Region
from tests.referrals.ward import hours

NO = {"reason": "no-capacity", "reason_text": "Full."}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def says(here: Region, fulfil: Handoff, status: str, at: datetime) -> None:
    with clock.at(at):
        take(answer(fulfil, status, at), here.partner)


def everything(loop: Loop) -> list[str]:
    """What is open in the loop and in those that follow it, without what the patient is to be told."""
    found = Handoff.objects.filter(loop__in=[loop, *Loop.objects.filter(based_on=loop)], closed_at=None)
    return sorted(found.exclude(kind="notify-patient").values_list("kind", flat=True))


def told(here: Region, loop: Loop) -> None:
    for telling in loop.handoffs.filter(kind="notify-patient", closed_at=None):
        workflow.perform(telling.id, "tell", here.nina, data={"channel": "phone"})


def redirect(here: Region, loop: Loop, to: str = "clinic") -> None:
    data = {"performer": f"Organization/{to}"}
    workflow.perform(the(loop, "decide-next-step").id, "redirect", here.gp, data=data)


def close(here: Region, loop: Loop) -> None:
    workflow.perform(the(loop, "decide-next-step").id, "close", here.gp, data={"reason": "withdrawn"})
    told(here, loop)


def cancelled(here: Region, loop: Loop) -> None:
    workflow.perform(the(loop, "fulfil").id, "cancel", here.gp, data={"reason": "withdrawn"})


def cancelled_and_told(here: Region, loop: Loop) -> None:
    cancelled(here, loop)
    told(here, loop)


def redirected_away_from(here: Region, loop: Loop) -> None:
    workflow.perform(the(loop, "fulfil").id, "hold", here.gp)
    redirect(here, loop)


def closed_over(here: Region, loop: Loop) -> None:
    workflow.perform(the(loop, "fulfil").id, "hold", here.gp)
    close(here, loop)


def died(here: Region, _loop: Loop) -> None:
    asked = death.report("ana", here.partner)
    assert asked is not None
    workflow.perform(asked.handoffs.get().id, "confirm", here.nina)


def rejected_and_redirected(here: Region, loop: Loop) -> None:
    says(here, the(loop, "fulfil"), "rejected", hours(1))
    redirect(here, loop)


def rejected_and_closed(here: Region, loop: Loop) -> None:
    says(here, the(loop, "fulfil"), "rejected", hours(1))
    close(here, loop)


def failed_and_closed(here: Region, loop: Loop) -> None:
    says(here, the(loop, "fulfil"), "failed", hours(1))
    close(here, loop)


def called_off_and_redirected(here: Region, loop: Loop) -> None:
    says(here, the(loop, "fulfil"), "cancelled", hours(1))
    redirect(here, loop)


def entered_in_error(here: Region, loop: Loop) -> None:
    data = {"reason": "entered-in-error", "second_person": "Practitioner/nina"}
    workflow.perform(the(loop, "fulfil").id, "enter-in-error", here.gp, data=data)


ENDS = (
    *(cancelled, cancelled_and_told, redirected_away_from, closed_over, died, rejected_and_redirected),
    *(rejected_and_closed, failed_and_closed, called_off_and_redirected, entered_in_error),
)


@pytest.mark.parametrize("status", ["accepted", "in-progress", "completed"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_whoever_goes_on_after_any_end_is_asked_to_stop_or_the_referrer_decides(
    here: Region, end: Callable[[Region, Loop], None], status: str
) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    end(here, loop)
    before = everything(loop)
    says(here, first, status, hours(5))
    wanted = "decide-next-step" if status == "completed" else "request-cancellation"
    assert everything(loop) == sorted([*before, wanted])
    asked = Handoff.objects.get(kind=wanted, closed_at=None)
    assert wanted == "decide-next-step" or (asked.owner.organization, asked.focus) == ("hospital", f"Task/{first.id}")
    assert store.get("Task", first.id)["status"] == status
    says(here, first, status, hours(6))
    assert everything(loop) == sorted([*before, wanted]), "asked once"


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_its_own_end_is_its_answer_and_everything_is_as_it_was(
    here: Region, end: Callable[[Region, Loop], None]
) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    end(here, loop)
    before = everything(loop)
    says(here, first, "accepted", hours(5))
    says(here, first, "cancelled", hours(6))
    assert everything(loop) == before
    for one in Loop.objects.filter(based_on=loop):
        told(here, one)
        assert Loop.objects.get(pk=one.pk).closed_at is not None


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_when_it_refuses_to_stop_the_referrer_decides(here: Region, end: Callable[[Region, Loop], None]) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    end(here, loop)
    before = everything(loop)
    says(here, first, "in-progress", hours(5))
    says(here, Handoff.objects.get(kind="request-cancellation"), "rejected", hours(6))
    assert everything(loop) == sorted([*before, "decide-next-step"])


@pytest.mark.parametrize(
    ("decide", "wanted"), [(redirect, ["fulfil", "request-cancellation"]), (close, ["request-cancellation"])]
)
def test_who_comes_back_while_the_referrer_decides_is_asked_to_stop_by_the_decision(
    here: Region, decide: Callable[[Region, Loop], None], wanted: list[str]
) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    says(here, first, "rejected", hours(1))
    says(here, first, "accepted", hours(2))
    assert everything(loop) == ["decide-next-step"], "it is to be decided anyway"
    assert Event.objects.filter(loop=loop, handoff=first, action="start-anyway").exists()
    decide(here, loop)
    assert everything(loop) == wanted
    says(here, first, "cancelled", hours(3))
    told(here, loop)
    assert everything(loop) == [one for one in wanted if one == "fulfil"]


def test_who_comes_back_and_is_chosen_is_not_asked_to_stop(here: Region) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    says(here, first, "rejected", hours(1))
    says(here, first, "accepted", hours(2))
    redirect(here, loop, to="hospital")
    assert everything(loop) == ["fulfil"]


def test_a_visit_that_is_booked_after_the_end_is_called_off(here: Region) -> None:
    loop = sent(here)
    cancelled_and_told(here, loop)
    with clock.at(hours(5)):
        take(appointment("booked", hours(5)), here.partner)
        take(appointment("booked", hours(5)), here.partner)
    assert everything(loop) == ["request-cancellation"]


def test_a_visit_that_a_house_of_ours_books_after_the_end_is_called_off(here: Region) -> None:
    take(request(performer=[{"reference": f"Organization/{CLINIC}"}]), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    loop, clinic = the_loop(), region.client("clinic", CLINIC)
    cancelled_and_told(here, loop)
    for resource in (appointment("booked", hours(5)), encounter(hours(6))):
        with clock.at(hours(7)):
            take(resource, clinic)
    assert everything(loop) == ["decide-next-step", "request-cancellation"]


def test_a_visit_that_took_place_after_the_end_is_decided_about_once(here: Region) -> None:
    loop = sent(here)
    rejected_and_redirected(here, loop)
    for at in (hours(5), hours(7)):
        with clock.at(at):
            take(encounter(at), here.partner)
    assert everything(loop) == ["decide-next-step", "fulfil"]
    workflow.perform(the(loop, "decide-next-step").id, "keep", here.gp)
    with clock.at(hours(9)):
        take(encounter(hours(9)), here.partner)
    assert everything(loop) == ["fulfil"]


def test_a_task_that_was_completed_and_goes_on_is_a_contradiction(here: Region) -> None:
    loop = sent(here)
    first = the(loop, "fulfil")
    with clock.at(hours(1)):
        take(document(hours(1)), here.partner)
    with clock.at(hours(2)):
        take(answer(first, "completed", hours(2), output=output("DocumentReference/note")), here.partner)
    says(here, first, "in-progress", hours(3))
    assert everything(loop) == ["decide-next-step", "review-report"]
    assert open_kinds(loop) == everything(loop)


def booked(here: Region) -> tuple[Loop, Handoff]:
    """A visit stands in the hospital's calendar, whose Task still says accepted."""
    loop = sent(here)
    says(here, the(loop, "fulfil"), "accepted", hours(1))
    with clock.at(hours(2)):
        take(appointment("booked", hours(2)), here.partner)
    fulfil = the(loop, "fulfil")
    assert (fulfil.stage, fulfil.task_status) == ("scheduled", "accepted")
    return loop, fulfil


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        (redirected_away_from, ["fulfil", "fulfil", "request-cancellation"]),
        (closed_over, ["fulfil", "request-cancellation"]),
        (died, ["fulfil", "request-cancellation", "request-cancellation"]),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_visit_booked_at_a_performer_is_called_off_whatever_its_task_says(
    here: Region, end: Callable[[Region, Loop], None], wanted: list[str]
) -> None:
    loop, fulfil = booked(here)
    end(here, loop)
    assert everything(loop) == wanted
    with clock.at(hours(5)):
        take(answer(fulfil, "cancelled", hours(5)), here.partner)
    assert Handoff.objects.get(pk=fulfil.pk).stage == "cancelled"


def ended_and_booked(here: Region, status: str = "rejected") -> tuple[Loop, Handoff]:
    """Its performer has ended it, and books a visit all the same; its Task says nothing new."""
    loop = sent(here)
    first = the(loop, "fulfil")
    says(here, first, status, hours(1))
    books(here, hours(2))
    assert everything(loop) == ["decide-next-step"], "it is to be decided anyway"
    return loop, first


def books(here: Region, at: datetime, status: str = "booked", **elements: str) -> None:
    with clock.at(at):
        take(appointment(status, at, **elements), here.partner)


def revoked(here: Region, _loop: Loop) -> None:
    take({**store.get("ServiceRequest", "sr"), "status": "revoked"}, here.ehr)


@pytest.mark.parametrize("status", ["rejected", "failed"])
@pytest.mark.parametrize("end", [redirect, close, revoked, died], ids=lambda end: end.__name__)
def test_a_visit_booked_after_its_performers_own_end_is_called_off_by_what_is_decided(
    here: Region, end: Callable[[Region, Loop], None], status: str
) -> None:
    loop, first = ended_and_booked(here, status)
    with clock.at(hours(3)):
        end(here, loop)
    assert everything(loop) == (["fulfil"] if end is redirect else []) + ["request-cancellation"]
    asked = Handoff.objects.get(kind="request-cancellation")
    assert (asked.owner.organization, asked.focus) == ("hospital", f"Task/{first.id}")
    assert Loop.objects.get(pk=loop.pk).closed_at is None


def test_a_visit_that_is_cancelled_before_the_decision_leaves_nothing_to_call_off(here: Region) -> None:
    loop, _first = ended_and_booked(here)
    books(here, hours(2.5), "cancelled")
    close(here, loop)
    assert everything(loop) == []


def test_an_end_that_is_said_once_more_after_the_visit_is_the_answer(here: Region) -> None:
    loop, first = ended_and_booked(here)
    says(here, first, "failed", hours(2.5))
    close(here, loop)
    assert everything(loop) == []


def test_a_visit_that_is_moved_after_it_was_called_off_is_called_off_again(here: Region) -> None:
    loop, _first = ended_and_booked(here)
    close(here, loop)
    says(here, Handoff.objects.get(kind="request-cancellation"), "completed", hours(4))
    books(here, hours(5), start=hours(74).isoformat(), end=hours(74.5).isoformat())
    assert everything(loop) == [], "the same once more is no news"
    books(here, hours(6), start=hours(300).isoformat(), end=hours(301).isoformat())
    assert everything(loop) == ["request-cancellation"]


def test_a_death_that_was_none_takes_back_that_the_visit_is_called_off(here: Region) -> None:
    loop, _first = ended_and_booked(here)
    with clock.at(hours(3)):
        died(here, loop)
    with clock.at(hours(4)):
        death.refute("ana", here.nina)
    assert everything(loop) == ["decide-next-step"]
