"""Whether the patient came, by what appointments say of their time: a start alone, a duration, or a message that comes late."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from records import clock
from records.access import Actor
from records.errors import Incorrect
from records.json import Resource, loads
from referrals import workflow
from tests.referrals.exchange import appointment, request, take, the, the_loop
from tests.referrals.region import CLINIC, Region, build, client
from tests.referrals.ward import MONDAY

BEGINS = MONDAY + timedelta(days=3)
HALF_AN_HOUR = timedelta(minutes=30)
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        yield build()


@pytest.fixture
def hospital(here: Region) -> Actor:
    """The hospital's EHR, which has Ana's referral."""
    take(request(), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return here.partner


@pytest.fixture
def clinic(here: Region) -> Actor:
    """A clinic whose own system writes here, which has Ana's referral."""
    take(request(performer=[{"reference": f"Organization/{CLINIC}"}]), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return client("clinic", CLINIC)


def without_end(**elements: Any) -> Resource:
    """Ana's visit, which says no end."""
    return {name: value for name, value in appointment("booked", MONDAY, **elements).items() if name != "end"}


@pytest.mark.parametrize(
    ("elements", "lasts"),
    [
        ({}, timedelta()),
        ({"minutesDuration": loads("30")}, HALF_AN_HOUR),
        ({"minutesDuration": loads("2147483647")}, timedelta()),
    ],
)
def test_an_appointment_without_an_end_lasts_as_long_as_it_says(
    hospital: Actor, elements: dict[str, Any], lasts: timedelta
) -> None:
    take(without_end(**elements), hospital)
    booked = the(the_loop(), "fulfil")
    assert (booked.stage, booked.slot_start_at, booked.slot_end_at) == ("scheduled", BEGINS, BEGINS + lasts)


def test_a_client_that_says_no_end_is_told_so(clinic: Actor) -> None:
    with pytest.raises(Incorrect) as refused:
        take(without_end(), clinic)
    assert [issue.code for issue in refused.value.issues] == ["invariant"]


def test_a_visit_at_the_end_of_time_is_refused_and_nothing_is_booked(hospital: Actor) -> None:
    with pytest.raises(Incorrect):
        take(without_end(start="9999-12-31T23:59:59Z", minutesDuration=loads("60")), hospital)
    assert the(the_loop(), "fulfil").stage == "sent"


def test_a_missed_visit_is_heard_of_while_it_would_still_go_on(clinic: Actor) -> None:
    take(appointment("booked", MONDAY), clinic)
    with clock.at(BEGINS - HALF_AN_HOUR), pytest.raises(Incorrect, match="hasn't begun yet"):
        take(appointment("noshow", MONDAY), clinic)
    with clock.at(BEGINS + HALF_AN_HOUR / 2):
        take(appointment("noshow", MONDAY), clinic)
    assert the(the_loop(), "fulfil").stage == "no-show"


def test_a_missed_visit_that_nobody_had_told_of_is_booked_and_missed_in_one(clinic: Actor) -> None:
    with clock.at(BEGINS + HALF_AN_HOUR / 2):
        take(appointment("noshow", MONDAY), clinic)
    assert the(the_loop(), "fulfil").stage == "no-show"
