"""Holds the product's lists against the oracle's.

Missed: the oracle lists an item for a person or pool, and the product's list, its views included, lacks it. Ghost: the
other way round. Wrong: both list it, with another stage or due time. Orphan: an open handoff on nobody's list, or an
open loop without one. Late: an escalation recorded after the oracle's instant. Disagrees: one side does, or opens, what
the other refuses. The product answers from the database through the same queries as everybody's worklist.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from bench.oracle import Case, Item, Oracle
from bench.simulate.world import Person, World
from referrals import people
from referrals.models import Escalation, Handoff, Loop
from referrals.people import Lists
from referrals.worklists import Filters, Row, Scope, rows

WHOLE_PAGE = 200
NOBODY = "nowhere/nobody"
Place = tuple[str, str, str]
"""A viewer, one of its views, and the key of an item."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    kind: str
    at: datetime
    case: str
    text: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind}: {self.text}"


@dataclass(slots=True)
class Judge:
    """Compares, and remembers what it found. ``keys`` are the oracle's keys by the product's handoff ids."""

    world: World
    oracle: Oracle
    keys: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    open: dict[str, Item] = field(default_factory=dict)
    compared: int = 0
    late_seconds: int = 0
    late_in_outages_seconds: int = 0
    escalations: int = 0
    _last_escalation: int = 0
    _alarms: list[tuple[datetime, str, int, datetime]] = field(default_factory=list)
    _lists_known: dict[str, tuple[object, Lists]] = field(default_factory=dict)
    _rung: set[tuple[str, int, datetime]] = field(default_factory=set)

    def find(self, kind: str, at: datetime, case: str, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, at, case, text))

    def look(self, case: Case, patient: str, now: datetime) -> None:
        """Compare what stands of one case on the lists of every organisation that it concerns."""
        expected = {
            (viewer, view, item.key) for item in case.open() for viewer, view in self.oracle.standing(item, now)
        }
        sites = {
            case.placer,
            case.performer.partition("/")[0] or case.placer,
            *(viewer.partition("/")[0] for viewer, _v, _k in expected),
        }
        actual = self._seen_instead(expected, patient, case, now)
        for site in sorted(sites):
            reader = self._reader(site, now)
            if reader is not None:
                lists = self._lists_of(reader, now)
                page = rows(reader.actor, _about(case, patient, "organisation"), now=now, limit=WHOLE_PAGE, lists=lists)
                mine = [row for row in page.rows if self.cases.get(row.loop_id) is case]
                actual |= self._places(mine, site, now)
        self._judge(expected, actual, now)

    def _seen_instead(self, expected: set[Place], patient: str, case: Case, now: datetime) -> set[Place]:
        """What of a case is seen by those who should see it in another's stead, or because it is late."""
        found: set[Place] = set()
        for viewer in sorted({viewer for viewer, view, _key in expected if view == "stead"}):
            reader = self._of(self.world.readers(viewer), now)
            lists = self._lists_of(reader, now)
            page = rows(reader.actor, _about(case, patient, "team"), now=now, limit=WHOLE_PAGE, lists=lists)
            found |= self._instead([row for row in page.rows if self.cases.get(row.loop_id) is case], viewer)
        return found

    def _instead(self, found: Iterable[Row], viewer: str) -> set[Place]:
        """The rows that stand on another's list, read here for whatever reason: one row, however many there are."""
        return {(viewer, "stead", self.keys.get(row.handoff_id, row.handoff_id)) for row in found if row.via}

    def look_at_all(self, now: datetime) -> None:
        """Compare all lists in full, organisation by organisation, and look for orphans.

        One person or pool of each organisation, every day another, is also read in full as they read it themselves.
        """
        expected: set[Place] = set()
        for item in self.open.values():
            expected |= {(viewer, view, item.key) for viewer, view in self.oracle.standing(item, now)}
        actual: set[Place] = set()
        seen: set[str] = set()
        for site, viewers in self.world.sites.items():
            whole = self._read(self.world.at(site, "supervisor")[0], Filters(scope="organisation"), now)
            seen |= {row.handoff_id for row in whole}
            actual |= self._places(whole, site, now)
            self.look_as(viewers[now.toordinal() % len(viewers)], now)
        self._judge({place for place in expected if place[1] != "stead"}, actual, now)
        self._find_orphans(seen, now)

    def look_as(self, viewer: str, now: datetime) -> None:
        """Compare what one person or pool sees with their own eyes."""
        expected = {
            (viewer, view, item.key)
            for item in self.open.values()
            for who, view in self.oracle.standing(item, now)
            if who == viewer
        }
        reader = self._of(self.world.readers(viewer), now)
        actual: set[Place] = set()
        for one in self._lists(reader, viewer, now):
            actual |= {place for place in self._places(one, reader.site, now) if place[0] == viewer}
            actual |= self._instead(one, viewer)
        self._judge(expected, actual, now)

    def _lists(self, reader: Person, viewer: str, now: datetime) -> Iterable[list[Row]]:
        lists = people.lists_at(reader.actor, now)
        if not viewer.endswith("/pool"):
            yield self._read(reader, Filters(scope="mine"), now, lists)
            return
        for label in ("", "waiting", "chase"):
            yield self._read(reader, Filters(scope="team", label=label), now, lists)

    def _read(self, reader: Person, filters: Filters, now: datetime, lists: Lists | None = None) -> list[Row]:
        """A list to its end."""
        page = rows(reader.actor, filters, now=now, limit=WHOLE_PAGE, lists=lists)
        found = list(page.rows)
        while page.next:
            page = rows(reader.actor, filters, now=now, after=page.next, limit=WHOLE_PAGE, lists=lists)
            found += page.rows
        return found

    def _places(self, found: Iterable[Row], site: str, now: datetime) -> set[Place]:
        """Where these rows stand in the eyes of an organisation; a wrong stage or due time is noted on the way."""
        places: set[Place] = set()
        for row in found:
            key = self.keys.get(row.handoff_id, row.handoff_id)
            viewer = self.world.viewers.get(row.list_id, NOBODY)
            if viewer.startswith(f"{site}/"):
                places |= {(viewer, view, key) for view in ("list", *({"overdue"} & row.labels))}
            if row.placer == site:
                places |= {(f"{site}/pool", view, key) for view in {"waiting", "chase"} & row.labels}
            self._check_words(row, self.oracle.items.get(key), now)
        return places

    def _check_words(self, row: Row, item: Item | None, now: datetime) -> None:
        self.compared += 1
        if item is None or not item.is_open:
            return
        stage = item.stage if item.kind == "fulfil" or row.stage == "to-tell-today" else row.stage
        if row.due_at != item.due or row.stage != stage:
            theirs, ours = f"{stage} due {item.due}", f"{row.stage} due {row.due_at}"
            self.find("wrong", now, item.case.name, f"{item.key} is {ours}, must be {theirs}")

    def _judge(self, expected: set[Place], actual: set[Place], now: datetime) -> None:
        for kind, places in (("missed", expected - actual), ("ghost", actual - expected)):
            for viewer, view, key in sorted(places):
                item = self.oracle.items.get(key)
                self.find(kind, now, item.case.name if item else self._of_unknown(key), f"{key} on {viewer} ({view})")

    def _of_unknown(self, handoff: str) -> str:
        """The case of a handoff that the oracle knows nothing of."""
        loop = Handoff.objects.filter(pk=handoff).values_list("loop_id", flat=True).first()
        case = self.cases.get(loop or "")
        return case.name if case else ""

    def _find_orphans(self, seen: set[str], now: datetime) -> None:
        ours = {"closed_at": None, "accountable__in": list(self.world.viewers)}
        open_now = dict(Handoff.objects.filter(**ours).values_list("id", "loop_id"))
        for key in sorted(open_now.keys() - seen):
            self._note_loop("orphan", open_now[key], f"{self.keys.get(key, key)} is on nobody's list", now)
        open_loops = set(Loop.objects.filter(**ours).values_list("id", flat=True))
        for loop in sorted(open_loops - set(open_now.values())):
            self._note_loop("orphan", loop, "an open loop without a handoff", now)
        expected = {loop for loop, case in self.cases.items() if case.open()}
        for loop in sorted(expected ^ open_loops):
            self._note_loop("disagrees", loop, f"the loop is {'open' if loop in open_loops else 'closed'}", now)

    def _note_loop(self, kind: str, loop: str, text: str, now: datetime) -> None:
        case = self.cases.get(loop)
        self.find(kind, now, case.name if case else loop, text)

    def watch(self, item: Item, now: datetime) -> None:
        """What happens to it is to be seen; when it is overdue somebody has to hear of it."""
        if not item.is_open:
            self.open.pop(item.key, None)
            return
        self.open[item.key] = item
        for level, at, _who in self.oracle.hears(item):
            heappush(self._alarms, (max(at, now), item.key, level, item.due))

    def next_alarm(self) -> datetime | None:
        """When somebody must hear of something overdue next."""
        while self._alarms and not self._is_due(*self._alarms[0][1:]):
            heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def _is_due(self, key: str, level: int, due: datetime) -> bool:
        item = self.oracle.items[key]
        return item.is_open and item.due == due and (key, level, due) not in self._rung

    def _owing(self, now: datetime) -> dict[tuple[str, int], tuple[datetime, str]]:
        """What must have been heard of by now, each once: since when, and by whom."""
        owed = {}
        while (at := self.next_alarm()) is not None and at <= now:
            _at, key, level, due = heappop(self._alarms)
            self._rung.add((key, level, due))
            owed[key, level] = (
                at,
                next(who for number, _at, who in self.oracle.hears(self.oracle.items[key]) if number == level),
            )
        return owed

    def swept(self, now: datetime, *, was_down: bool) -> None:
        """Compare the escalations that were recorded since the last time with those that had to be."""
        owed = self._owing(now)
        new = Escalation.objects.filter(id__gt=self._last_escalation).order_by("id")
        for number, handoff, level, owner in new.values_list("id", "handoff_id", "level", "owner_id"):
            self._last_escalation = number
            if owner not in self.world.viewers:
                continue
            self.escalations += 1
            key = self.keys.get(handoff, handoff)
            at, hears = owed.pop((key, level), (now, "nobody"))
            self._check_hearer(key, level, self.world.viewers[owner], hears, now)
            seconds = int((now - at).total_seconds())
            if was_down:
                self.late_in_outages_seconds = max(self.late_in_outages_seconds, seconds)
            else:
                self.late_seconds = max(self.late_seconds, seconds)
        for (key, level), (at, hears) in owed.items():
            self.find(
                "late", now, self.oracle.items[key].case.name, f"{key}: {hears} hasn't heard (level {level}) since {at}"
            )

    def _check_hearer(self, key: str, level: int, heard: str, hears: str, now: datetime) -> None:
        if heard != hears:
            case = self.oracle.items[key].case.name if key in self.oracle.items else ""
            self.find("disagrees", now, case, f"{key}: level {level} went to {heard}, must go to {hears}")

    def _lists_of(self, reader: Person, now: datetime) -> Lists:
        """The lists that somebody reads; asked for anew once something has happened to people, or an absence begins or ends."""
        absences = tuple(number for number, one in enumerate(self.oracle.absences) if one[1] <= now < one[2])
        state = (self.world.upheavals, absences)
        known = self._lists_known.get(reader.name)
        if known is None or known[0] != state:
            known = self._lists_known[reader.name] = state, people.lists_at(reader.actor, now)
        return known[1]

    def _reader(self, site: str, now: datetime) -> Person | None:
        return self._of(self.world.at(site, "coordinator"), now) if self.oracle.houses[site].ours else None

    def _of(self, people: list[Person], now: datetime) -> Person:
        """Everybody in turn."""
        return people[now.toordinal() % len(people)]


def _about(case: Case, patient: str, scope: Scope) -> Filters:
    """One patient's part of a list; of evidence that is not known to be anybody's, all of that kind."""
    return Filters(scope=scope, kind="unsolicited") if case.kind == "u" else Filters(scope=scope, patient=patient)
