"""The fake EHR in a process of its own, so that it takes nothing from those who are measured or killed.

``with running() as remote:`` starts it; its moods are set from outside through ``POST control``, which only it knows.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import sleep
from typing import Any

import requests

from bench.chaos import hurry
from bench.fake_ehr.moods import SPARED, Mood, chance
from bench.fake_ehr.server import FakeEhr
from bench.fake_ehr.shelf import TICK
from bench.fake_ehr.wire import Answer, Body, Request

CONTROL = "control"
PATIENCE_SECONDS = 30.0
MANNERS: Mapping[str, float] = {
    "skew_seconds": 0.0,
    "tick_seconds": TICK.total_seconds(),
    "page": 100,
    "shifts": False,
    "service_seconds": 0.0,
}
"""How far its clock is ahead, how far apart two changes are (none: many have the same instant), the size of its largest page,
whether others' changes shift its pages, and how long it takes over each request, and over each of a Bundle, as one that stores does.
"""


@dataclass(frozen=True, slots=True)
class Remote:
    """A fake EHR elsewhere: ``base_url`` is its FHIR base."""

    base_url: str

    def behave(self, seed: int = 0, moods: Mapping[str, float] | None = None, **manners: float) -> None:
        """From now on misbehave with these probabilities; none at all is good behaviour. ``manners``: see `MANNERS`."""
        self._tell({"seed": seed, "moods": dict(moods or {}), **MANNERS, **manners})

    def put(self, changes: Sequence[tuple[Body, float]]) -> list[Body]:
        """Write as somebody who works there does, each committed so many seconds after the time that it bears; give what is there then."""
        written: list[Body] = self._tell({"put": changes})
        return written

    def counts(self) -> dict[str, int]:
        """How often it has misbehaved in each way, and under ``requests`` how many it had but for its own people's."""
        found: dict[str, int] = self._tell({})
        return found

    def all(self, type_: str) -> list[Body]:
        """Everything of a type."""
        found: list[Body] = self._tell({"all": type_})
        return found

    def _tell(self, words: Body) -> Any:
        reply = requests.post(f"{self.base_url}/{CONTROL}", json=words, headers={SPARED: "1"}, timeout=PATIENCE_SECONDS)
        reply.raise_for_status()
        return reply.json()


class _Controlled(FakeEhr):
    """It keeps no requests, which would fill its memory; it counts what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[str, int] = {"requests": 0}
        self.service_seconds = 0.0

    def present(self) -> datetime:
        """As fast as its parent's clock."""
        return hurry.present() + self.skew

    def respond(self, request: Request) -> Answer:
        """An answer, or what is asked for from outside."""
        if request.path == CONTROL:
            return Answer(200, self._controlled(request.body or {}))
        answer = super().respond(request)
        self.requests.clear()
        if self.service_seconds and SPARED not in request.headers:
            sleep(self.service_seconds * len((request.body or {}).get("entry", "1")))  # beside others, as on disks
        return answer

    def _controlled(self, words: Body) -> Any:
        with self._lock:
            if "all" in words:
                return self.all(words["all"])
            if "put" in words:
                return [self.put(body, timedelta(seconds=late)) for body, late in words["put"]]
            if "moods" in words:
                self.skew, self.shelf.tick = (
                    timedelta(seconds=words[name]) for name in ("skew_seconds", "tick_seconds")
                )
                self.page, self.shifts = int(words["page"]), bool(words["shifts"])
                self.service_seconds = words["service_seconds"]
                self.mood = self.counting(words["seed"], words["moods"])
            return self.counted

    def counting(self, seed: int, moods: Mapping[str, float]) -> Mood:
        """Chance that counts."""
        drawn = chance(seed, moods)

        def mood(request: Request) -> str:
            name = drawn(request)
            self.counted["requests"] += SPARED not in request.headers
            if name:
                self.counted[name] = self.counted.get(name, 0) + 1
            return name

        return mood


@contextmanager
def running() -> Iterator[Remote]:
    """Start one; it ends with the code inside, or with its parent's end of the pipe."""
    command = [sys.executable, "-m", "bench.fake_ehr.process"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 (asked for above)
        yield Remote(process.stdout.readline().split()[1])
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Serve until standard input ends."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with _Controlled() as ehr:
        ehr.mood = ehr.counting(0, {})
        print(f"ready {ehr.base_url}", flush=True)
        threading.Thread(target=_await_end_of_input, args=(stopped,), daemon=True).start()
        stopped.wait()


def _await_end_of_input(stopped: threading.Event) -> None:
    sys.stdin.read()
    stopped.set()


if __name__ == "__main__":
    main()
