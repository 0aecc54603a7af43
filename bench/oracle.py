"""A second opinion on who must do what by when: a model of the pathways that shares nothing with `referrals`.

Told what happened (`ordered`, `happened`), it answers from tables of its own, copied by hand from the specification (§2-§5,
§7). Who holds something is a word: ``practice/pool``, ``practice/anna``, or ``clinic/`` (where nobody signs in).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

# What is due when; "t:" only in test orders, "/" at that priority or severity, at the placer's own place, or with action.
DUE = """
dispatch 1bd; provide-information 2bd; decide-next-step 2bd; request-cancellation 2bd; recollect 1bd
contact-patient 2bd; review-report 7d; review-report/critical 24h; t:review-report 14d; t:review-report/abnormal 7d
match-evidence 1bd; match-evidence/stat 4h; notify-patient 14d; notify-patient/action 7d; to-tell-today today
confirm-death 1bd; sent 48h; in-triage 7d; in-triage/stat 1d; in-triage/asap 1d; in-triage/urgent 2d
awaiting-booking 7d; awaiting-booking/own 3bd; appointment-cancelled 7d; appointment-cancelled/own 3bd; scheduled 1bd
booked 1bd; no-show 2bd; in-progress 7d; seen-awaiting-report 72h; interim-report 72h; completed-no-report 72h
planned 0d; preliminary 7d; ordered 14d; ordered/stat 1d; ordered/asap 1d; ordered/urgent 3d; collection-booked 1bd
specimen-collected 7d; in-lab 7d; specimen-collected/stat 1d; specimen-collected/asap 1d; specimen-collected/urgent 2d
in-lab/stat 1d; in-lab/asap 1d; in-lab/urgent 2d
"""
# Kinds of loop (r, f, t; u, d without a request) | handoffs | actions | from (none: wherever it is open) | to (none: it
# stays) | what opens | what depends on it and ends with it.
RULES = """
rft|fulfil|decline fail call-off||declined|decide-next-step to-tell-today|HANGING; rt|dispatch|send||dispatched|fulfil|
t|fulfil|cancel-appointment|collection-booked|ordered|to-tell-today|; rt|dispatch|withdraw||withdrawn||
rft|request-cancellation|refuse-cancellation||cancellation-refused||; r|fulfil|receive|sent|in-triage||
r|fulfil|rebook|scheduled no-show appointment-cancelled|scheduled||contact-patient; u|match-evidence|refuse||refused||
r|fulfil|accept|sent in-triage awaiting-information|awaiting-booking||provide-information
r|fulfil|ask-information|sent in-triage awaiting-booking in-progress|awaiting-information|provide-information|
r|fulfil|book|sent in-triage awaiting-information awaiting-booking in-progress|scheduled||provide-information contact-patient
rf|fulfil|no-show|scheduled in-progress booked|no-show|contact-patient|; rft|notify-patient contact-patient|attempt||||
t|fulfil|book-collection|ordered collection-booked|collection-booked||; t|fulfil|preliminary-result||preliminary||
t|fulfil|no-show|collection-booked|ordered|contact-patient|; r|fulfil|report||report-sent|review-report|HANGING
f|fulfil|book|planned booked no-show|booked||contact-patient; r|fulfil|seen|UNSEEN|seen-awaiting-report||HANGING
r|fulfil|cancel-appointment|scheduled|appointment-cancelled|to-tell-today|; rft|notify-patient|tell not-reached||told||
rft|review-report|acknowledge||acknowledged|notify-patient|; rft|fulfil|hold|||in-question|
f|fulfil|cancel-appointment|booked|planned|contact-patient to-tell-today|; t|fulfil|result||final|review-report|HANGING
rt|decide-next-step|redirect||redirected|fulfil|fulfil recollect HANGING; f|fulfil|complete||done|review-report|HANGING
r|fulfil|interim-report|scheduled in-progress seen-awaiting-report interim-report completed-no-report|interim-report||
r|fulfil|complete-without-report|UNSEEN seen-awaiting-report interim-report|completed-no-report||HANGING
t|fulfil|collect|ordered collection-booked|specimen-collected||; rft|decide-next-step|close||given-up|notify-patient|
t|fulfil|receive-specimen|ordered collection-booked specimen-collected|in-lab||; d|confirm-death|confirm refute||done||
t|fulfil|reject-specimen|specimen-collected in-lab preliminary|failed|recollect decide-next-step|HANGING
rft|fulfil|request-cancellation|STARTED||request-cancellation|; f|fulfil|supersede||superseded|decide-next-step|HANGING
rft|fulfil|cancel|CANCELLABLE|cancelled|to-tell-today|HANGING; rf|fulfil|amend|ENDED||review-report|review-report
t|fulfil|amend|ENDED||review-report|review-report recollect; t|recollect|patient-declines||declined|decide-next-step|
t|recollect|decline fail||failed|decide-next-step to-tell-today|; rft|decide-next-step|hold||||
t|recollect|cancel||cancelled|to-tell-today|decide-next-step; t|recollect|hold|||in-question|
t|recollect|recollected||recollected|again|decide-next-step; rft|decide-next-step|keep||kept||
rft|request-cancellation|accept-cancellation||cancellation-accepted|to-tell-today|provide-information contact-patient
rt|contact-patient|give-up patient-declines||not-reached|in-question|; r|provide-information|answer||answered||
f|contact-patient|give-up patient-declines||not-reached|decide-next-step|; rft|contact-patient|reached book||reached||
"""
WORDS = {
    "UNSEEN": "sent in-triage awaiting-information awaiting-booking in-progress scheduled no-show appointment-cancelled",
    "STARTED": "scheduled in-progress no-show appointment-cancelled seen-awaiting-report interim-report"
    " completed-no-report specimen-collected in-lab preliminary",
    "CANCELLABLE": "sent in-triage awaiting-information awaiting-booking ordered collection-booked planned booked",
    "ENDED": "report-sent done final declined cancelled failed superseded lost-after-attempts patient-declined",
    "HANGING": "provide-information contact-patient request-cancellation",
}
STARTED, ENDED = set(WORDS["STARTED"].split()), set(WORDS["ENDED"].split())
# Whatever the performer's system says: nobody has begun on the patient there, or somebody has.
NOT_BEGUN = {"no-show", "appointment-cancelled", "planned", "booked"}
BEGUN = STARTED - NOT_BEGUN - {"scheduled"}
# Who holds what opens, where that isn't the pool ("same": whoever held what it came from), and what it is then.
HOLDERS = dict.fromkeys(("request-cancellation", "recollect", "again"), "same") | {"fulfil": "performer"}
HOLDERS |= dict.fromkeys(("provide-information", "decide-next-step", "review-report", "in-question"), "referrer")
OPENED_AS = {"to-tell-today": "notify-patient", "again": "fulfil", "in-question": "decide-next-step"}
FIRST = {"r": "sent", "f": "planned", "t": "ordered", "again": "specimen-collected"}
BEGINS = {"u": "match-evidence", "d": "confirm-death", "f": "fulfil"}
OUTLIVING, ENDING = {"review-report", "request-cancellation"}, {"withdraw", "cancel", "accept-cancellation", "close"}
BOOKABLE = {"planned", "booked", "no-show", "awaiting-booking", "appointment-cancelled"}
ONCE = {"notify-patient", "contact-patient", "request-cancellation", "to-tell-today"}
KNOWN_TO_PATIENT = {"patient-declined", "lost-after-attempts", "patient-died", "cancelled-by-patient"}
NEVER, RANKS = datetime.max.replace(tzinfo=UTC), {"stat": 0, "asap": 1, "urgent": 2, "routine": 3}
# Hours after the due time at which owner, pool and supervisor hear, by rank.
HEARS, ATTEMPTS, SATURDAY, ABORT = ((0, 0, 0, 0), (1, 1, 4, 24), (4, 4, 24, 72)), 3, 5, "request-cancellation"


class House(NamedTuple):
    """An organisation: where it is, when it is closed, whether its people sign in here, and who supervises."""

    zone: str
    closed: frozenset[date]
    ours: bool
    supervisor: str = ""


@dataclass(eq=False)
class Case:
    """One care request of kind r, f, t, or u and d without one; what its patient ``knows`` it by; if ``read``."""

    name: str
    kind: str
    placer: str
    pool: str
    referrer: str
    performer: str
    priority: str = "routine"
    window: tuple[datetime | None, datetime | None] = (None, None)
    knows: str = ""
    read: bool = False
    items: "list[Item]" = field(default_factory=list)
    later: "Case | None" = None

    def open(self, *kinds: str, beside: "Item | None" = None) -> "list[Item]":
        """What is open, of these kinds if given, beside one of them."""
        return [one for one in self.items if one.is_open and one is not beside and (not kinds or one.kind in kinds)]


class Item:
    """One responsibility; where it stopped (``before``) and with how much ``left``; whether the performer has ``started``."""

    def __init__(self, key: str, case: Case, kind: str, stage: str, owner: str, on: str, by: Any = None) -> None:
        self.key, self.case, self.kind, self.stage = key, case, kind, stage
        self.owner, self.list, self.opener = owner, on, by
        self.rank, self.attempts, self.is_open, self.started, self.about, self.before = 3, 0, True, False, "", ""
        self.due = self.half = self.confirm_by = NEVER
        self.left: timedelta | None = None

    @property
    def is_outside(self) -> bool:
        """Whether another organisation holds it."""
        return _home(self.owner) != _home(self.case.pool)

    def is_near(self, other: "Item") -> bool:
        """Whether one opened the other, or the same opened both."""
        return self.opener is other or other.opener is self or (self.opener is not None and self.opener is other.opener)


def _table() -> Iterator[tuple[tuple[str, str, str], tuple[list[str], str, list[str], list[str]]]]:
    text = reduce(lambda before, word: before.replace(*word), WORDS.items(), RULES.strip().replace("\n", ";"))
    for line in text.split(";"):
        kinds, handoffs, actions, sources, target, opens, closes = line.strip().split("|")
        for key in ((kind, handoff, one) for kind in kinds for handoff in handoffs.split() for one in actions.split()):
            yield key, (sources.split(), target, opens.split(), closes.split())


SPANS = dict(part.split() for line in DUE.strip().splitlines() for part in line.split(";"))
TABLE = dict(_table())


class Oracle:
    """The world as it was told, and what follows from it."""

    def __init__(self) -> None:
        self.houses: dict[str, House] = {}
        self.items: dict[str, Item] = {}
        self.surrogates: dict[str, str] = {}
        self.absences: list[tuple[str, datetime, datetime, str]] = []

    def ordered(self, case: Case, at: datetime) -> list[Item]:
        """A care request came to be, or (kind u) something that names none; gives what has to be done first."""
        opened = [self._open(BEGINS.get(case.kind, "dispatch"), case, at)]
        return opened + (
            [self._open("contact-patient", case, at, opened[0])] if case.kind == "f" and not case.knows else []
        )

    def allows(self, item: Item, action: str) -> bool:
        """Whether that can be done to it now."""
        sources = TABLE.get((item.case.kind, item.kind, action), (["never"],))[0]
        others = item.case.open("fulfil")
        begun = [one for one in others if one.stage in BEGUN or (one.started and one.stage not in NOT_BEGUN)]
        if item.stage not in sources if sources else not item.is_open:
            return False
        if action in ("redirect", "close"):
            return not any(action == "close" or item.is_near(one) for one in begun)
        if action == "keep" and item.stage != "in-question":
            return bool(item.case.open("fulfil", "dispatch", "recollect", "review-report"))
        return item.attempts >= ATTEMPTS or action not in ("not-reached", "give-up")

    def happened(self, item: Item, action: str, at: datetime, told: dict[str, Any]) -> list[Item]:
        """Somebody did that to it at ``at``, and told this of it; gives what that opened."""
        told = {"reason": item.about, **told, "action": action}
        (_sources, target, opens, closes), case = TABLE[item.case.kind, item.kind, action], _current(item.case)
        others = [one for one in case.open("fulfil", "recollect", beside=item) if one is not item.opener]
        asked = _asked(item, action)
        is_last = item.kind in ("decide-next-step", "dispatch") or not (others or case.open("review-report"))
        is_end = action in ENDING and is_last and not (asked and action == "close")
        wanted = [] if asked and action == "close" else [word for word in opens if _is_wanted(word, item, case, told)]
        sooner = _end(item, case, closes, told, is_end=is_end)
        self._enter(item, target, at, told)
        if target or told.get("attested"):
            item.confirm_by = at + timedelta(days=7) if told.get("attested") else NEVER
        self._take_along(item, at, told)
        case.performer = told.get("performer", case.performer)
        opened = [self._open(ABORT, case, at, one) for one in asked]
        opened += [self._open(word, case, at, item, told, sooner) for word in wanted]
        if case is not item.case and len(case.items) == len(opened) and item.case.knows == "heard":
            opened.append(self._open("notify-patient", case, at, item))
        is_unread, has_outcome = bool(case.open("review-report")), case.read and case.knows == "heard"
        case.read = not is_unread and (case.read or action == "acknowledge")
        is_known = is_end and not (has_outcome or case.open("notify-patient")) and told["reason"] in KNOWN_TO_PATIENT
        if case.knows != "died" and "review-report" in wanted:  # the patient doesn't know of a new report yet
            case.knows = ""
        elif (action in ("tell", "not-reached") and not is_unread) or is_known:
            case.knows = case.knows if case.knows == "died" else "heard" if action == "tell" else "otherwise"
        return opened

    def standing(self, item: Item, now: datetime) -> Iterator[tuple[str, str]]:
        """On whose lists, and in which of its views, something stands now."""
        yield item.list, "list"
        if item.due < now:
            yield item.list, "overdue"
        if item.is_outside:
            yield item.case.pool, "chase" if min(item.due, item.confirm_by) < now else "waiting"
        pool, named = f"{_home(item.list)}/pool", self._instead(item.list, now)
        if named is None and item.half <= now:
            named = self.surrogates.get(item.list)
        is_alone = named is not None and (not named or self._instead(named, now) is not None)
        if named and not is_alone:
            yield named, "stead"
        if item.list != pool and (is_alone or item.due <= now):
            yield pool, "stead"

    def handed_over(self, person: str, to: str) -> None:
        """Somebody who leaves has given all that was theirs to a colleague."""
        for item in self.items.values():
            if item.is_open:
                held = (item.owner, item.list, item.case.referrer)
                item.owner, item.list, item.case.referrer = (to if one == person else one for one in held)

    def died(self, case: Case, at: datetime) -> list[Item]:
        """A person has confirmed it: what is ours ends, a report is read, and who performs elsewhere is asked to stop."""
        case.knows = "died"
        for item in case.open():
            if item.kind not in OUTLIVING and not (item.kind == "fulfil" and item.started and item.list != item.owner):
                item.is_open, item.stage = False, "cancelled"
        asked, told = {one.opener for one in case.open("request-cancellation")}, {"reason": "patient-died"}
        return [self._open(ABORT, case, at, one, told) for one in case.open("fulfil") if one not in asked]

    def _instead(self, person: str, now: datetime) -> str | None:
        """Who stands in for somebody who is away, empty for nobody; None for somebody who is here."""
        return next((away[3] for away in self.absences if away[0] == person and away[1] <= now < away[2]), None)

    def hears(self, item: Item) -> Iterator[tuple[int, datetime, str]]:
        """Who has to hear that it is overdue, level after level, and from when on."""
        supervisor = self.houses[_home(item.case.pool)].supervisor or item.case.pool
        for level, who in enumerate((item.list, item.case.pool, supervisor)):
            yield level + 1, item.due + timedelta(hours=HEARS[level][item.rank]), who

    def _take_along(self, item: Item, at: datetime, told: dict[str, Any]) -> None:
        """What an answer, a word with the patient and an accepted cancellation do to the performing itself."""
        action, visits = told["action"], [one for one in item.case.open("fulfil", beside=item) if item.is_near(one)]
        if action == "accept-cancellation" and item.opener:
            item.opener.is_open, item.opener.stage = False, "cancelled"
        for visit in visits[:1]:
            if action == "answer" and visit.left is not None:
                _set(visit, at + visit.left, at)
                visit.stage, visit.left = visit.before, None
            elif item.kind == "contact-patient" and action == "book" and visit.stage in BOOKABLE:
                self._enter(visit, "booked" if visit.case.kind == "f" else "scheduled", at, told)
            elif visit.case.kind == "f" and action in ("give-up", "patient-declines") and not _is_theirs(visit):
                visit.is_open, visit.stage = False, "patient-declined"

    def _enter(self, item: Item, stage: str, at: datetime, told: dict[str, Any]) -> None:
        """It comes to a stage: its end, or a new clock; with no stage it stays."""
        item.attempts += told["action"] == "attempt"
        if stage and (item.kind != "fulfil" or stage in ENDED):
            item.is_open, item.stage = False, stage
        elif stage:
            left, is_asked = max(item.due - at, timedelta()), stage == "awaiting-information"
            was_stopped = item.left is not None
            item.before, item.stage, item.left = item.stage, stage, left if is_asked else None
            if not is_asked and (self.houses[_home(item.owner)].ours or told.get("by_partner")):
                item.started = stage in STARTED
            asked = Item("", item.case, "provide-information", "", item.case.referrer, "")
            if is_asked:
                _set(item, self._due(asked, at, {}) + left, at)
            elif was_stopped or "slot_end" in told or not told.get("attested"):  # what was only told buys no time
                _set(item, self._due(item, at, told), at)

    def _open(self, word: str, case: Case, at: datetime, by: Any = None, told: Any = None, sooner: Any = None) -> Item:
        told, kind = told or {}, OPENED_AS.get(word, word)
        by = by.opener if by and by.kind in WORDS["HANGING"] and by.opener else by
        owners = {"": case.pool, "referrer": case.referrer, "performer": case.performer}
        owner = owners.get(HOLDERS.get(word, "")) or by.owner
        on = owner if self.houses[_home(owner)].ours else case.pool
        stage = FIRST.get(word) or (FIRST[case.kind] if kind == "fulfil" else word)
        item = Item(f"{case.name}/{kind}{len(case.items)}", case, kind, stage, owner, on, by)
        item.rank = 0 if told.get("severity") == "critical" else RANKS[case.priority]
        item.about = told.get({"review-report": "report", "request-cancellation": "reason"}.get(kind, ""), "")
        item.started = word == "again"
        _set(item, min(self._due(item, at, told), (sooner or {}).get(kind, NEVER)), at)
        case.items.append(item)
        self.items[item.key] = item
        return item

    def _due(self, item: Item, at: datetime, told: dict[str, Any]) -> datetime:
        case, what = item.case, item.stage if item.kind == "fulfil" or item.stage == "to-tell-today" else item.kind
        if what in ("planned", "ordered") and case.window[1] is not None:
            return case.window[1]
        if what in ("scheduled", "booked", "collection-booked"):
            at = told.get("slot_end") or at
        if what == "contact-patient" and case.kind == "f" and case.window[0] is not None:
            at = max(at, case.window[0])
        own = "own" if _home(item.owner) == case.placer else ""
        levels = (told.get("severity"), "action" if told.get("patient_has_to_act") else "", case.priority, own)
        words = [f"{what}/{level}" for level in levels if level] + [what]
        span = next(SPANS[key] for word in words for key in (f"{case.kind}:{word}", word) if key in SPANS)
        home = self.houses[_home(item.owner)]
        return _after(at, span, home if home.ours else self.houses[_home(case.pool)])


def _home(owner: str) -> str:
    return owner.partition("/")[0]


def _set(item: Item, due: datetime, at: datetime) -> None:
    item.due, item.half = due, at + (due - at) / 2 if due > at else due


def _is_theirs(item: Item) -> bool:
    return item.kind == "fulfil" and item.is_outside and item.started


def _current(case: Case) -> Case:
    while case.items and not case.open():  # an outcome that comes after the end begins a new one
        knows = "died" if case.knows == "died" else ""
        case.later = case.later or replace(case, name=f"{case.name}+", knows=knows, read=False, items=[])
        case = case.later
    return case


def _is_wanted(word: str, item: Item, case: Case, told: dict[str, Any]) -> bool:
    """Whether what a rule opens is still needed."""
    is_there = any(word in (one.kind, one.stage) for one in case.open(beside=item))
    knows, action = told["reason"] in KNOWN_TO_PATIENT, told["action"]
    if case.knows == "died" and word in ("notify-patient", "contact-patient", "to-tell-today"):
        return False
    if item.kind == "recollect" and word == "decide-next-step":
        return not any(one.stage == word for one in case.open())
    if word == "request-cancellation":
        return not any(one.opener is item for one in case.open(word))
    is_needless = (word == "to-tell-today" and knows) or (action == "close" and (knows or case.knows))
    return not (is_needless or (is_there and word in ONCE) or (action == "hold" and case.open("decide-next-step")))


def _asked(item: Item, action: str) -> list[Item]:
    """Whose performer has to agree to a decision first, and hasn't been asked yet."""
    asked = {one.opener for one in item.case.open("request-cancellation")}
    theirs = [one for one in item.case.open("fulfil") if _is_theirs(one) and one not in asked]
    is_decision = item.kind == "decide-next-step" and action != "keep"
    return [one for one in theirs if is_decision and (action == "close" or item.is_near(one))]


