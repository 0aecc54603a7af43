"""The benchmark measures every work at both sizes, on copies that look like what they were copied from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.management.commands.bench import ORIGINALS, TIMES

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_timed_on_a_small_and_on_a_large_database() -> None:
    """In a process of its own, as the command leads Django's connection to a database of its own."""
    command = [sys.executable, "manage.py", "bench", "--json", "--loops", str(ORIGINALS * TIMES)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    found = json.loads(said)
    assert found["loops"] == [ORIGINALS, ORIGINALS * TIMES]
    for name, figures in found["measures"].items():
        assert all(milliseconds > 0 for milliseconds in figures["milliseconds"]), name


def test_too_few_loops_to_grow_are_refused() -> None:
    with pytest.raises(CommandError, match="whole number"):
        call_command("bench", "--loops", "7")
