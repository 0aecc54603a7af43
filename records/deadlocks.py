"""Two who wait for each other: PostgreSQL ends the work of one, which is done anew (docs/decisions/0124)."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 3


def tried_again(work: Callable[P, T]) -> Callable[P, T]:
    """Let a function whose writes are all in one transaction of its own begin again after a deadlock.

    Inside another's transaction it doesn't, since that one holds what the others wait for. Arguments are used again: none
    may be an iterator.
    """

    @wraps(work)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        for _try in range(0 if connection.in_atomic_block else TRIES - 1):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if not isinstance(error.__cause__, DeadlockDetected):
                    raise
        return work(*args, **kwargs)

    return done
