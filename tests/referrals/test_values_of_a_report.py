"""A value that comes, or is corrected, after the report that lists it: its reader hears of it by its own urgency."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from records import access, clock
from records.access import Actor
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Loop
from tests.referrals.exchange import concept, open_kinds, request, result, said, take, the, the_loop
from tests.referrals.region import HOSPITAL, Region, client
from tests.referrals.ward import hours

LAB: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
RESULT = result("final", hours(2), result=[{"reference": "Observation/k"}])
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def value(at: datetime, *codes: str, **elements: Any) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    resource = {
        "resourceType": "Observation",
        "id": "k",
        "status": "final",
        "code": {"text": "Potassium"},
        "subject": {"reference": "Patient/ana"},
        "interpretation": [concept(code, system=system) for code in codes],
        **elements,
    }
    return said({name: each for name, each in resource.items() if each}, at)


def arrives(resource: Resource, actor: Actor) -> None:
    with clock.at(datetime.fromisoformat(resource["meta"]["lastUpdated"])):
        take(resource, actor)


@pytest.fixture
def loop(here: Region) -> Loop:
    """A test order that the hospital has."""
    take(request(**LAB), here.ehr)
    loop = the_loop()
    for waiting in loop.handoffs.filter(kind="dispatch"):
        workflow.perform(waiting.id, "send", here.gp)
    return loop


def reported(here: Region, **elements: Any) -> None:
    arrives(result("final", hours(2), result=[{"reference": "Observation/k"}], **elements), here.partner)


def acknowledge(here: Region, loop: Loop) -> None:
    with clock.at(hours(20)):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True})


@pytest.mark.parametrize("before", [(), ("N",), ("H",)], ids=["not there", "normal", "abnormal"])
def test_a_value_that_turns_out_critical_lets_the_open_review_be_due_in_a_day(
    before: tuple[str, ...], here: Region, loop: Loop
) -> None:
    if before:
        arrives(value(hours(1), *before), here.partner)
    reported(here)
    assert the(loop, "review-report").due_at > hours(2 + 24)

    arrives(value(hours(10), "HH"), here.partner)

    review = the(loop, "review-report")
    assert (review.due_at, review.priority_rank, review.focus) == (hours(10 + 24), 0, "DiagnosticReport/result")
    assert access.visible(here.ehr, "Observation").filter(pk="k").exists(), (
        "whoever reads the report may read its value"
    )


def test_a_value_of_the_same_gravity_or_less_asks_nobody_again_while_the_report_is_unread(
    here: Region, loop: Loop
) -> None:
    arrives(value(hours(1), "HH"), here.partner)
    reported(here)
    review = the(loop, "review-report")
    arrives(value(hours(3), "HH", valueString="7.3"), here.partner)
    arrives(value(hours(4), "N"), here.partner)
    again = the(loop, "review-report")
    assert (again.id, again.due_at) == (review.id, hours(2 + 24))


def test_what_is_overdue_already_becomes_no_later(here: Region, loop: Loop) -> None:
    reported(here)
    due = the(loop, "review-report").due_at
    arrives(value(due + timedelta(days=2), "HH"), here.partner)
    assert the(loop, "review-report").due_at == due, "the report was to be read by then"


@pytest.mark.parametrize(("before", "after"), [("N", "HH"), ("HH", "N")])
def test_a_value_that_is_another_after_the_report_was_read_comes_back_to_its_reader(
    before: str, after: str, here: Region, loop: Loop
) -> None:
    arrives(value(hours(1), before), here.partner)
    reported(here)
    acknowledge(here, loop)
    assert "review-report" not in open_kinds(loop)

    arrives(value(hours(30), after), here.partner)
    assert "review-report" in open_kinds(loop)
    assert Event.objects.filter(loop=loop, action="amend").count() == 1
    arrives(value(hours(31), after, valueString="as it was"), here.partner)
    assert Event.objects.filter(loop=loop, action="amend").count() == 1


def test_a_client_of_the_laboratory_that_posts_its_values_last_is_heard_too(here: Region, loop: Loop) -> None:
    lab = client("lab", HOSPITAL)
    arrives(result("final", hours(2), result=[{"reference": "Observation/k"}]), lab)
    arrives(value(hours(3), "LL"), lab)
    assert the(loop, "review-report").due_at == hours(3 + 24)


def test_who_has_to_match_a_report_is_hurried_too(here: Region, loop: Loop) -> None:
    arrives({k: v for k, v in RESULT.items() if k != "basedOn"}, here.partner)
    held = Loop.objects.get(kind="unsolicited")
    before = the(held, "match-evidence").due_at
    arrives(value(hours(3), "HH"), here.partner)
    hurried = the(held, "match-evidence")
    assert hurried.due_at == hours(2 + 4) < before
    assert open_kinds(loop) == ["fulfil"]
