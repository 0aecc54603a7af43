"""The shortest history that still fails: the steps of one case alone, then fewer of them, each time in an empty house."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from django.db import transaction

from bench.oracle import Oracle
from bench.simulate.arrivals import order_of
from bench.simulate.compare import Finding
from bench.simulate.play import DAY, Play
from bench.simulate.steps import Step, family
from bench.simulate.world import START, found
from records.errors import BatonError
from referrals.models import Handoff

PATIENCE = 10 * DAY
NEW = "x"
MOST_TRIES = 120


def shortest(play: Play, finding: Finding) -> list[Step]:
    """The history behind a finding with every step left out that it doesn't need.

    A finding that doesn't come back with what happened to its patient and to the staff there keeps its whole history.
    """
    steps = _history(play, [family(finding.case)])
    staff = _staff(play, finding)
    for whole in (steps, steps + staff, _history(play, _of_the_patient(play, finding)) + staff):
        told = sorted(whole, key=lambda step: step.at)
        if steps and _fails(told, finding):
            return _without_needless(told, finding)
    return steps


def _without_needless(steps: list[Step], finding: Finding) -> list[Step]:
    for number in range(min(len(steps) - 1, MOST_TRIES), -1, -1):
        fewer = steps[:number] + steps[number + 1 :]
        if fewer and _fails(fewer, finding):
            steps = fewer
    return steps


def _history(play: Play, cases: Iterable[str]) -> list[Step]:
    return [step for case in cases for step in play.histories.get(case, ())]


def _of_the_patient(play: Play, finding: Finding) -> list[str]:
    """All cases of the patient whom a finding is about, and those of which evidence was matched with an order of theirs."""
    patient = play.patients.get(family(finding.case))
    own = {case for case in play.histories if case and play.patients.get(case) == patient}
    orders = {order_of(case) for case in own}
    matched = (case for case, steps in play.histories.items() if orders & {step.data.get("request") for step in steps})
    return [*own, *(case for case in matched if case not in own)]


def _staff(play: Play, finding: Finding) -> list[Step]:
    """What happened there to people."""
    region = _region(finding)
    return [step for step in play.histories.get("", ()) if step.who.startswith(f"{region}-") and step.action != "look"]


def _region(finding: Finding) -> str:
    return finding.case.partition("/")[0]


def _fails(steps: Sequence[Step], finding: Finding) -> bool:
    """Whether these steps alone, in a new region that nobody else lives in, lead to such a finding.

    Steps that can't be played without those that were left out don't.
    """
    region = _region(finding)
    with transaction.atomic():
        Handoff.objects.filter(closed_at=None).update(escalate_at=None)  # the sweeps are for the new region alone
        oracle = Oracle()
        play = Play(found(oracle, [region + NEW], _patients(steps)), oracle, START, 0)
        play.is_alive = False
        play.push(step.moved(region, region + NEW) for step in steps)
        with suppress(BatonError, LookupError, StopIteration):
            play.run(steps[-1].at + PATIENCE)
        transaction.set_rollback(True)
    return any(one.kind == finding.kind for one in play.judge.findings)


def _patients(steps: Sequence[Step]) -> int:
    """How many patients have to live there for everybody of whom the steps tell to be among them."""
    told = [str(step.data[word]) for step in steps for word in ("patient", "source", "target") if word in step.data]
    return max((int(name.rpartition("-p")[2]) for name in told), default=0) + 1
