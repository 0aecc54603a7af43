"""A small chaos with real workers, and the proof that its checker sees what is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chaos.checker import compared
from bench.chaos.run import Plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for what is temporary, into which everybody may look."""
    folder = Path(tempfile.mkdtemp(prefix="baton-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def begin(place: Path, *options: str) -> "subprocess.Popen[str]":
    """A chaos of its own that needs no database that is configured."""
    told = {**os.environ, "TMPDIR": str(place), "DATABASE_URL": "postgres://nobody@/nowhere?host=/nowhere"}
    return subprocess.Popen(
        [sys.executable, "manage.py", "chaos", "--seed", "7", "--json", *options],
        cwd=ROOT,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(chaos: "subprocess.Popen[str]", place: Path) -> dict[str, int]:
    """What it found, nothing of which is wrong; nothing is left of it."""
    told, said = chaos.communicate()
    assert chaos.returncode == 0, said
    found: dict[str, int] = json.loads(told)
    assert (found["lost"], found["duplicated"], found["unresolved"]) == (0, 0, 0)
    assert not list(place.iterdir())
    assert not [name for name in Path("/proc").glob("[0-9]*/environ") if str(place) in environment_in(name)]
    return found


def environment_in(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended by now
        return ""


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_when_workers_are_killed_and_everything_else_goes_down(place: Path) -> None:
    found = end(begin(place, "--syncs", "40", "--kills", "3", "--flushes", "1", "--restarts", "1"), place)

    assert (found["syncs"], found["kills"], found["flushes"], found["restarts"]) == (40, 3, 1, 1)
    assert 0 <= found["kills_in_flight"] <= found["kills"]
    assert found["dropped"] > 0


@pytest.mark.timeout(600)
def test_who_interrupts_it_is_told_of_what_was_done_and_nothing_of_it_is_left(place: Path) -> None:
    chaos = begin(place, "--syncs", "10000", "--kills", "1000")
    assert chaos.stderr is not None
    next(line for line in chaos.stderr if "syncs" in line)

    chaos.send_signal(signal.SIGINT)

    assert 0 < end(chaos, place)["syncs"] < 10_000


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
