"""The figures of a period: every loop is in every interval once, and the numbers are those of the journal."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from records import clock
from referrals import escalation, metrics
from referrals.metrics import Figures, Interval, Wanted
from referrals.models import Loop
from tests.referrals.ward import MONDAY, Ward

HOUR = timedelta(hours=1)
EVERYTHING = Wanted("referral", MONDAY - timedelta(days=30), MONDAY + timedelta(days=365), sides=())
# The way of a referral: what is done, and how many hours after the step before.
WAY = (("send", 2), ("accept", 10), ("book", 30), ("seen", 100), ("report", 40), ("acknowledge", 5), ("tell", 3))


def walk(ward: Ward, done: int, *, faster: int = 1, **changes: Any) -> Loop:
    """A referral of Monday that has made the first steps of the way, in a fraction of the time."""
    loop, now = ward.order(**changes), MONDAY
    for action, hours in WAY[:done]:
        now += timedelta(hours=hours) / faster
        with clock.at(now):
            _step(ward, loop, action)
    return loop


def _step(ward: Ward, loop: Loop, action: str) -> None:
    if action == "send":
        ward.does(ward.referrer, ward.only(loop, "dispatch"), "send")
    elif action == "report":
        ward.report(ward.only(loop, "fulfil"))
    elif action == "acknowledge":
        ward.acknowledge(loop)
    elif action == "tell":
        ward.tell(loop)
    else:
        data = {"slot_end": clock.now()} if action == "book" else {}
        ward.does(ward.clinic, ward.only(loop, "fulfil"), action, **data)


def the(ward: Ward, now: datetime = MONDAY + timedelta(days=30), **changes: Any) -> Figures:
    """The only group."""
    (found,) = metrics.figures(ward.coordinator, replace(EVERYTHING, **changes), now)
    return found


def ways(interval: Interval) -> tuple[int, int, int, int, int]:
    return interval.count, interval.open, interval.ahead, interval.skipped, interval.ended


def test_a_whole_way_gives_the_time_of_each_step(ward: Ward) -> None:
    walk(ward, 7)
    found = the(ward)
    names = ["ordered", "sent", "accepted", "booked", "seen", "reported", "acknowledged", "told"]
    assert [(one.begins, one.ends) for one in found.intervals] == list(pairwise(names))
    assert [one.median_seconds for one in found.intervals] == [hours * 3600 for _action, hours in WAY]
    assert [one.p90_seconds for one in found.intervals] == [hours * 3600 for _action, hours in WAY]
    assert (found.loops, found.open) == (1, 0)


def test_median_and_ninetieth_percentile_are_those_between_the_loops(ward: Ward) -> None:
    for faster in (1, 2, 4, 5, 10):
        walk(ward, 2, faster=faster)
    sent = the(ward).intervals[1]
    hours = [10 / faster for faster in (1, 2, 4, 5, 10)]
    assert sent.median_seconds == median(hours) * 3600
    assert sent.p90_seconds == pytest.approx((5 + 0.6 * 5) * 3600), (
        "between the fourth and the fifth, as PostgreSQL counts"
    )


def test_what_is_on_its_way_is_counted_apart_and_has_no_part_in_the_median(ward: Ward) -> None:
    walk(ward, 2)
    walk(ward, 1)
    walk(ward, 0)
    ordered, sent, accepted, *_rest = the(ward).intervals
    assert [ways(one) for one in (ordered, sent, accepted)] == [(2, 1, 0, 0, 0), (1, 1, 1, 0, 0), (0, 1, 2, 0, 0)]
    assert (accepted.median_seconds, accepted.p90_seconds) == (None, None)


def test_a_step_that_was_left_out_is_called_skipped_and_an_end_before_it_ended(ward: Ward) -> None:
    loop = walk(ward, 1)
    with clock.at(MONDAY + HOUR * 3):
        _step(ward, loop, "book")
    withdrawn = walk(ward, 0)
    ward.does(ward.referrer, ward.only(withdrawn, "dispatch"), "withdraw", reason="withdrawn")
    ordered, sent, accepted, booked, *_rest = the(ward).intervals
    assert ways(ordered) == (1, 0, 0, 0, 1)
    assert ways(sent) == (0, 0, 0, 1, 1)
    assert ways(accepted) == (0, 0, 0, 1, 1)
    assert ways(booked) == (0, 1, 0, 0, 1)


def test_who_was_told_of_a_decline_has_not_been_told_of_the_outcome(ward: Ward) -> None:
    loop = walk(ward, 1)
    decline = {"reason": "no-capacity", "reason_text": "Full until May."}
    with clock.at(MONDAY + HOUR * 3):
        ward.does(ward.clinic, ward.only(loop, "fulfil"), "decline", **decline)
        ward.tell(loop)
    assert ways(the(ward).intervals[-1]) == (0, 0, 1, 0, 0)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.integers(0, 7), max_size=3))
def test_every_loop_is_in_every_interval_exactly_once(ward: Ward, steps: list[int]) -> None:
    for done in steps:
        walk(ward, done)
    for group in metrics.figures(ward.coordinator, EVERYTHING, MONDAY):
        assert {sum(ways(one)) for one in group.intervals} == {group.loops}


def test_the_figures_are_kept_apart_by_what_is_asked_for(ward: Ward) -> None:
    walk(ward, 1, priority="urgent", service_id="heart")
    walk(ward, 1, service_id="heart")
    walk(ward, 1, service_id="lungs", performer="elsewhere")
    apart = metrics.figures(ward.coordinator, replace(EVERYTHING, sides=("performer", "service", "priority")), MONDAY)
    assert [(one.performer, one.service, one.priority, one.loops) for one in apart] == [
        ("clinic", "heart", "routine", 1),
        ("clinic", "heart", "urgent", 1),
        ("elsewhere", "lungs", "routine", 1),
    ]
    assert the(ward, service="heart").loops == 2
    assert the(ward, service="heart", priority="urgent").loops == 1
    assert the(ward, performer="elsewhere").loops == 1
    assert the(ward, direction="sent").loops == 3


def test_only_the_own_organisations_loops_of_the_period_and_kind_count(ward: Ward) -> None:
    walk(ward, 1)
    ward.order("test-order")
    with clock.at(MONDAY + timedelta(days=400)):
        ward.order()
    assert the(ward).loops == 1
    assert metrics.figures(ward.clinic, replace(EVERYTHING, direction="received"), MONDAY)[0].loops == 1
    assert metrics.figures(ward.clinic, replace(EVERYTHING, direction="sent"), MONDAY) == []
    for actor in (ward.stranger, replace(ward.stranger, organization="")):
        assert metrics.figures(actor, EVERYTHING, MONDAY) == []


def test_lateness_escalations_and_the_date_it_was_needed_by_are_counted(ward: Ward) -> None:
    in_time = walk(ward, 7, needed_by=MONDAY + timedelta(days=20))
    walk(ward, 7, needed_by=MONDAY + timedelta(days=1))
    late = walk(ward, 0, needed_by=MONDAY + timedelta(days=60))
    now = ward.only(late, "dispatch").due_at + timedelta(days=2)
    escalation.sweep(now)
    found = the(ward, now)
    assert (found.loops, found.open, found.with_needed_by, found.in_time, found.missed) == (3, 1, 3, 1, 1)
    assert (found.overdue, found.escalations) == (1, (1, 1, 0))
    ward.does(ward.referrer, ward.only(late, "dispatch"), "withdraw", reason="withdrawn")
    assert in_time.pk
    with clock.at(now):
        overdue = ward.order(ordered_at=MONDAY)
        ward.does(ward.referrer, ward.only(overdue, "dispatch"), "withdraw", reason="withdrawn")
    assert (the(ward, now).late, the(ward, now).overdue) == (1, 0)


def test_the_cost_does_not_grow_with_the_loops(
    ward: Ward, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for done in (7, 3, 0):
        walk(ward, done)
    with django_assert_max_num_queries(2):
        the(ward)


@pytest.mark.parametrize("kind", ["follow-up", "test-order"])
def test_the_other_kinds_have_their_own_steps(ward: Ward, kind: str) -> None:
    ward.order(kind)
    found = the(ward, kind=kind)
    assert (found.loops, sum(ways(found.intervals[0]))) == (1, 1)
    assert found.intervals[-1].ends == "told"


def test_each_of_several_performers_finds_what_it_has_received_as_its_own(ward: Ward) -> None:
    loop = ward.order(performer="")
    both = ["Organization/elsewhere", "Organization/clinic"]
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=both)
    assert Loop.objects.get(pk=loop.pk).performer == "elsewhere"
    received = replace(EVERYTHING, direction="received", sides=("performer",))
    for wanted in (received, replace(received, performer="clinic")):
        (found,) = metrics.figures(ward.clinic, wanted, MONDAY)
        assert (found.performer, found.loops) == ("clinic", 1)
    assert [one.loops for one in metrics.figures(ward.clinic, EVERYTHING, MONDAY)] == [1]
    mine = next(one for one in loop.handoffs.filter(kind="fulfil", owner=ward.clinic_pool))
    ward.does(ward.clinic, mine, "decline", reason="no-capacity", reason_text="Full until May.")
    assert metrics.figures(ward.clinic, received, MONDAY) == [], "it has nothing to do with it any more"
