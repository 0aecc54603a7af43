"""Wake-ups, with a real worker behind a real broker, with none, and with one that does not answer."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from config import embedded
from config.wake import counted, wake

ROOT = Path(__file__).resolve().parents[2]
WAKE_THREE = """
import json, sys, time
import django
django.setup()
from config.wake import counted, wake
started = time.monotonic()
for partner in (1, 2, 3):
    wake("push", partner)
print(json.dumps({"counted": counted, "seconds": time.monotonic() - started}))
"""


def environment(broker: str) -> dict[str, str]:
    """A process that sees this test's database and that broker."""
    settings = connection.settings_dict
    url = f"postgres://{settings['USER']}@/{settings['NAME']}?host={settings['OPTIONS'].get('host', settings['HOST'])}"
    named = {"DATABASE_URL": url, "REDIS_URL": broker, "DJANGO_SETTINGS_MODULE": "config.settings"}
    return {**os.environ, **named}


def wake_three(broker: str) -> dict[str, int | float]:
    """Counts of what became of three wake-ups in a new process, and how long they took."""
    done = subprocess.run(
        [sys.executable, "-c", WAKE_THREE],
        cwd=ROOT,
        env=environment(broker),
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    return {**told["counted"], "seconds": told["seconds"]}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)  # pytest's own folders: let the broker's account through
    with embedded.broker(embedded.home(tmp_path / "data")) as part:
        yield part.url


@pytest.mark.django_db
def test_a_dead_broker_fails_nobody_and_is_asked_once() -> None:
    told = wake_three("redis://127.0.0.1:1/0")
    assert (told["failed"], told["spared"]) == (1, 2)
    assert told["seconds"] < 2


@pytest.mark.django_db
def test_a_wake_up_waits_for_the_commit_and_is_forgotten_with_what_is_undone(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """Law 8: nothing leaves the process inside a transaction."""
    before = counted.copy()
    with django_capture_on_commit_callbacks() as after_commit:
        wake("push", 1)
        assert counted == before, "nothing was tried yet"
        with pytest.raises(IntegrityError), transaction.atomic():
            wake("push", 2)
            raise IntegrityError
    assert len(after_commit) == 1
    assert counted == before


@pytest.mark.django_db
def test_a_broker_that_does_not_answer_holds_nobody_up() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        told = wake_three(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
    assert (told["failed"], told["spared"]) == (1, 2)
    assert told["seconds"] < 2


@pytest.mark.django_db
def test_a_worker_hears_every_wake_up(broker: str) -> None:
    command = [sys.executable, "-m", "celery", "--app", "config.celery:app", "--quiet", "worker"]
    app = Celery(broker=broker)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(broker), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as worker:
        try:
            assert wake_three(broker)["sent"] == 3
            assert _handled(app, "fhir_bridge.tasks.push") == 3
        finally:
            worker.terminate()


def _handled(app: Celery, task: str, patience_seconds: int = 60) -> int:
    """How many the worker has taken, asked until there are three or patience ends; each question waits for an answer."""
    give_up = time.monotonic() + patience_seconds
    count = 0
    while count < 3 and time.monotonic() < give_up:
        for stats in (app.control.inspect(timeout=1).stats() or {}).values():
            count = stats["total"].get(task, 0)
    return count
