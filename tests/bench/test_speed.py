"""The benchmark measures every work at both sizes, on copies that look like what they were copied from."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.management.commands.bench import ORIGINALS, TIMES

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_timed_on_a_small_and_on_a_large_database() -> None:
    """In a process of its own, as the command leads Django's connection to a database of its own."""
    found = bench("loops", "--loops", str(ORIGINALS * TIMES))

    assert found["loops"] == [ORIGINALS, ORIGINALS * TIMES]
    for name, figures in found["measures"].items():
        assert all(milliseconds > 0 for milliseconds in figures["milliseconds"]), name


def test_an_exchange_of_some_hundred_resources_is_timed_against_a_bare_client() -> None:
    sizes = ("--sent", "60", "--heard", "150", "--connections", "2")
    runs = bench("exchange", *sizes, "--service-ms", "5")

    assert list(runs) == ["exchange", "exchange, 5 ms"]
    for found in runs.values():
        assert list(found) == ["sent: new", "sent: changed", "heard", "heard, against keeping", "heard again"]
        assert (found["sent: changed"]["items"], found["heard"]["items"]) == (60, 150)
        for name, figures in found.items():
            assert all(figure > 0 for figure in figures.values()), name
    assert runs["exchange, 5 ms"]["sent: changed"]["bare_per_second"] < 2 * 1000 / 5, "each of two takes one at a time"


def test_some_hundred_changes_are_heard_once_each_from_ehrs_that_make_it_hard() -> None:
    found = bench("hearing", "--changes", "600", "--connections", "2")["hearing"]

    assert (found["lost"], found["doubled"], found["unapplied"]) == (0, 0, 0)
    assert found["changes"] == 600
    assert 0 < found["resources"] <= found["versions"] <= 600


def bench(*arguments: str) -> dict[str, Any]:
    """Where connections are pooled, as for the web: what a command forks must draw none from a pool."""
    command = [sys.executable, "manage.py", "bench", *arguments, "--json"]
    pooled = {**os.environ, "DATABASE_POOL": "true"}
    ran = subprocess.run(command, cwd=ROOT, env=pooled, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_too_few_loops_to_grow_are_refused() -> None:
    with pytest.raises(CommandError, match="whole number"):
        call_command("bench", "--loops", "7")
