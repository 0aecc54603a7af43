"""How much all workers on all hosts together ask of one partner: so many requests a minute, so many at once.

PostgreSQL is the truth. The rate is a row per partner that says until when its time is used up (GCRA), moved by one
statement on the database's clock: hosts' clocks differ. A seat is an advisory lock of the worker's session, which a killed worker gives back by dying. Where no bound is set nothing is asked.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.db import connection

from fhir_bridge.models import Partner
from records import errors

BURST_SECONDS = 2.0
"""What was not used of the rate in these last seconds may be used at once."""
LONGEST_WAIT_SECONDS = 30.0
MOST_AT_ONCE = 64
_LOCKS = 0x73656174  # the first half of these advisory locks, so that they meet nobody else's
_BETWEEN_TRIES_SECONDS = 0.05

Gate = Callable[[], AbstractContextManager[None]]
Sleep = Callable[[float], None]

_TAKE = """
INSERT INTO fhir_bridge_pace AS pace (partner_id, used_until)
     VALUES (%(partner)s, clock_timestamp() - %(burst)s::interval + %(gap)s::interval)
ON CONFLICT (partner_id) DO UPDATE
        SET used_until = greatest(pace.used_until, clock_timestamp() - %(burst)s::interval) + %(gap)s::interval
      WHERE pace.used_until < clock_timestamp() + %(longest)s::interval
  RETURNING extract(epoch FROM used_until - %(gap)s::interval - clock_timestamp())
"""
# rows are made and looked at one by one, and no further than to the first lock that is had
_SIT = """
SELECT seat FROM generate_series(0, %s - 1) AS seat WHERE pg_try_advisory_lock(%s, %s + seat) LIMIT 1
"""


class Full(errors.Throttled):
    """We have asked as much of this partner as we may; the request has not been sent."""

    def __init__(self) -> None:
        super().__init__("As much is being asked of this partner as its settings allow.", retry_after=5.0)


def gate(partner: Partner, sleep: Sleep = time.sleep) -> Gate:
    """What each request to the partner passes: it waits there for its turn, and raises `Full` after half a minute."""
    if partner.requests_per_minute is None and partner.concurrency is None:
        return nullcontext
    return lambda: _passing(partner, sleep)


@contextmanager
def _passing(partner: Partner, sleep: Sleep) -> Iterator[None]:
    with _seat(partner, sleep) if partner.concurrency else nullcontext():
        if partner.requests_per_minute:
            wait = take_turn(partner.pk, partner.requests_per_minute)
            if wait > 0:
                sleep(wait)
        yield


def take_turn(partner_id: int, per_minute: int) -> float:
    """Seconds until the turn that is ours now; `Full` when that would be too far away, and none was taken."""
    values: dict[str, str | int] = {
        "partner": partner_id,
        "burst": _interval(BURST_SECONDS),
        "gap": _interval(60.0 / per_minute),
        "longest": _interval(LONGEST_WAIT_SECONDS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        row = cursor.fetchone()
    if row is None:
        raise Full
    return max(float(row[0]), 0.0)


@contextmanager
def _seat(partner: Partner, sleep: Sleep) -> Iterator[None]:
    waited = 0.0
    while (taken := _sit(partner)) is None:
        if waited >= LONGEST_WAIT_SECONDS:
            raise Full
        sleep(_BETWEEN_TRIES_SECONDS)
        waited += _BETWEEN_TRIES_SECONDS
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, taken])


def _sit(partner: Partner) -> int | None:
    """The number of a seat that was free and is ours now."""
    first = partner.pk * MOST_AT_ONCE
    with connection.cursor() as cursor:
        cursor.execute(_SIT, [partner.concurrency, _LOCKS, first])
        row = cursor.fetchone()
    return None if row is None else first + int(row[0])


def _interval(seconds: float) -> str:
    return f"{seconds} seconds"
