"""Whatever the order in which messages arrive, and however often: the loop ends up in the same place (law 7).

The versions of one resource keep their order (the bridge sees to it, by the partner's ``lastUpdated``); all else is
shuffled and repeated.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from records import clock
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Loop
from tests.referrals import region
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
from tests.referrals.ward import MONDAY, hours

EVENING = MONDAY + timedelta(days=6)
pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class End:
    """What must be the same at the end of every history."""

    stage: str
    task_status: str
    open_kinds: tuple[str, ...]
    reviews: int
    reports: int
    loops: int


@contextmanager
def undone() -> Iterator[None]:
    """One history; what it wrote is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def begin(**elements: Any) -> tuple[Region, Loop]:
    with clock.at(MONDAY):
        here = region.build()
        take(request(**elements), here.ehr)
        workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return here, the_loop()


def end_of(here: Region, loop: Loop, messages: Sequence[Resource]) -> End:
    for number, message in enumerate(messages):
        with clock.at(EVENING + timedelta(minutes=number)):
            take(message, here.partner)
    fulfil = the(loop, "fulfil")
    return End(
        fulfil.stage,
        fulfil.task_status,
        tuple(open_kinds(loop)),
        loop.handoffs.filter(kind="review-report").count(),
        Event.objects.filter(loop=loop, action__in=["report", "result", "amend"]).count(),
        Loop.objects.count(),
    )


def histories(count: int) -> st.SearchStrategy[list[int]]:
    """Each message at least once, some again, in any order."""
    again = st.lists(st.integers(0, count - 1), max_size=4)
    return again.flatmap(lambda more: st.permutations([*range(count), *more]))


def in_turn(order: Sequence[int], lines: Sequence[Sequence[Resource]]) -> list[Resource]:
    """The messages of each line in its own order, the lines mixed as ``order`` says; a line that is over repeats its end."""
    turns = dict.fromkeys(range(len(lines)), 0)
    found = []
    for each in order:
        line = lines[each % len(lines)]
        found.append(line[min(turns[each % len(lines)], len(line) - 1)])
        turns[each % len(lines)] += 1
    return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(6))
@example([5, 4, 3, 2, 1, 0])
@example([3, 5, 5, 0, 1, 4, 2])
def test_a_referral_ends_with_one_report_to_review(order: list[int]) -> None:
    with undone():
        here, loop = begin()
        fulfil = the(loop, "fulfil")
        messages = [
            answer(fulfil, "accepted", hours(1)),
            appointment("booked", hours(2)),
            answer(fulfil, "in-progress", hours(3)),
            encounter(hours(80)),
            document(hours(90)),
            answer(fulfil, "completed", hours(91), output=output("DocumentReference/note")),
        ]
        end = end_of(here, loop, [messages[each] for each in order])
        assert end == End("report-sent", "completed", ("review-report",), 1, 1, 1)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(4))
@example([2, 1, 0, 3])
def test_a_test_order_ends_with_its_result(order: list[int]) -> None:
    with undone():
        here, loop = begin(code={"text": "CBC"}, category=[concept("108252007")])
        fulfil = the(loop, "fulfil")
        messages = [
            answer(fulfil, "in-progress", hours(2)),
            result("preliminary", hours(3), key="early"),
            result("final", hours(4)),
            answer(fulfil, "completed", hours(5), output=output("DiagnosticReport/result")),
        ]
        end = end_of(here, loop, [messages[each] for each in order])
        assert end == End("final", "completed", ("review-report",), 1, 1, 1)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([0, 0, 1, 0, 1, 0]))
def test_the_newest_booking_stands_whichever_appointment_is_heard_of_first(order: list[int]) -> None:
    with undone():
        here, loop = begin()
        first = [appointment("booked", hours(1)), appointment("noshow", hours(80))]
        second = [appointment("booked", hours(90), key="second")]
        end_of(here, loop, in_turn(order, [first, second]))
        fulfil = the(loop, "fulfil")
        assert fulfil.stage == "scheduled"
        assert fulfil.due_at > datetime.fromisoformat(second[0]["end"])
