"""By when: the clock of every stage. The table is our default; an organisation's `Policy` row goes before it where it is as narrow.

Sources: PATHWAYS §2, §3, §5 (360X, GAO-23-105617, Premier COMPACT, VA); † there is our own number. A clock starts at
the time that the event says; where a stage has a date of its own (an appointment, the end of a window), it starts there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import Any

import orjson
from django.db import connection

from referrals.calendars import Span, WorkingDays


def hours(amount: int) -> Span:
    """So many hours by the clock."""
    return Span(amount, "hours")


def days(amount: int) -> Span:
    """So many calendar days."""
    return Span(amount, "days")


def business_days(amount: int) -> Span:
    """So many working days of the calendar."""
    return Span(amount, "business-days")


SAME_DAY = Span(1, "same-day")

# (kind of loop, handoff, stage, level): an empty word stands for all. The level is a priority, the severity of a
# result, whether performer and placer are the same organisation ("own"), or whether the patient has to act ("action").
Key = tuple[str, str, str, str]
DEADLINES: dict[Key, Span] = {
    ("", "dispatch", "", ""): business_days(1),
    ("", "provide-information", "", ""): business_days(2),
    ("", "decide-next-step", "", ""): business_days(2),
    ("", "decide-next-step", "right-result", "critical"): hours(24),
    ("", "request-cancellation", "", ""): business_days(2),
    ("", "propose-change", "", ""): business_days(2),
    ("", "review-report", "", ""): days(7),
    ("test-order", "review-report", "", ""): days(14),
    ("", "review-report", "", "critical"): hours(24),
    ("test-order", "review-report", "", "abnormal"): days(7),
    ("", "notify-patient", "to-tell", ""): days(14),
    ("", "notify-patient", "to-tell", "action"): days(7),
    ("", "notify-patient", "to-tell-today", ""): SAME_DAY,
    ("", "contact-patient", "", ""): business_days(2),
    ("", "recollect", "", ""): business_days(1),
    ("", "match-evidence", "", ""): business_days(1),
    ("", "match-evidence", "", "critical"): hours(4),
    ("", "match-evidence", "", "stat"): hours(4),
    ("", "mend-exchange", "", ""): business_days(1),
    ("", "mend-exchange", "", "stat"): hours(4),
    ("", "mend-exchange", "", "asap"): hours(4),
    ("", "mend-exchange", "", "urgent"): hours(4),
    ("", "confirm-handover", "", ""): business_days(2),
    ("", "confirm-death", "", ""): business_days(1),
    ("referral", "fulfil", "authorisation-pending", ""): business_days(5),
    ("referral", "fulfil", "sent", ""): hours(48),
    ("referral", "fulfil", "in-triage", "stat"): days(1),
    ("referral", "fulfil", "in-triage", "asap"): days(1),
    ("referral", "fulfil", "in-triage", "urgent"): days(2),
    ("referral", "fulfil", "in-triage", ""): days(7),
    ("referral", "fulfil", "referral-proposed", ""): business_days(2),
    ("referral", "fulfil", "awaiting-booking", "own"): business_days(3),
    ("referral", "fulfil", "awaiting-booking", ""): days(7),
    ("referral", "fulfil", "scheduled", ""): business_days(1),
    ("referral", "fulfil", "in-progress", ""): days(7),
    ("referral", "fulfil", "no-show", ""): business_days(2),
    ("referral", "fulfil", "appointment-cancelled", "own"): business_days(3),
    ("referral", "fulfil", "appointment-cancelled", ""): days(7),
    ("referral", "fulfil", "seen-awaiting-report", ""): hours(72),
    ("referral", "fulfil", "interim-report", ""): hours(72),
    ("referral", "fulfil", "completed-no-report", ""): hours(72),
    # Only for one that names no time by which it is wanted: CPT 99496 sees the urgent ones in 7 days, 99495 in 14.
    ("follow-up", "fulfil", "planned", "stat"): days(1),
    ("follow-up", "fulfil", "planned", "asap"): days(1),
    ("follow-up", "fulfil", "planned", "urgent"): days(7),
    ("follow-up", "fulfil", "planned", ""): days(14),
    ("follow-up", "fulfil", "booked", ""): business_days(1),
    ("follow-up", "fulfil", "no-show", ""): business_days(2),
    ("test-order", "fulfil", "ordered", "stat"): days(1),
    ("test-order", "fulfil", "ordered", "asap"): days(1),
    ("test-order", "fulfil", "ordered", "urgent"): days(3),
    ("test-order", "fulfil", "ordered", ""): days(14),
    ("test-order", "fulfil", "collection-booked", ""): business_days(1),
    **{
        ("test-order", "fulfil", stage, level): days(amount)
        for stage in ("specimen-collected", "in-lab")
        for level, amount in (("stat", 1), ("asap", 1), ("urgent", 2), ("", 7))
    },
    ("test-order", "fulfil", "preliminary", ""): days(7),
}

# How long after the due time the pool and the supervisor hear of it (`referrals.escalation`), by the priority. †
ESCALATION = "escalation"
ESCALATIONS: dict[Key, Span] = {
    ("", ESCALATION, "pool", "stat"): hours(1),
    ("", ESCALATION, "pool", "asap"): hours(1),
    ("", ESCALATION, "pool", "urgent"): hours(4),
    ("", ESCALATION, "pool", ""): hours(24),
    ("", ESCALATION, "supervisor", "stat"): hours(4),
    ("", ESCALATION, "supervisor", "asap"): hours(4),
    ("", ESCALATION, "supervisor", "urgent"): hours(24),
    ("", ESCALATION, "supervisor", ""): hours(72),
}
DEFAULTS: Mapping[Key, Span] = {**DEADLINES, **ESCALATIONS}


@dataclass(frozen=True, slots=True)
class Rules:
    """One organisation's own clocks and working days."""

    calendar: WorkingDays = field(default_factory=WorkingDays)
    policies: Mapping[Key, Span] = field(default_factory=dict)

    def spans(self, loop_kind: str, handoff: str, stage: str, levels: Iterable[str]) -> list[Span]:
        """The clocks that hold, of which the soonest counts: the organisation's most specific one, and a narrower default.

        A level is more specific than none, a stage than all, a kind of loop than all. So a wide number of an organisation's
        makes nothing later that the defaults have sooner for good reason, such as a critical result.
        """
        keys = [*_keys(loop_kind, handoff, stage, tuple(levels))]
        default = next(place for place, key in enumerate(keys) if key in DEFAULTS)
        own = next((place for place, key in enumerate(keys) if key in self.policies), None)
        if own is None:
            return [DEFAULTS[keys[default]]]
        return [self.policies[keys[own]], *([DEFAULTS[keys[default]]] if default < own else [])]

    def due(self, loop_kind: str, handoff: str, stage: str, levels: Iterable[str], start: datetime) -> datetime:
        """When a handoff that came to this stage at ``start`` is due (UTC)."""
        return min(self.calendar.after(start, span) for span in self.spans(loop_kind, handoff, stage, levels))


