"""Whose lists something stands on and by when it is due, in the eyes of the oracle: its nouns, and the clocks of its houses.

Who holds something is a word: ``house/pool``, ``house/anna``, or ``clinic/``, where nobody signs in and no list is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bench import oracle_tables as tables

Told = Mapping[str, Any]


def words(text: str) -> list[str]:
    """The words of a text of the tables, with what some of them stand for."""
    meant = " ".join(tables.WORDS.get(word, word) for word in text.split())
    return meant.split() if meant == text else words(meant)


def rows(text: str) -> dict[str, list[str]]:
    """The first word of each row, and the others."""
    return {row.split()[0]: row.split()[1:] for row in text.strip().replace("\n", ";").split(";")}


SPANS = rows(tables.DUE)
IN = {name: frozenset(words(name)) for name in tables.WORDS}
NEVER, SATURDAY = datetime.max.replace(tzinfo=UTC), 5


class House(NamedTuple):
    """An organisation: where it is, when it is closed, whether its people sign in here, and who supervises."""

    zone: str
    closed: frozenset[date]
    ours: bool
    supervisor: str = ""


@dataclass(eq=False)
class Case:
    """One care request of kind r, f, t, or u and d without one; what its patient ``knows`` it by; if ``read``.

    ``heard`` are the reports that the patient was told of, ``unheard`` those that were read since, in all that follows it.
    """

    name: str
    kind: str
    placer: str
    pool: str
    referrer: str
    performer: str
    priority: str = "routine"
    window: tuple[datetime | None, datetime | None] = (None, None)
    knows: str = ""
    knew: str = ""
    read: bool = False
    why: str = ""
    by_death: bool = False
    is_advice: bool = False
    items: "list[Item]" = field(default_factory=list)
    later: "Case | None" = None
    before: "Case | None" = None
    heard: set[str] = field(default_factory=set)
    unheard: set[str] = field(default_factory=set)

    def open(self, *kinds: str, beside: "Item | None" = None) -> "list[Item]":
        """What is open, of these kinds if given, beside one of them."""
        return [one for one in self.items if one.is_open and one is not beside and (not kinds or one.kind in kinds)]


class Item:
    """One responsibility; where it stopped (``before``) and with how much ``left``; whether the performer has ``started``."""

    def __init__(self, key: str, case: Case, kind: str, stage: str, owner: str, on: str, by: Any = None) -> None:
        self.key, self.case, self.kind, self.stage, self.owner, self.list, self.opener = (
            key,
            case,
            kind,
            stage,
            owner,
            on,
            by,
        )
        self.rank, self.attempts, self.is_open, self.started, self.about, self.before = 3, 0, True, False, "", ""
        self.due, self.half, self.confirm_by, self.agreed_until = NEVER, NEVER, NEVER, date.max
        self.left, self.is_offer, self.is_back, self.is_unsent = timedelta(-1), False, False, False

    @property
    def is_outside(self) -> bool:
        """Whether another organisation holds it."""
        return home(self.owner) != home(self.case.pool)

    @property
    def has_begun(self) -> bool:
        """Whether its performer has begun on the patient; one who waits for an answer has come as far as before."""
        stage = self.before if self.stage in words("WAITING") else self.stage
        return stage in words("BEGUN") or (self.started and stage not in words("NOT_BEGUN"))

    @property
    def is_theirs(self) -> bool:
        """Whether only who performs it elsewhere can end it."""
        return self.is_outside and self.is_engaged

    @property
    def is_engaged(self) -> bool:
        """Whether who performs it has started, or holds a slot for it."""
        return self.kind == "fulfil" and (self.started or self.stage in words("APPOINTED"))

    def is_near(self, other: "Item") -> bool:
        """Whether one opened the other, or the same opened both."""
        return self.opener is other or other.opener is self or (self.opener is not None and self.opener is other.opener)

    def rivals(self) -> "list[Item]":
        """The other offers of the same bidding."""
        others = self.case.open("fulfil", beside=self) if self.is_offer else []
        return [one for one in others if one.is_offer and one.opener is self.opener]

    def set(self, due: datetime, at: datetime) -> None:
        """Its clock runs from ``at``."""
        self.due, self.half = due, at + (due - at) / 2 if due > at else due

    def end(self, stage: str = "cancelled") -> None:
        """It comes to its end."""
        self.is_open, self.stage, self.is_unsent = False, stage, self.stage == "authorisation-pending"

    @property
    def why_to_stop(self) -> str:
        """Why its performer, who goes on after it has ended, is to stop: not for the reason that they had to end it."""
        is_its_own = self.stage in ("declined", "failed")
        return ("" if is_its_own else self.about) or self.case.why or "sent-elsewhere"


def home(owner: str) -> str:
    """The house of whoever holds something."""
    return owner.partition("/")[0]


class Lists:
    """Who works where and is away when, and what stands on whose list."""

    def __init__(self) -> None:
        self.houses, self.items = dict[str, House](), dict[str, Item]()
        self.surrogates, self.left = dict[str, str](), set[str]()
        self.void: set[tuple[Case, str]] = set()
        self.absences: list[tuple[str, datetime, datetime, str]] = []

    def standing(self, item: Item, now: datetime) -> Iterator[tuple[str, str]]:
        """On whose lists, and in which of its views, something stands now."""
        yield item.list, "list"
        if item.due < now:
            yield item.list, "overdue"
        if item.is_outside:
            yield item.case.pool, "chase" if min(item.due, item.confirm_by) < now else "waiting"
        pool, named = f"{home(item.list)}/pool", self._instead(item.list, now)
        if named is None and item.half <= now:
            named = self.surrogates.get(item.list)
        is_alone = named is not None and (not named or self._instead(named, now) is not None)
        if named and not is_alone:
            yield named, "stead"
        if item.list != pool and (is_alone or item.due <= now):
            yield pool, "stead"

    def handed_over(self, person: str, to: str) -> None:
        """Somebody who leaves has given all that was theirs to a colleague."""
        for item in (one for one in self.items.values() if one.is_open):
            held = (item.owner, item.list, item.case.referrer)
            item.owner, item.list, item.case.referrer = (to if one == person else one for one in held)

    def hears(self, item: Item) -> Iterator[tuple[int, datetime, str]]:
        """Who has to hear that it is overdue, level after level, and from when on."""
        supervisor = self.houses[home(item.case.pool)].supervisor or item.case.pool
        for level, (who, hours) in enumerate(
            zip((item.list, item.case.pool, supervisor), tables.HEARS, strict=True), 1
        ):
            yield level, item.due + timedelta(hours=int(hours.split()[item.rank])), who

    def _instead(self, person: str, now: datetime) -> str | None:
        """Who stands in for somebody who is away, empty for nobody; None for somebody who is here."""
        return next((away[3] for away in self.absences if away[0] == person and away[1] <= now < away[2]), None)

    def day(self, item: Item, at: datetime) -> date:
        """The day of an instant where that is done."""
        return at.astimezone(ZoneInfo(self._house(item).zone)).date()

    def _house(self, item: Item) -> House:
        """By whose clock it runs: of the pool's house where its owner works elsewhere."""
        house = self.houses[home(item.owner)]
        return house if house.ours else self.houses[home(item.case.pool)]

    def due(self, item: Item, at: datetime, told: Told) -> datetime:
        """When that is due which has come to its stage at ``at``, as this was told."""
        case, what = item.case, item.stage if item.stage in SPANS else item.kind
        if what in ("planned", "ordered") and case.window[1] is not None:
            return case.window[1]
        if what in ("scheduled", "booked", "collection-booked"):
            at = told.get("slot_end") or at
        is_wanted = what in ("planned", "ordered") or (what == "contact-patient" and case.kind == "f")
        if is_wanted and case.window[0] is not None:
            at = max(at, case.window[0])
        acts, own = (
            "action" if told.get("patient_has_to_act") else "",
            "own" if home(item.owner) == case.placer else "",
        )
        words = [f"{what}/{level}" for level in (told.get("severity"), acts, case.priority, own) if level] + [what]
        span = next(SPANS[key][0] for word in words for key in (f"{case.kind}:{word}", word) if key in SPANS)
        return after(at, span, self._house(item))


