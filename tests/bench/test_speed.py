"""The benchmark measures every work at both sizes, on copies that look like what they were copied from."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.management.commands.bench import ORIGINALS, TIMES


@pytest.mark.xdist_group("simulate")
def test_everything_is_timed_on_a_small_and_on_a_large_database() -> None:
    said = StringIO()
    call_command("bench", "--json", "--loops", str(ORIGINALS * TIMES), stdout=said)

    found = json.loads(said.getvalue())
    assert found["loops"] == [ORIGINALS, ORIGINALS * TIMES]
    for name, figures in found["measures"].items():
        assert all(milliseconds > 0 for milliseconds in figures["milliseconds"]), name


def test_too_few_loops_to_grow_are_refused() -> None:
    with pytest.raises(CommandError, match="whole number"):
        call_command("bench", "--loops", "7")