def _end(item: Item, case: Case, closes: list[str], told: dict[str, Any], *, is_end: bool) -> dict[str, datetime]:
    """End what depends on it, or the whole case but for what the patient must still hear; gives when that was due."""
    sooner = {}
    for other in case.open(beside=item):
        is_another = other.kind == "review-report" and other.about not in ("", told.get("report"))
        goes = other.kind in closes and item.is_near(other) and not is_another
        if told["action"] == "close":
            goes = other.kind in ("fulfil", "dispatch", "recollect")
        if is_end:
            is_anothers = other.stage == "to-tell-today" and not item.is_near(other)
            goes = other.kind != "notify-patient" or (told["reason"] in KNOWN_TO_PATIENT and not is_anothers)
        if goes and not _is_theirs(other):
            other.is_open, other.stage = False, "cancelled"
            sooner[other.kind] = other.due
    return sooner


def _after(start: datetime, span: str, house: House) -> datetime:
    """When a span has run out, on the wall clock of that house."""
    if span.endswith("h"):
        return start + timedelta(hours=int(span[:-1]))
    local, is_today = start.astimezone(ZoneInfo(house.zone)), span == "today"
    day, days = local.date(), 0 if is_today else int(span.rstrip("bd"))
    while days:
        day += timedelta(days=1)
        is_free = day.weekday() >= SATURDAY or day in house.closed
        days -= not (is_free and "b" in span)
    clock = time() if is_today else local.time()
    return datetime.combine(day + timedelta(days=is_today), clock, ZoneInfo(house.zone)).astimezone(UTC)
