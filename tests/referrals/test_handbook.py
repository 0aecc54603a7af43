"""`docs/pathways.md` is what the tables say, and can be read by somebody who has never seen them."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils.translation import override

from referrals import handbook
from referrals.pathways import HANDOFFS, LOOP_STAGES, REASONS, STAGES, TRANSITIONS

FILE = Path(__file__).resolve().parents[2] / "docs" / "pathways.md"


def test_the_committed_handbook_is_what_the_tables_say() -> None:
    written = StringIO()
    call_command("pathways", stdout=written)
    current = "write it anew: python manage.py pathways > docs/pathways.md"
    assert FILE.read_text().splitlines() == written.getvalue().splitlines(), current


@pytest.mark.parametrize("language", ["es", "ru"])
def test_it_is_in_english_whoever_writes_it(language: str) -> None:
    with override(language):
        assert handbook.text().splitlines() == FILE.read_text().splitlines()


def test_every_row_of_the_tables_is_told() -> None:
    text = FILE.read_text()
    with override("en"):
        words = [str(one.label) for table in (HANDOFFS, STAGES, LOOP_STAGES, REASONS) for one in table.values()]
        words += [str(one.label) for one in TRANSITIONS]
    # A kind that nothing but another action ends has a stage for it that no arrow leads to.
    assert {word for word in words if word not in text} <= {"overtaken by another step"}


def test_every_diagram_names_what_it_draws() -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", FILE.read_text(), re.DOTALL)
    assert len(diagrams) == 3 + len(HANDOFFS) - 1
    for diagram in diagrams:
        named = set(re.findall(r'state ".*" as (\w+)', diagram)) | {"[*]"}
        drawn = {word for pair in re.findall(r"(\S+) --> ([\w\[\]*]+)", diagram) for word in pair}
        assert drawn <= named
        assert diagram.count("{") == diagram.count("}")


def test_it_speaks_to_people_and_not_in_codes() -> None:
    tables = [line for line in FILE.read_text().splitlines() if line.startswith("| ") and "Task.status" not in line]
    codes = [code for _kind, code in STAGES if "-" in code] + [one.action for one in TRANSITIONS if "-" in one.action]
    told = {code for code in codes for line in tables if f" {code} " in line}
    assert told <= {"in-progress", "entered-in-error", "no-show", "follow-up"}, "FHIR's own words apart"
