"""What a person sees when `make run` can't: one line, no trace, a status that is not 0."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import run

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}


def refusal(command: list[str], **environment: str) -> str:
    """Run it; check that it refuses with one line, and return that."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("baton: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


RUN = [sys.executable, "-m", "config.run"]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def free() -> str:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return str(tried.getsockname()[1])


def test_a_port_in_use_is_named(tmp_path: Path, taken: int) -> None:
    assert f"127.0.0.1:{taken}" in refusal(RUN, BATON_DATA=str(tmp_path), PORT=str(taken))


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    assert f"PORT={port}" in refusal(RUN, BATON_DATA=str(tmp_path), PORT=port)


def test_an_unreachable_database_is_said(tmp_path: Path, free: str) -> None:
    assert "DATABASE_URL" in refusal(RUN, BATON_DATA=str(tmp_path), PORT=free, **NOWHERE)


def test_an_address_that_is_none_is_said(tmp_path: Path, free: str) -> None:
    assert "DATABASE_URL" in refusal(RUN, BATON_DATA=str(tmp_path), PORT=free, DATABASE_URL="what?")


def test_an_unreachable_broker_is_said(tmp_path: Path, free: str) -> None:
    environment = {"DATABASE_URL": os.environ["DATABASE_URL"].replace("/baton?", "/postgres?")}
    said = refusal(RUN, BATON_DATA=str(tmp_path), PORT=free, REDIS_URL=NOWHERE["REDIS_URL"], **environment)
    assert "REDIS_URL" in said


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "runs already" in refusal(RUN, BATON_DATA=str(tmp_path))
        assert "running" in refusal([sys.executable, "config/bootstrap.py", "clean"], BATON_DATA=str(tmp_path))


def test_cleaning_takes_nothing_that_is_not_batons(tmp_path: Path) -> None:
    checkout, theirs = tmp_path / "checkout" / "config", tmp_path / "theirs"
    checkout.mkdir(parents=True)
    shutil.copy(ROOT / "config" / "bootstrap.py", checkout)
    (theirs / "postgres").mkdir(parents=True)
    (theirs / "own.txt").write_text("mine", encoding="utf-8")
    clean = [sys.executable, str(checkout / "bootstrap.py"), "clean"]
    environment = os.environ | {"BATON_DATA": str(theirs)}
    subprocess.run(clean, env=environment, check=True)
    assert sorted(each.name for each in theirs.iterdir()) == ["own.txt", "postgres"], "it never was our folder"
    (theirs / "environment.lock").touch()
    subprocess.run(clean, env=environment, check=True)
    assert [each.name for each in theirs.iterdir()] == ["own.txt"]


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal([sys.executable, "config/bootstrap.py", "run"], BATON_DATA=str(tmp_path / "file" / "data"))
    assert "can't write" in said


def test_a_python_without_venv_is_said(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    said = refusal([sys.executable, "config/bootstrap.py", "run"], PYTHONPATH=str(tmp_path), BATON_DATA=str(tmp_path))
    assert "venv" in said


def test_an_old_postgresql_is_refused() -> None:
    with pytest.raises(run.RefusedError, match=r"PostgreSQL 15.* 16 or newer"):
        run.check_version(150_018)
    run.check_version(160_000)


def test_an_older_python_says_what_is_needed(tmp_path: Path) -> None:
    asked = [shutil.which("python3.10") or "false", "-c", "import sys; print(sys.executable)"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("an older Python needed: python3.10")
    said = refusal([found.stdout.strip(), "config/bootstrap.py", "run"], PATH=str(tmp_path), BATON_DATA=str(tmp_path))
    assert "3.11" in said


def test_another_port_leaves_baton_who_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in run.ORIGINS:
        monkeypatch.delenv(name, raising=False)
    first, second = "http://127.0.0.1:8000", "http://127.0.0.1:9000"
    assert run.origins(tmp_path, first) == {"BATON_BASE_URL": first, "BATON_SERVED_URL": first}
    assert run.origins(tmp_path, second) == {"BATON_BASE_URL": first, "BATON_SERVED_URL": second}

    monkeypatch.setenv("BATON_BASE_URL", "https://baton.example")
    named = {"BATON_BASE_URL": "https://baton.example", "BATON_SERVED_URL": "https://baton.example"}
    assert run.origins(tmp_path, second) == named


def test_what_the_run_before_has_said_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    run.keep_previous(log)
    for said in ("older", "crashed"):
        log.write_text(said, encoding="ascii")
        run.keep_previous(log)
    assert not log.exists()
    assert (tmp_path / "web.log.1").read_text(encoding="ascii") == "crashed"
