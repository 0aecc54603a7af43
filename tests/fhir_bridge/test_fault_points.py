"""Every commit and every exchange of a worker, each with a crash just before it and just after it: nothing is lost or doubled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from bench.fake_ehr import FakeEhr
from fhir_bridge.models import Partner
from tests.fhir_bridge.crashes import Point, Process
from tests.fhir_bridge.story import Story
from tests.fhir_bridge.two_sides import TwoSides

ROUND = ("push", "pull", "push", "reconcile")

Day = Callable[[Process], TwoSides]


@pytest.fixture
def day(story: Story, hospital: Partner, ehr: FakeEhr) -> Day:
    """A referral, its receipt, and words on both sides meanwhile; the process does all the work while it lives."""

    def live(process: Process) -> TwoSides:
        ehr.forget()
        sides = TwoSides(story, hospital, ehr)
        sides.refer()
        sides.work("push", process)
        sides.go_on_there(0)
        sides.note_there(0)
        sides.note_here(0)
        for name in ROUND:
            sides.work(name, process)
        return sides

    return live


@contextmanager
def taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_a_crash_at_any_point_loses_and_doubles_nothing(day: Day) -> None:
    process = Process()
    with taken_back():
        sides = day(process)
        sides.settle()
        sides.check()
    found = dict.fromkeys(process.reached)
    rooms = {point.name.rpartition(".")[0] for point in found}
    assert any("outbound" in room for room in rooms), rooms
    assert any("applying" in room for room in rooms), rooms

    for chosen in found:
        with taken_back():
            _survives(day, chosen)


def _survives(day: Day, chosen: Point) -> None:
    process = Process(dies_at=lambda point, _number: point == chosen)
    sides = day(process)
    assert process.is_dead
    sides.settle()
    try:
        sides.check()
    except AssertionError as error:
        error.add_note(f"after a crash {chosen}")
        raise
