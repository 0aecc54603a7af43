"""How long each step takes, computed from the journal: ordered → sent → accepted → … → patient told.

Counted are the loops that were ordered in a period and in which the actor's organisation is placer or performer. An
interval lies between two neighbouring steps, each at the first time it was reached. Every loop is counted in every
interval in exactly one way, so that no figure looks better by what it leaves out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection

from records.access import Actor
from referrals.pathways.stages import OUTCOMES
from referrals.worklists.progress import MILESTONES

Side = Literal["placer", "performer", "service", "priority"]
SIDES: tuple[Side, ...] = ("placer", "performer", "service", "priority")
USUAL: tuple[Side, ...] = ("performer", "service", "priority")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which loops: of a kind, ordered from ``since`` until before ``until`` (aware), by default in every direction.

    ``sides`` are what the figures are kept apart by.
    """

    kind: str
    since: datetime
    until: datetime
    direction: Literal["sent", "received", ""] = ""
    placer: str = ""
    performer: str = ""
    service: str = ""
    priority: str = ""
    sides: tuple[Side, ...] = USUAL


@dataclass(frozen=True, slots=True)
class Interval:
    """The way from one step to the next; seconds are null where nobody went it.

    ``count``: went it. ``open``: are on it now. ``ahead``: have not come to its beginning yet. ``skipped``: went past it,
    as when a performer books without accepting first. ``ended``: the loop ended before.
    """

    begins: str
    ends: str
    count: int
    median_seconds: float | None
    p90_seconds: float | None
    open: int
    ahead: int
    skipped: int
    ended: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The loops of one group; an empty word stands for what the figures are not kept apart by, or isn't known.

    ``with_needed_by``: of the loops that say by when they are needed; ``in_time`` were closed by then, ``missed`` were
    not, the others still can be. ``handoffs`` of them are ``overdue`` now or were ended ``late``, after their last due
    time. ``escalations`` are the times that owner, pool and supervisor heard.
    """

    placer: str
    performer: str
    service: str
    priority: str
    loops: int
    open: int
    with_needed_by: int
    in_time: int
    missed: int
    handoffs: int
    overdue: int
    late: int
    escalations: tuple[int, int, int]
    intervals: tuple[Interval, ...]


def figures(actor: Actor, wanted: Wanted, now: datetime) -> list[Figures]:
    """The figures of each group, in the order of the words; two statements whatever the number of loops."""
    steps = [step.code for step in MILESTONES[wanted.kind]]
    groups = ", ".join(
        f"{_column(wanted, side)} AS {side}" if side in wanted.sides else f"'' AS {side}" for side in SIDES
    )
    parts = {"groups": groups, "loops": _loops(wanted), "times": _times(wanted.kind), "ways": _ways(len(steps))}
    values = {**{name: getattr(wanted, name) for name in ("kind", "since", "until", *SIDES)}, **_pairs(wanted.kind)}
    values |= {"organization": actor.organization, "now": now, "outcomes": sorted(OUTCOMES)}
    with connection.cursor() as cursor:
        cursor.execute(_SUMMARY.format(**parts), values)
        summaries = cursor.fetchall()
        cursor.execute(_INTERVALS.format(**parts), values)
        intervals = _by_group(cursor.fetchall(), steps)
    return [_figures(row, intervals[row[:4]]) for row in summaries]


def _figures(row: tuple[Any, ...], intervals: Sequence[Interval]) -> Figures:
    counts, (owner, pool, supervisor) = row[:-3], row[-3:]
    return Figures(*counts, (owner, pool, supervisor), tuple(intervals))  # type: ignore[call-arg]  # in their order


def _by_group(rows: Sequence[tuple[Any, ...]], steps: Sequence[str]) -> Mapping[tuple[Any, ...], list[Interval]]:
    found: dict[tuple[Any, ...], list[Interval]] = {}
    for row in rows:
        place = row[4]
        found.setdefault(row[:4], []).append(Interval(steps[place], steps[place + 1], *row[5:]))
    return found


_COLUMNS: Mapping[Side, str] = {
    "placer": "placer",
    "performer": "performer",
    "service": "service_id",
    "priority": "priority",
}
# Whoever is named, and each of several who have it or have given their report; nobody who has not been sent it yet.
_PERFORMED = """l.id IN (
    SELECT m.id FROM referrals_loop AS m WHERE m.performer = %(organization)s UNION
    SELECT p.loop_id FROM referrals_handoff AS p JOIN referrals_owner AS o ON o.id = p.owner_id
    WHERE o.organization = %(organization)s AND p.kind = 'fulfil' AND p.task_status <> 'draft'
          AND (p.closed_at IS NULL OR p.stage = ANY(%(outcomes)s)))"""
_DIRECTIONS = {
    "": f"(l.placer = %(organization)s OR {_PERFORMED})",
    "sent": "l.placer = %(organization)s",
    "received": _PERFORMED,
}
# What an organisation has received is its own to perform, whoever else was asked.
_GROUPED = {"received": {"performer": "%(organization)s::text"}}


def _column(wanted: Wanted, side: Side) -> str:
    return _GROUPED.get(wanted.direction, {}).get(side) or f"l.{_COLUMNS[side]}"


def _loops(wanted: Wanted) -> str:
    """The condition of the loops. A loop around a later report has the order's time, and is that order's second way."""
    narrowed = [f"{_column(wanted, side)} = %({side})s" for side in SIDES if getattr(wanted, side)]
    period = "l.kind = %(kind)s AND l.based_on_id IS NULL AND l.ordered_at >= %(since)s AND l.ordered_at < %(until)s"
    return " AND ".join([_DIRECTIONS[wanted.direction], "%(organization)s <> ''", period, *narrowed])


def _pairs(kind: str) -> dict[str, list[str]]:
    """By the number of the step: what an event comes to that reaches it, as handoff/stage."""
    return {
        f"reached{place}": sorted("/".join(pair) for pair in step.reached_by)
        for place, step in enumerate(MILESTONES[kind])
    }


def _times(kind: str) -> str:
    """One column for each step: when it was first reached.

    A request is sent when its performer has the task. Who was told of a cancelled visit the same day has not been told of
    the outcome.
    """
    columns = {
        "ordered": "l.ordered_at",
        "sent": "(SELECT min(h.opened_at) FROM referrals_handoff AS h WHERE h.loop_id = l.id AND h.kind = 'fulfil')",
    }
    reached = (
        "min(e.at) FILTER (WHERE concat(h.kind, '/', e.to_stage) = ANY(%(reached{place})s)"
        " AND e.from_stage <> 'to-tell-today')"
    )
    steps = enumerate(MILESTONES[kind])
    return ", ".join(f"{columns.get(step.code) or reached.format(place=place)} AS t{place}" for place, step in steps)


def _ways(steps: int) -> str:
    """For each interval its number, both times, and whether a step beyond it was reached."""
    return ", ".join(
        f"({place}, t{place}, t{place + 1}, {_any_of(range(place + 2, steps))})" for place in range(steps - 1)
    )


def _any_of(places: range) -> str:
    return f"num_nonnulls({', '.join(f't{place}' for place in places)}) > 0" if places else "false"


_INTERVALS = """
WITH reached AS (
    SELECT {groups}, l.closed_at, {times} FROM referrals_loop AS l
    LEFT JOIN referrals_event AS e ON e.loop_id = l.id LEFT JOIN referrals_handoff AS h ON h.id = e.handoff_id
    WHERE {loops} GROUP BY l.id
), ways AS (
    SELECT r.*, w.* FROM reached AS r CROSS JOIN LATERAL (VALUES {ways}) AS w (place, begun, done, is_beyond)
), told AS (
    SELECT *, CASE WHEN begun IS NOT NULL AND done IS NOT NULL THEN 'count'
                   WHEN done IS NOT NULL OR is_beyond THEN 'skipped'
                   WHEN closed_at IS NOT NULL THEN 'ended'
                   WHEN begun IS NOT NULL THEN 'open' ELSE 'ahead' END AS how,
           greatest(extract(epoch FROM done - begun), 0)::float8 AS seconds FROM ways
)
SELECT placer, performer, service, priority, place, count(*) FILTER (WHERE how = 'count'),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE how = 'count'),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE how = 'count'),
       count(*) FILTER (WHERE how = 'open'), count(*) FILTER (WHERE how = 'ahead'),
       count(*) FILTER (WHERE how = 'skipped'), count(*) FILTER (WHERE how = 'ended')
