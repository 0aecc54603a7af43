"""A process that is killed at a chosen commit, told within one: nothing that it had not committed stays, and it does no more.

Inside a test's transaction a commit of ours is the release of a savepoint, or a write outside of any. Each is a point
with a name (the innermost functions of the bridge that it happens in) and two sides: just before it, and just after it. What
is sent to a partner lies between two of them, so that every exchange is met by a crash before it and by one after it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from django.db import connection

WRITES = ("INSERT", "UPDATE", "DELETE", "WITH")


class Crash(BaseException):
    """The process is gone. Nothing of ours can catch this."""


@dataclass(frozen=True, slots=True)
class Point:
    """One side of one commit."""

    name: str
    side: str

    def __str__(self) -> str:
        return f"{self.side} {self.name}"


@dataclass
class Process:
    """What runs within `alive`; it dies when ``dies_at`` says so of a point that it has reached, the how-many-th it is."""

    dies_at: Callable[[Point, int], bool] = lambda _point, _number: False
    reached: list[Point] = field(default_factory=list)
    is_dead: bool = False
    _outside: int = 0

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Its life; a crash ends it quietly."""
        self._outside = len(connection.savepoint_ids)
        with connection.execute_wrapper(self._execute):
            try:
                yield
            except Crash:
                assert self.is_dead

    def _execute(self, execute: Any, sql: str, *rest: Any) -> Any:
        if self.is_dead:
            return self._tidy_up(execute, sql, *rest)
        if not self._is_commit(sql):
            return execute(sql, *rest)
        name = _place()
        if self._dies(Point(name, "before")):
            if sql.startswith("RELEASE SAVEPOINT"):
                execute(sql.replace("RELEASE", "ROLLBACK TO", 1), *rest)
            raise Crash
        done = execute(sql, *rest)
        if self._dies(Point(name, "after")):
            raise Crash
        return done

    def _tidy_up(self, execute: Any, sql: str, *rest: Any) -> Any:
        """What the database does by itself when a session ends: the rest of the transaction is undone."""
        if "SAVEPOINT" not in sql:
            raise Crash
        return execute(sql, *rest)

    def _is_commit(self, sql: str) -> bool:
        is_outside = len(connection.savepoint_ids) == self._outside
        return is_outside and sql.lstrip().startswith(("RELEASE SAVEPOINT", *WRITES))

    def _dies(self, point: Point) -> bool:
        self.reached.append(point)
        self.is_dead = self.dies_at(point, len(self.reached))
        return self.is_dead


def _place() -> str:
    """The two innermost functions of the bridge that are being executed."""
    names: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(names) < 2:
        module = str(frame.f_globals["__name__"])
        if module.startswith("fhir_bridge."):
            names.append(f"{module.removeprefix('fhir_bridge.')}.{frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(names) or "outside"
