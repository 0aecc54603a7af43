"""One run from its seed: people act on both sides while everything around them breaks; then it ends, and is judged."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from bench.chaos import checker
from bench.chaos.checker import Finding
from bench.chaos.machinery import Machinery
from bench.chaos.people import People
from bench.fake_ehr.process import Remote
from fhir_bridge.inbound import watermarks
from fhir_bridge.models import Inbox, Link, Watermark
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import wakeups
from records import clock

SPEED = 10.0
"""How much faster than ours the clock of the run is: what waits a quarter of an hour is there in a minute and a half.

No faster: the lease of an exchange is a tenth of its length then, and an exchange on busy cores takes a second or more.
"""
BACKLOG = 60
PATIENCE_SECONDS = 180.0
LOOK_SECONDS = 0.5
KEEP_EVERY = 20
STRIKE_SECONDS = 1.0
JUST_SECONDS = 0.2
AWAY = (OperationalError, InterfaceError)
KINDS = ("lost", "duplicated", "unresolved")

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many changes, and how often what breaks; ``dropped`` is the probability that a reply is lost."""

    syncs: int
    kills: int
    flushes: int
    restarts: int
    dropped: float
    seed: int

    def breaks(self) -> dict[int, list[str]]:
        """Before which change what breaks; the same for the same seed."""
        chosen = random.Random(f"breaks {self.seed}")
        at: dict[int, list[str]] = {}
        for name, times in (("kill", self.kills), ("flush", self.flushes), ("restart", self.restarts)):
            for _time in range(times):
                at.setdefault(chosen.randrange(self.syncs), []).append(name)
        return at


@dataclass
class Run:
    """The parts of a run; ``counted`` is what has happened so far.

    ``is_over`` ends the playing before the next change: in the middle of one nobody could say what was told.
    """

    plan: Plan
    people: People
    machinery: Machinery
    remote: Remote
    partner: int
    tell: Tell = lambda _number: None
    counted: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    is_over: bool = False

    def play(self) -> None:
        """People act, and things break."""
        breaks = self.plan.breaks()
        deeds: Mapping[str, Callable[[], None]] = {
            "kill": self._kill,
            "flush": self.machinery.flush,
            "restart": self.machinery.restart_database,
        }
        self.remote.behave(self.plan.seed, {"dropped": self.plan.dropped})
        self.people.refer()
        self._await(0)  # from here on the workers work
        for number in range(self.plan.syncs):
            if self.is_over:
                return
            for name in breaks.get(number, ()):
                deeds[name]()
                self.counted[name] += 1
            self.people.act()
            self.counted["syncs"] += 1
            self._hint(number)
            self.tell(number + 1)

    def settle(self) -> None:
        """Nothing breaks any more: wait until everything is as it should be, or for as long as anything may take."""
        self.counted["dropped"] = self.remote.counts().get("dropped", 0)
        self.remote.behave()
        give_up = time.monotonic() + PATIENCE_SECONDS
        pause = LOOK_SECONDS
        while time.monotonic() < give_up:
            self.machinery.keep()
            self._wake()
            time.sleep(pause)
            if checker.is_idle():
                looked = time.monotonic()
                if not self.judge():
                    return
                pause = max(LOOK_SECONDS, time.monotonic() - looked)  # what looks has a half of the time at most

    def judge(self) -> list[Finding]:
        """What is wrong now."""
        there = {type_: self.remote.all(type_) for type_ in checker.COUNTED}
        self.findings = checker.check(self.people.history, there, self.people.origin)
        return self.findings

    def result(self) -> dict[str, Any]:
        """What came of it, in the words of the command's output."""
        kinds = Counter(finding.kind for finding in self.findings)
        return {
            **{kind: kinds[kind] for kind in KINDS},
            "syncs": self.counted["syncs"],
            "kills": self.counted["kill"],
            "kills_in_flight": self.counted["in_flight"],
            "flushes": self.counted["flush"],
            "restarts": self.counted["restart"],
            "dropped": self.counted["dropped"],
            "referrals": len(self.people.history.notes),
            "requests": self.remote.counts()["requests"],
            "seed": self.plan.seed,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def _kill(self) -> None:
        """Kill a worker while something is under way, if anything comes to be within a moment."""
        self._wake()
        give_up = time.monotonic() + STRIKE_SECONDS
        while not (is_under_way := _is_under_way()) and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS / 50)
        self.machinery.kill()
        self.counted["in_flight"] += is_under_way

    def _hint(self, number: int) -> None:
        """Wake the workers as a partner's notification does, and wait while they are far behind."""
        if number % KEEP_EVERY:
            return
        self.machinery.keep()
        self._wake()
        self._await(BACKLOG)

    def _await(self, most: int) -> None:
        """Let the workers work until no more than that is left to do, for as long as anything may take."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not self.is_over and _backlog() > most and time.monotonic() < give_up:
            self.machinery.keep()
            self._wake()
            time.sleep(LOOK_SECONDS / 5)

    def _wake(self) -> None:
        wakeups.after_commit("push", [self.partner])
        wakeups.after_commit("pull", [self.partner])


def _is_under_way() -> bool:
    """Whether a worker has just begun an exchange; a lease that is older may be a dead one's."""
    begun = clock.now() - timedelta(seconds=JUST_SECONDS * SPEED)
    try:
        sends = Link.objects.filter(
            state=Link.State.INFLIGHT, lease_until__gt=begun + timedelta(seconds=pushing.LEASE_SECONDS)
        )
        reads = Watermark.objects.filter(lease_until__gt=begun + timedelta(seconds=watermarks.LEASE_SECONDS))
        return sends.exists() or reads.exists()
    except AWAY:
        connection.close()
        return False


def _backlog() -> int:
    try:
        waiting = Link.objects.exclude(state=Link.State.CLEAN).count()
        return waiting + Inbox.objects.filter(state__in=(Inbox.State.PENDING, Inbox.State.WAITING)).count()
    except AWAY:
        connection.close()
        return BACKLOG + 1