def after(start: datetime, span: str, house: House) -> datetime:
    """When a span has run out, on the wall clock of that house."""
    if span.endswith("h"):
        return start + timedelta(hours=int(span[:-1]))
    local, is_today = start.astimezone(ZoneInfo(house.zone)), span == "today"
    day, days = local.date(), 0 if is_today else int(span.rstrip("bd"))
    in_full = is_today or (days > 0 and "b" in span and _is_off(day, house))
    while days:
        day += timedelta(days=1)
        days -= not ("b" in span and _is_off(day, house))
    clock = time() if in_full else local.time()
    return datetime.combine(day + timedelta(days=in_full), clock, ZoneInfo(house.zone)).astimezone(UTC)


def _is_off(day: date, house: House) -> bool:
    return day.weekday() >= SATURDAY or day in house.closed


def first(case: Case) -> Case:
    """The case with which it began."""
    while case.before is not None:
        case = case.before
    return case


def voided(before: set[tuple[Case, str]], item: Item, told: Told, *, is_void: bool) -> set[tuple[Case, str]]:
    """The reports that are void from now on in the case and what follows it: until they are reported again there."""
    line = first(item.case)
    reports = {item.about if item.kind == "review-report" else told.get("report", "")} - {""}
    named = {(line, one) for one in reports}
    return before | named if is_void else before - (named & {(line, told.get("report"))})
