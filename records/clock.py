"""The time and the randomness of the house, injected so that a year can be simulated from a seed.

``now()`` is UTC. A context (``with clock.at(instant):``) replaces it for the code inside, per thread or task; `run` gives the
whole process another clock.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_fixed: ContextVar[datetime | None] = ContextVar("baton_now", default=None)
_random: ContextVar[random.Random | None] = ContextVar("baton_random", default=None)
_system_random = random.SystemRandom()
_running: list[Callable[[], datetime]] = [lambda: datetime.now(UTC)]


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return _fixed.get() or _running[0]()


def run(present: Callable[[], datetime]) -> None:
    """Let this process have that clock, which gives aware instants in UTC, from now on."""
    _running[:] = [present]


@contextmanager
def at(instant: datetime, generator: random.Random | None = None) -> Iterator[None]:
    """Fix the time (and, if given, the source of randomness) for the code inside."""
    time_token, random_token = _fixed.set(instant), _random.set(generator or _random.get())
    try:
        yield
    finally:
        _fixed.reset(time_token)
        _random.reset(random_token)


def new_id() -> str:
    """A time-ordered id, UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then randomness."""
    bits = (int(now().timestamp() * 1000) & (1 << 48) - 1) << 80 | (_random.get() or _system_random).getrandbits(80)
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
