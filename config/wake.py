"""Wakes a worker after a commit. A convenience: what is to be done stands in PostgreSQL, and the schedule finds it.

A broker that is away may cost a request a moment once, and nothing while the breaker is open; no request ever fails.
"""

import logging
import time
from collections import Counter
from functools import partial
from threading import Lock

from celery.exceptions import CeleryError
from django.db import transaction
from kombu.exceptions import KombuError

from config.celery import app

REST_SECONDS = 15.0
# What the rooms call it → the Celery task that takes its id
TASKS = {"push": "fhir_bridge.tasks.push", "pull": "fhir_bridge.tasks.pull"}

log = logging.getLogger(__name__)
counted: Counter[str] = Counter()
"""``sent``, ``failed`` and ``spared`` (not tried while the broker rests) wake-ups of this process."""


class _Breaker:
    """Closed until a failure; then open for REST_SECONDS, so that the next caller doesn't wait for a time-out too."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self._lock = Lock()

    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def trip(self) -> None:
        with self._lock:
            self._open_until = time.monotonic() + REST_SECONDS

    def close(self) -> None:
        self._open_until = 0.0


breaker = _Breaker()


def wake(name: str, identifier: int | str) -> None:
    """Once this transaction has committed (now, outside one), wake the worker for ``name`` with an id. Never raises."""
    transaction.on_commit(partial(_send, name, identifier), robust=True)


def _send(name: str, identifier: int | str) -> None:
    if breaker.is_open():
        counted["spared"] += 1
        return
    try:
        app.send_task(TASKS[name], args=[identifier], retry=False, ignore_result=True)
    except (KombuError, CeleryError, OSError) as error:
        breaker.trip()
        counted["failed"] += 1
        log.warning("wake-up not sent: %s", type(error).__name__)
    else:
        counted["sent"] += 1
