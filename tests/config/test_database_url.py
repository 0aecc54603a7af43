"""A database that isn't PostgreSQL is refused in one line, whichever way Baton is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import running

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("url", ["", "postgres://me@here/baton", "postgresql:///baton?host=/run"])
def test_postgresql_is_taken(url: str) -> None:
    assert running.refusal_of_database(url) == ""


@pytest.mark.parametrize("url", ["mysql://me:secret@here/baton", "sqlite:///baton.db", "me:secret@here/baton", "baton"])
def test_anything_else_is_refused_without_its_password(url: str) -> None:
    said = running.refusal_of_database(url)
    assert said.startswith("DATABASE_URL must name a PostgreSQL database")
    assert "secret" not in said


def test_a_command_says_it_in_one_line_and_fails() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "mysql://me:secret@here/baton"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "not mysql" in done.stderr
    assert "secret" not in done.stderr
