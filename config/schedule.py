"""What happens periodically: one table, run by the worker's clock or by ``manage.py run_due``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

from django.db import connection
from django.utils.module_loading import import_string

from records import clock

_LOCKS = 0x6261746F  # the first half of our advisory locks, so that they meet nobody else's


@dataclass(frozen=True, slots=True)
class Job:
    """Work for every ``every``: ``call`` is the dotted path of a function of the present instant (UTC)."""

    name: str
    every: timedelta
    call: str


SCHEDULE = (
    Job("escalation", timedelta(minutes=1), "referrals.escalation.sweep"),
    Job("mail", timedelta(minutes=1), "referrals.mailing.send_due"),
    Job("silence", timedelta(minutes=1), "referrals.upheavals.silence.sweep"),
    Job("merges", timedelta(minutes=1), "referrals.upheavals.merge.sweep"),
    Job("push", timedelta(seconds=5), "fhir_bridge.tasks.push_due"),
    Job("pull", timedelta(seconds=10), "fhir_bridge.tasks.pull_due"),
    Job("ageing", timedelta(minutes=1), "fhir_bridge.pending.ageing.sweep"),
    Job("unread", timedelta(minutes=1), "fhir_bridge.inbound.unread.sweep"),
    Job("reconcile", timedelta(minutes=5), "fhir_bridge.tasks.reconcile_due"),
    Job("discover", timedelta(hours=1), "fhir_bridge.tasks.discover_due"),
    Job("keys", timedelta(hours=6), "fhir_bridge.connecting.keys.tend"),
)
JOBS = {job.name: job for job in SCHEDULE}


def run(name: str) -> bool:
    """Run a job now; False when it runs already, in whatever process: then nothing is done.

    Raises KeyError for a name that the table does not have, and whatever the job raises.
    """
    with _alone(name) as is_ours:
        if is_ours:
            import_string(JOBS[name].call)(clock.now())
    return is_ours


@contextmanager
def _alone(name: str) -> Iterator[bool]:
    """Hold the job's advisory lock, which ends with the database session at the latest: a killed worker holds nothing."""
    key = crc32(name.encode()) - (1 << 31)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, key])
        is_ours: bool = cursor.fetchone()[0]
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, key])
