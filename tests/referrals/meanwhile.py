"""Somebody else at the same moment: on a connection of their own, done or waiting for us."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from django.db import connection, transaction

from records import clock
from tests.referrals.ward import MONDAY

T = TypeVar("T")


def waiting() -> int:
    """How many wait for a lock of somebody else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def meanwhile(others: ThreadPoolExecutor, does: Callable[[], T], at: datetime = MONDAY) -> Future[T]:
    """Somebody else, on a connection of their own, does that: begun when this returns, and done or waiting for us."""

    def on_their_own() -> T:
        try:
            with clock.at(at):
                return does()
        finally:
            connection.close()

    before = waiting()
    future = others.submit(on_their_own)
    while not future.done() and waiting() == before:
        pass
    return future


def overtaken(first: Callable[[], object], second: Callable[[], T], at: datetime = MONDAY) -> T:
    """What comes of the second, which began before the first was committed."""
    with ThreadPoolExecutor(1) as others, clock.at(at):
        with transaction.atomic():
            first()
            future = meanwhile(others, second, at)
        return future.result()
