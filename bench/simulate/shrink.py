"""The shortest history that still fails: the steps of one case alone, then fewer of them, each time in an empty house."""

from collections.abc import Sequence

from django.db import transaction

from bench.oracle import Oracle
from bench.simulate.compare import Finding
from bench.simulate.play import DAY, Play
from bench.simulate.steps import Step, family
from bench.simulate.world import START, found

PATIENCE = 10 * DAY
NEW = "x"
MOST_TRIES = 120


def shortest(play: Play, finding: Finding) -> list[Step]:
    """The history behind a finding with every step left out that it doesn't need.

    A finding that needs what happened to other patients keeps its whole history.
    """
    steps = list(play.histories.get(family(finding.case), ()))
    if not steps:
        return steps
    region = str(steps[0].data["placer"]).partition("-")[0]
    staff = [step for step in play.histories.get("", ()) if step.who.startswith(f"{region}-") and step.action != "look"]
    steps = [steps[0], *sorted(staff + steps[1:], key=lambda step: step.at)]
    if not _fails(steps, finding):
        return steps
    for number in range(min(len(steps) - 1, MOST_TRIES), 0, -1):
        fewer = steps[:number] + steps[number + 1 :]
        if _fails(fewer, finding):
            steps = fewer
    return steps


def _fails(steps: Sequence[Step], finding: Finding) -> bool:
    """Whether these steps alone, in a new region that nobody else lives in, lead to such a finding."""
    order = steps[0]
    region = str(order.data["placer"]).partition("-")[0]
    with transaction.atomic():
        oracle = Oracle()
        play = Play(found(oracle, [region + NEW], _number_of(str(order.data["patient"])) + 1), oracle, START, 0)
        play.is_alive = False
        play.push(step.moved(region, region + NEW) for step in steps)
        play.run(steps[-1].at + PATIENCE)
        transaction.set_rollback(True)
    return any(one.kind == finding.kind for one in play.judge.findings)


def _number_of(patient: str) -> int:
    return int(patient.rpartition("-p")[2])
