"""A small chaos with real workers, and the proof that its checker sees what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos.checker import compared
from bench.chaos.run import Plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_when_workers_are_killed_and_everything_else_goes_down() -> None:
    command = ["chaos", "--syncs", "40", "--kills", "3", "--flushes", "1", "--restarts", "1", "--seed", "7", "--json"]
    ran = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["lost"], found["duplicated"], found["unresolved"]) == (0, 0, 0)
    assert (found["syncs"], found["kills"], found["flushes"], found["restarts"]) == (40, 3, 1, 1)
    assert found["dropped"] > 0


@pytest.mark.parametrize(
    ("held", "kinds"),
    [
        (["a", "b"], []),
        (["b", "a"], []),
        (["a"], ["lost"]),
        (["a", "b", "a"], ["duplicated"]),
        (["a", "b", "c"], ["duplicated"]),
        ([], ["lost", "lost"]),
    ],
)
def test_the_checker_sees_what_is_missing_and_what_is_there_twice(held: list[str], kinds: list[str]) -> None:
    assert [finding.kind for finding in compared("somewhere", held, ["a", "b"])] == kinds


def test_the_same_seed_breaks_the_same_at_the_same_moments() -> None:
    plan = Plan(syncs=100, kills=7, flushes=2, restarts=3, dropped=0.3, seed=7)
    assert plan.breaks() == plan.breaks()
    assert sum(map(len, plan.breaks().values())) == 12
    assert plan.breaks() != Plan(100, 7, 2, 3, 0.3, seed=8).breaks()
