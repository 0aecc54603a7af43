"""Whether a partner may be asked anything now, for all workers together: a circuit breaker whose state is the partner's row.

closed      fewer than `THRESHOLD` exchanges in a row have failed to arrive; one that can't be reached is left alone for
            a moment from the first on
open        it is left alone until ``not_before_at``, longer with each failure
half-open   that time is over: one worker asks (``probe_until``), the others wait for what becomes of it

A success closes it. Refusals say nothing about the line: being asked to wait (429) holds the partner for so long, a refusal
of our credentials pauses it until a person resumes it.
"""

from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q

from fhir_bridge.connecting.retries import LONGEST_RETRY_AFTER_SECONDS, Unreachable, pause_after
from fhir_bridge.models import Partner
from records import clock, errors

THRESHOLD = 5
PROBE_SECONDS = 90.0
"""Longer than an exchange with its token; a prober that died holds nobody up for longer."""

State = Literal["closed", "open", "half-open"]


def state_of(partner: Partner, now: datetime) -> State:
    """How the line to it stands."""
    if partner.failures < THRESHOLD:
        return "closed"
    return "open" if _is_held(partner, now) else "half-open"


def may_ask(partner: Partner) -> bool:
    """Whether this worker may begin an exchange: call it once before each piece of work, with the row as it is now.

    Of those who come when the circuit is half-open one hears yes.
    """
    now = clock.now()
    if not partner.is_active or _is_held(partner, now):
        return False
    if partner.failures < THRESHOLD:
        return True
    is_free = Q(probe_until=None) | Q(probe_until__lte=now)
    due = Q(not_before_at=None) | Q(not_before_at__lte=now)
    until = now + timedelta(seconds=PROBE_SECONDS)
    return Partner.objects.filter(is_free, due, pk=partner.pk).update(probe_until=until) == 1


def is_good(partner: Partner) -> bool:
    """Whether it may be asked for what can wait: never as the one question of a half-open circuit."""
    is_there = partner.failures < THRESHOLD and not _is_held(partner, clock.now())
    return is_there and partner.state != Partner.State.PAUSED


def answered(partner_id: int) -> None:
    """It has answered as it should: the line is good."""
    Partner.objects.filter(pk=partner_id).update(
        last_success_at=clock.now(), not_before_at=None, failures=0, failing_since=None, probe_until=None
    )


def failed(partner_id: int, error: errors.BatonError) -> None:
    """Note what went wrong in an exchange, once for each; the words are shown to people."""
    now = clock.now()
    row = Partner.objects.select_for_update(of=("self",)).get(pk=partner_id)
    row.last_failure_at, row.last_error, row.probe_until = now, error.message, None
    if isinstance(error, errors.Unavailable):
        _count(row, now, is_away=isinstance(error, Unreachable))
    if isinstance(error, errors.Throttled):
        pause = min(max(error.retry_after, 1.0), LONGEST_RETRY_AFTER_SECONDS)
        row.not_before_at = now + timedelta(seconds=pause)
    if isinstance(error, errors.Unauthenticated) and row.is_active:
        row.state, row.state_reason = Partner.State.PAUSED, error.message
    row.save(update_fields=_WRITTEN)


_WRITTEN = [
    "last_failure_at",
    "last_error",
    "probe_until",
    "failures",
    "failing_since",
    "not_before_at",
    "state",
    "state_reason",
]


def _count(row: Partner, now: datetime, *, is_away: bool) -> None:
    """One more; what several workers had under way when the line broke is one failure."""
    if _is_held(row, now):
        return
    row.failures, row.failing_since = row.failures + 1, row.failing_since or now
    if is_away or row.failures >= THRESHOLD:
        row.not_before_at = now + timedelta(seconds=pause_after(row.failures - 1))


def _is_held(partner: Partner, now: datetime) -> bool:
    return partner.not_before_at is not None and partner.not_before_at > now