def due(organization: str, loop_kind: str, handoff_kind: str, stage: str, priority: str, start: datetime) -> datetime:
    """When a handoff that came to this stage at ``start`` is due by that organisation's clocks (UTC)."""
    return rules_of([organization])[organization].due(loop_kind, handoff_kind, stage, (priority,), start)


def rules_of(organizations: Iterable[str]) -> dict[str, Rules]:
    """The rules of each organisation, in one statement at most; the defaults where it has set none."""
    wanted = sorted(set(organizations))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_RULES, [wanted])
        return {row[0]: _rules(*row[1:]) for row in cursor.fetchall()}


_RULES = """
SELECT wanted.organization, calendar.time_zone, calendar.country, calendar.region, calendar.closed_on::text,
       array(SELECT ARRAY[loop_kind, handoff_kind, stage, priority, amount::text, unit] FROM referrals_policy AS policy
             WHERE policy.organization = wanted.organization)
FROM unnest(%s::text[]) AS wanted (organization) LEFT JOIN referrals_calendar AS calendar USING (organization)
"""


def _rules(zone: str | None, country: str, region: str, closed_on: str, policies: list[list[Any]]) -> Rules:
    spans = {(loop, handoff, stage, level): Span(int(n), unit) for loop, handoff, stage, level, n, unit in policies}
    if zone is None:
        return Rules(policies=spans)
    closed = frozenset(date.fromisoformat(day) for day in orjson.loads(closed_on))
    return Rules(WorkingDays(zone, country, region, closed), spans)


def _keys(loop_kind: str, handoff: str, stage: str, levels: tuple[str, ...]) -> Iterator[Key]:
    for level, at_stage, kind in product((*filter(None, levels), ""), (stage, ""), (loop_kind, "")):
        yield kind, handoff, at_stage, level
