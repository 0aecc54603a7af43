"""Wakes a worker after a commit. A convenience: what is to be done stands in PostgreSQL, and the schedule finds it.

A broker that is away costs one request a moment, and the next ones nothing while the breaker is open; no request fails.
"""

import logging
import time
from collections import Counter
from functools import partial
from typing import Final

from celery.exceptions import CeleryError
from django.db import transaction
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.pools import producers
from redis import RedisError

from config.celery import app

REST_SECONDS: Final = 15.0
# What the rooms call it → the Celery task that takes its id
TASKS: Final = {"push": "fhir_bridge.tasks.push", "pull": "fhir_bridge.tasks.pull"}

log = logging.getLogger(__name__)
counted: Counter[str] = Counter()
"""``sent``, ``failed`` and ``spared`` (not tried, as the last one failed just now) wake-ups of this process."""

_broker = Connection(
    app.conf.broker_write_url,
    transport_options={"socket_connect_timeout": 0.3, "socket_timeout": 0.5, "max_retries": 0},
)
_not_before = 0.0  # on the monotonic clock; a race between threads costs one more attempt, no more


def wake(name: str, identifier: int | str) -> None:
    """Once this transaction has committed (now, outside one), wake the worker for ``name`` with an id. Never raises."""
    transaction.on_commit(partial(_send, name, identifier), robust=True)


def _send(name: str, identifier: int | str) -> None:
    global _not_before  # noqa: PLW0603 - the breaker is one per process
    if time.monotonic() < _not_before:
        counted["spared"] += 1
        return
    try:
        with producers[_broker].acquire(block=True, timeout=0.5) as producer:
            app.send_task(TASKS[name], args=[identifier], producer=producer, retry=False, ignore_result=True)
    except (KombuError, CeleryError, RedisError, OSError) as error:
        _not_before = time.monotonic() + REST_SECONDS
        counted["failed"] += 1
        log.warning("wake-up not sent: %s", type(error).__name__)
    else:
        counted["sent"] += 1
