"""Baton and a hospital's EHR that are both written to, while messages get lost and workers die; and what must be true in
the end: whatever either side was told is in both, once, and nothing is left to be done.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.fake_ehr import Body, FakeEhr
from fhir_bridge import tasks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound.material import our_base
from fhir_bridge.sharing import references
from records import clock, store
from records.access import SYSTEM
from referrals.models import Handoff, Loop
from tests.fhir_bridge.crashes import Process
from tests.fhir_bridge.story import Story

# what a hospital says of a Task, in its order, and where that leaves our handoff
PATH = {"requested": "sent", "received": "in-triage", "accepted": "awaiting-booking", "in-progress": "in-progress"}
WORK: Mapping[str, Callable[[int], None]] = {
    "push": tasks.push,
    "pull": tasks.pull,
    "reconcile": lambda _partner: tasks.reconcile_due(clock.now()),
}
QUIET_DAYS = (0.001, 0.01, 0.1, 1.1, 2.2, 3.3)


@dataclass
class TwoSides:
    """``told`` are the notes that somebody wrote on either side of each Task, and that were taken there."""

    story: Story
    partner: Partner
    ehr: FakeEhr
    told: dict[str, list[str]] = field(default_factory=dict)
    skew: timedelta = timedelta()
    passed: timedelta = timedelta()

    @contextmanager
    def now(self) -> Iterator[None]:
        """The present on both sides; it is later each time."""
        self.wait(seconds=1)
        with clock.at(datetime.now(UTC) + self.passed):
            self.partner.refresh_from_db()
            yield

    def wait(self, **durations: float) -> None:
        """Let time pass on both sides."""
        self.passed += timedelta(**durations)
        self.ehr.skew = self.passed + self.skew

    # What people do

    def refer(self) -> None:
        with self.now():
            self.told[self.story.refer().pk] = []

    def note_here(self, number: int) -> None:
        """Somebody here says something about a Task."""
        with self.now():
            task = self._tasks()[number]
            self._note(task, "here")
            held = store.get("Task", task)
            store.write({**held, "note": [*held.get("note", []), {"text": self.told[task][-1]}]}, actor=SYSTEM)

    def note_there(self, number: int, late_seconds: float = 0.0) -> None:
        """Somebody there says something about a Task, in a transaction that may have lasted."""
        with self.now():
            task = self._tasks()[number]
            for held in self.copies(task):
                self._note(task, "there")
                said = {**held, "note": [*held.get("note", []), {"text": self.told[task][-1]}]}
                self.ehr.put(said, timedelta(seconds=late_seconds))

    def go_on_there(self, number: int) -> None:
        """The hospital takes the next step."""
        with self.now():
            for held in self.copies(self._tasks()[number]):
                further = list(PATH)[list(PATH).index(held["status"]) + 1 :]
                if further:
                    self.ehr.put({**held, "status": further[0]})

    def _tasks(self) -> list[str]:
        return list(self.told)

    def _note(self, task: str, where: str) -> None:
        self.told[task].append(f"{where} {len(self.told[task])}")

    # What workers do

    def work(self, name: str, process: Process | None = None) -> None:
        """A worker does what its task of that name does, in a process that may die; another does it when that is dead."""
        mine = process if process and not process.is_dead else Process()
        with self.now(), mine.alive():
            WORK[name](self.partner.pk)

    # What must be true when the faults have ended

    def copies(self, task: str) -> list[Body]:
        """The hospital's copies of a Task."""
        ours = references.identifier(self.origin, "Task", task)
        return [
            each
            for each in self.ehr.all("Task")
            if any({**named, **ours} == named for named in each.get("identifier", []))
        ]

    @property
    def origin(self) -> str:
        return str(our_base().removesuffix("/fhir"))

    def settle(self) -> None:
        """The faults have ended: work until nothing is left to do, for some days at most."""
        start = self.passed
        for days in QUIET_DAYS:
            self.passed = max(self.passed, start + timedelta(days=days))
            for name in ("push", "pull", "push"):
                self.work(name)
            if not self._open_work():
                break

    def check(self) -> None:
        """Whatever either side was told is in both, once; nothing waits, and nobody has anything to mend."""
        assert self._open_work() == []
        assert not Loop.objects.filter(kind__in=("upkeep", "unsolicited")).exists()
        for type_, number in self._expected().items():
            assert len(self.ehr.all(type_)) == number, type_
        for task, told in self.told.items():
            [theirs] = self.copies(task)
            ours = store.get("Task", task)
            assert texts(ours) == texts(theirs) == sorted(told)
            assert ours["status"] == theirs["status"]
            handoff = Handoff.objects.get(pk=task)
            assert handoff.stage == PATH[theirs["status"]]
            actions = Counter(handoff.loop.events.values_list("action", flat=True))
            assert actions["accept"] <= 1, actions

    def _expected(self) -> dict[str, int]:
        number = len(self.told)
        once = min(number, 1)
        return {
            "Task": number,
            "ServiceRequest": number,
            "Patient": once,
            "Practitioner": once,
            "Organization": 2 * once,
        }

    def _open_work(self) -> list[str]:
        links = Link.objects.exclude(state=Link.State.CLEAN)
        items = Inbox.objects.exclude(state__in=(Inbox.State.APPLIED, Inbox.State.DISCARDED))
        found: list[Link | Inbox] = [*links, *items]
        return [f"{each} {each.state} {each.error_text}" for each in found]


def texts(task: dict[str, Any]) -> list[str]:
    return sorted(each["text"] for each in task.get("note", []))
