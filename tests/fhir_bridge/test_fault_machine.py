"""Whatever two sides do while messages get lost and workers die, in any order: both have all of it in the end, once.

A few histories, always the same, in the suite. ``BATON_FAULTS=2000`` tries so many others; one that fails is shrunk and
printed step by step.
"""

import os
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import Phase
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bench.fake_ehr import MISBEHAVIOURS, FakeEhr, script
from fhir_bridge.connecting import client
from fhir_bridge.models import Partner
from tests.fhir_bridge.crashes import Process
from tests.fhir_bridge.story import Story, promise
from tests.fhir_bridge.two_sides import TwoSides

EXAMPLES = int(os.environ.get("BATON_FAULTS", "8"))
STEPS = 14
MOST_REFERRALS = 2
MOST_COMMITS = 60
# `test_faults` has these: two cost real seconds or megabytes each time, a link to another server is shown to a person
QUICK = sorted({*MISBEHAVIOURS} - {"slow", "huge", "foreign-next"})

which = st.integers(0, MOST_REFERRALS - 1)


@pytest.mark.timeout(3600 if EXAMPLES > 50 else 300)
def test_both_sides_have_everything_in_the_end_once(
    story: Story, hospital: Partner, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.Server.__init__, "__kwdefaults__", {"total_seconds": 5.0})

    class Exchange(_Exchange):
        world = TwoSides(story, hospital, ehr)

    run_state_machine_as_test(
        Exchange,
        settings=how(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=EXAMPLES <= 50,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            deadline=None,
            print_blob=True,
        ),
    )


class _Exchange(RuleBasedStateMachine):
    """The steps; a subclass has the installation that they begin with."""

    world: TwoSides

    def __init__(self) -> None:
        super().__init__()
        self.around = ExitStack()
        self.around.enter_context(taken_back())
        self.world.ehr.forget()
        self.sides = TwoSides(self.world.story, self.world.partner, self.world.ehr)

    @initialize(
        skew=st.sampled_from((0, -300, 300)),
        if_match=st.booleans(),
        if_none_exist=st.booleans(),
        stale=st.sampled_from((409, 412)),
        page=st.sampled_from((1, 100)),
        shifts=st.booleans(),
    )
    def begin(self, skew: int, if_match: bool, if_none_exist: bool, stale: int, page: int, shifts: bool) -> None:
        ehr = self.sides.ehr
        ehr.takes_if_match, ehr.takes_if_none_exist = if_match, if_none_exist
        ehr.stale_status, ehr.page, ehr.shifts = stale, page, shifts
        self.sides.skew = timedelta(seconds=skew)
        with self.sides.now():
            promise(self.sides.partner, if_match=if_match, if_none_exist=if_none_exist)
        self.sides.refer()

    @precondition(lambda self: len(self.sides.told) < MOST_REFERRALS)
    @rule()
    def refer(self) -> None:
        self.sides.refer()

    @rule(number=which)
    def note_here(self, number: int) -> None:
        self.sides.note_here(number % len(self.sides.told))

    @rule(number=which, late_seconds=st.sampled_from((0.0, 0.0, 1.5)))
    def note_there(self, number: int, late_seconds: float) -> None:
        self.sides.note_there(number % len(self.sides.told), late_seconds)

    @rule(number=which)
    def go_on_there(self, number: int) -> None:
        self.sides.go_on_there(number % len(self.sides.told))

    @rule(
        name=st.sampled_from(("push", "pull", "push", "pull", "reconcile")),
        crash=st.none() | st.integers(1, MOST_COMMITS),
        faults=st.lists(st.sampled_from(["", "", *QUICK]), max_size=4),
    )
    def work(self, name: str, crash: int | None, faults: list[str]) -> None:
        """A worker's round, in which the partner misbehaves and the worker may be killed at its so-manieth point."""
        with self.sides.ehr.moody(script(*faults)):
            self.sides.work(name, Process(dies_at=lambda _point, number: number == crash))

    @rule(minutes=st.sampled_from((0.2, 2, 30, 1500)))
    def wait(self, minutes: float) -> None:
        self.sides.wait(minutes=minutes)

    def teardown(self) -> None:
        """The faults have ended."""
        try:
            if self.sides.told:
                self.sides.settle()
                self.sides.check()
        finally:
            self.around.close()


def taken_back() -> ExitStack:
    """A transaction that leaves nothing."""
    stack = ExitStack()
    stack.enter_context(transaction.atomic())
    stack.callback(transaction.set_rollback, True)
    return stack
