"""A panel: one order, several reports. What one of them says of itself is never taken for the word of another."""

from typing import Any

import pytest

from records import clock
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.referrals.exchange import concept, request, result, take, the, the_loop
from tests.referrals.region import Region
from tests.referrals.ward import hours

PANEL: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def loop(here: Region) -> Loop:
    """A panel that was ordered for Ana and sent to the hospital."""
    take(request(**PANEL), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return the_loop()


def says(here: Region, hour: int, *states: str) -> None:
    """What the laboratory says of its reports, one an hour: ``r1 final``."""
    for number, each in enumerate(states, hour):
        key, state = each.split()
        with clock.at(hours(number)):
            take(result(state, hours(number), key, conclusion=f"as of {state}"), here.partner)


def waiting(kind: str) -> list[str]:
    """What is open of a kind, in whichever loop: the reports that are to be read, else the stages."""
    found = Handoff.objects.filter(kind=kind, closed_at=None).order_by("opened_at", "id")
    return [one.focus.removeprefix("DiagnosticReport/") if kind == "review-report" else one.stage for one in found]


def read(here: Region, hour: int) -> None:
    with clock.at(hours(hour)):
        for review in Handoff.objects.filter(kind="review-report", closed_at=None):
            workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True})


def tell(here: Region, hour: int) -> None:
    with clock.at(hours(hour)):
        for telling in Handoff.objects.filter(kind="notify-patient", closed_at=None):
            workflow.perform(telling.id, "tell", here.nina, data={"channel": "phone"})


def test_a_report_in_error_is_not_read_although_the_right_one_of_another_is_awaited(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final", "r2 final", "r2 entered-in-error", "r1 entered-in-error")
    assert (waiting("review-report"), waiting("decide-next-step")) == ([], ["right-result"])
    assert waiting("fulfil") == ["ordered"]


def test_nobody_is_told_of_a_report_that_was_void_after_another_was(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final", "r2 final", "r2 entered-in-error")
    read(here, 9)
    says(here, 10, "r1 entered-in-error")
    assert waiting("notify-patient") == []


def test_who_was_told_of_two_hears_today_of_each_that_is_void(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final", "r2 final")
    read(here, 9)
    tell(here, 9)
    for hour, key in ((10, "r2"), (12, "r1")):
        says(here, hour, f"{key} entered-in-error")
        assert waiting("notify-patient") == ["to-tell-today"]
        tell(here, hour + 1)


@pytest.mark.parametrize("state", ["corrected", "amended", "cancelled"])
def test_a_new_version_of_one_report_is_not_the_right_result_of_another(here: Region, loop: Loop, state: str) -> None:
    says(here, 5, "r1 final", "r2 final", "r2 entered-in-error", f"r1 {state}")
    assert (waiting("fulfil"), waiting("review-report")) == (["ordered"], ["r1"])


def test_the_right_result_may_come_under_the_name_of_the_one_in_error(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final", "r1 entered-in-error", "r1 corrected")
    assert (waiting("fulfil"), waiting("review-report")) == ([], ["r1"])


def test_what_its_reader_has_found_void_is_not_void_once_more_when_the_laboratory_says_so(
    here: Region, loop: Loop
) -> None:
    says(here, 5, "r1 final")
    with clock.at(hours(6)):
        workflow.perform(the(loop, "review-report").id, "void", here.gp, data={"reason": "entered-in-error"})
        workflow.perform(the(loop, "decide-next-step").id, "keep", here.gp)
    says(here, 7, "r2 final")
    read(here, 8)
    tell(here, 9)
    says(here, 10, "r1 entered-in-error")
    assert (Loop.objects.count(), Loop.objects.get().stage) == (1, "closed")
    assert list(loop.events.filter(evidence="DiagnosticReport/r1").values_list("action", flat=True)) == [
        *("result", "void", "withdraw-report")
    ]


def test_nobody_is_told_that_a_report_is_void_of_which_they_never_heard(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final")
    read(here, 6)
    tell(here, 6)
    says(here, 7, "r2 final", "r2 entered-in-error")
    assert waiting("notify-patient") == []


def test_who_was_called_before_a_report_was_read_may_have_heard_of_it(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final")
    read(here, 6)
    tell(here, 6)
    says(here, 7, "r2 final")
    tell(here, 8)
    says(here, 9, "r2 entered-in-error")
    assert waiting("notify-patient") == ["to-tell-today"]


def test_when_one_report_after_the_other_is_void_nothing_is_left_to_be_told(here: Region, loop: Loop) -> None:
    says(here, 5, "r1 final")
    read(here, 6)
    with clock.at(hours(6)):
        workflow.perform(the(loop, "review-report").id, "void", here.gp, data={"reason": "entered-in-error"})
    says(here, 7, "r2 final")
    read(here, 8)
    says(here, 9, "r2 entered-in-error")
    assert waiting("notify-patient") == []


@pytest.mark.parametrize("state", ["final", "corrected", "amended", "appended"])
@pytest.mark.parametrize("is_void", [False, True])
def test_a_report_that_is_the_same_but_for_its_number_is_not_read_again(
    here: Region, loop: Loop, state: str, *, is_void: bool
) -> None:
    says(here, 5, f"r1 {state}")
    if is_void:
        workflow.perform(the(loop, "review-report").id, "void", here.gp, data={"reason": "entered-in-error"})
    else:
        read(here, 6)
        tell(here, 6)
    body = result(state, hours(7), "r1", conclusion=f"as of {state}", identifier=[{"system": "urn:x", "value": "1"}])
    with clock.at(hours(7)):
        take({**body, "issued": hours(5).isoformat()}, here.partner)
    assert (Loop.objects.count(), Handoff.objects.filter(kind="review-report").count()) == (1, 1)
