"""The workers, and what breaks them."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench.chaos import hurry

ROOT = Path(__file__).resolve().parents[2]
CELERY = (sys.executable, "-m", "celery", "--app", "config.celery:app", "--quiet")
WORKER = (*CELERY, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "ERROR")


@dataclass
class Machinery:
    """``workers`` real worker processes and a clock, as the product starts them; a broker, a database.

    ``restart`` takes the database down, as a crash does when told so, and up again. ``in_child`` is called in each
    process before it starts, so that none outlives this one.
    """

    environment: Mapping[str, str]
    restart: Callable[[bool], None]
    in_child: Callable[[], None]
    logs: Path
    chance: random.Random = field(default_factory=random.Random)
    workers: int = 2
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within, they work."""
        beat = (*CELERY, "beat", "--schedule", str(self.logs / "beat"), "--pidfile", "", "--loglevel", "ERROR")
        try:
            self._start("beat", beat)
            for number in range(self.workers):
                self._start_worker(number)
            yield
        finally:
            for process in self.running.values():
                _kill(process)

    def kill(self) -> None:
        """Kill one worker with all its children, in the middle of whatever they do; another takes its place."""
        number = self.chance.randrange(self.workers)
        _kill(self.running[f"worker-{number}"])
        self._start_worker(number)

    def flush(self) -> None:
        """The broker forgets every message that waits in it."""
        redis.Redis.from_url(self.environment["REDIS_URL"].replace("redis+socket://", "unix://")).flushall()

    def restart_database(self) -> None:
        """The database goes down, in order or by a crash, and comes back."""
        self.restart(self.chance.random() < 0.5)  # noqa: PLR2004

    def keep(self) -> None:
        """Start again what has ended by itself, as the product's supervisor does."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self._start(name, tuple(process.args))  # type: ignore[arg-type]

    def _start_worker(self, number: int) -> None:
        name = f"worker-{number}"
        self._start(name, (*WORKER, "--hostname", f"{name}@chaos", "--include", hurry.__name__))

    def _start(self, name: str, command: tuple[str, ...]) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self.in_child,  # noqa: PLW1509 - one libc call, no lock taken
            )


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