FROM told GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
_SUMMARY = """
WITH held AS (
    SELECT {groups}, l.needed_by, l.closed_at, of_loop.*, heard.* FROM referrals_loop AS l CROSS JOIN LATERAL (
        SELECT count(*) AS handoffs, count(*) FILTER (WHERE h.closed_at IS NULL AND h.due_at < %(now)s) AS overdue,
               count(*) FILTER (WHERE h.closed_at > h.due_at) AS late
        FROM referrals_handoff AS h WHERE h.loop_id = l.id
    ) AS of_loop, LATERAL (
        SELECT count(*) FILTER (WHERE e.level = 1) AS owner, count(*) FILTER (WHERE e.level = 2) AS pool,
               count(*) FILTER (WHERE e.level = 3) AS supervisor
        FROM referrals_escalation AS e JOIN referrals_handoff AS h ON h.id = e.handoff_id WHERE h.loop_id = l.id
    ) AS heard WHERE {loops}
)
SELECT placer, performer, service, priority, count(*), count(*) FILTER (WHERE closed_at IS NULL), count(needed_by),
       count(*) FILTER (WHERE closed_at <= needed_by),
       count(*) FILTER (WHERE coalesce(closed_at, %(now)s) > needed_by),
       sum(handoffs)::bigint, sum(overdue)::bigint, sum(late)::bigint,
       sum(owner)::bigint, sum(pool)::bigint, sum(supervisor)::bigint
FROM held GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
