"""Who hears of what is past its due time: owner, then pool, then supervisor; once per level and due time.

An escalation adds a row and changes neither owner nor due time nor stage. `Handoff.escalate_at` says when the next level
is to hear, so that a sweep costs what is due and not what exists; with no sweep at all the lists are still right.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from records import clock
from records.access import Actor
from referrals import people
from referrals.deadlines import ESCALATION, Rules, rules_of
from referrals.models import RANK, Escalation

OWNER, POOL, SUPERVISOR = 1, 2, 3
BATCH = 500

# What the levels above the owner's, who hears at the due time, are called in `referrals.deadlines.ESCALATIONS`.
AFTERWARDS = {POOL: "pool", SUPERVISOR: "supervisor"}
PRIORITIES = {rank: priority for priority, rank in RANK.items()}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something overdue that somebody is to be shown; see `Escalation`."""

    id: int
    handoff_id: str
    loop_id: str
    kind: str
    level: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class _Due:
    """A handoff whose next level is to hear now: the columns of `_DUE`. ``level`` is the last that has."""

    handoff_id: str
    due_at: datetime
    level: int
    priority_rank: int
    list_id: int
    accountable_id: int
    organization: str
    supervisor_id: int | None


@dataclass(frozen=True, slots=True)
class _Step:
    """The level that hears of a handoff now, as an Owner's id, and when the one after it is to hear."""

    handoff_id: str
    due_at: datetime
    level: int
    hears: int
    then: datetime | None


class SweepStands(RuntimeError):
    """The same handoff came to more levels than there are: the rules lead nowhere, and a worker would spin for ever."""


def sweep(now: datetime) -> int:
    """Record every escalation that is due by ``now``; gives how many. Two sweeps at once share the work.

    Raises `SweepStands` when a batch brings nothing forward; what was recorded before stays.
    """
    recorded: Counter[str] = Counter()
    is_more = True
    while is_more:
        batch = _sweep_batch(now)
        recorded.update(step.handoff_id for step in batch)
        if any(recorded[step.handoff_id] > SUPERVISOR for step in batch):
            raise SweepStands("A handoff comes up at every batch of the escalation sweep.")
        is_more = len(batch) == BATCH or any(step.then is not None and step.then <= now for step in batch)
    return recorded.total()


def waiting(actor: Actor) -> list[Notice]:
    """The escalations that this actor has not been shown yet, the longest due first."""
    unseen = Escalation.objects.filter(
        owner__in=people.lists_of(actor), delivered_at=None, handoff__closed_at=None
    ).order_by("due_at", "level")
    columns = unseen.values_list("id", "handoff_id", "handoff__loop_id", "handoff__kind", "level", "due_at")
    return [Notice(*row) for row in columns[:BATCH]]


def displayed(actor: Actor, ids: Collection[int]) -> int:
    """Note that these were displayed to the actor in the app; gives how many were new. Delivery is recorded once."""
    mine = Escalation.objects.filter(id__in=ids, owner__in=people.lists_of(actor), delivered_at=None)
    return mine.update(delivered_at=clock.now(), channel="app")


def shown(handoffs: Collection[str], lists: people.Lists) -> int:
    """Note that these handoffs were displayed in the app to somebody with these lists; gives how many levels heard by it."""
    heard = {*lists.mine, *lists.shared, *lists.pools, *lists.away}
    news = Escalation.objects.filter(handoff__in=handoffs, owner__in=heard, delivered_at=None)
    return news.update(delivered_at=clock.now(), channel="app")


def _sweep_batch(now: datetime) -> list[_Step]:
    """One batch of handoffs that have come to their next level. What another sweep holds is left to it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now, "batch": BATCH})
        due = [_Due(*line) for line in cursor.fetchall()]
        rules = rules_of(one.organization for one in due)
        steps = [_step(one, rules[one.organization]) for one in due]
        if steps:
            columns = {name: [getattr(step, name) for step in steps] for name in _Step.__slots__}
            cursor.execute(_RECORD, {"now": now, **columns})
    return steps


def _step(due: _Due, rules: Rules) -> _Step:
    """The owner's list hears first: for an owner outside that is the accountable pool's, on which it stands."""
    level = min(due.level + 1, SUPERVISOR)
    hears = {OWNER: due.list_id, POOL: due.accountable_id, SUPERVISOR: due.supervisor_id or due.accountable_id}
    return _Step(due.handoff_id, due.due_at, level, hears[level], _next(due, rules))


def _next(due: _Due, rules: Rules) -> datetime | None:
    """When the next level hears, by the numbers of the organisation that answers for it; None after the last."""
    level = AFTERWARDS.get(due.level + 2)
    if level is None:
        return None
    return rules.due("", ESCALATION, level, (PRIORITIES[due.priority_rank],), due.due_at)


# What has come to its next level, with whom that may be: in the order in which the index gives it.
_DUE = """
SELECT handoff.id, handoff.due_at, handoff.escalation_level, handoff.priority_rank, handoff.list_id,
       handoff.accountable_id, accountable.organization, pool.supervisor_id
FROM referrals_handoff AS handoff JOIN referrals_owner AS accountable ON accountable.id = handoff.accountable_id
     LEFT JOIN referrals_pool AS pool ON pool.owner_id = handoff.accountable_id
WHERE handoff.closed_at IS NULL AND handoff.escalate_at <= %(now)s
ORDER BY handoff.escalate_at, handoff.id LIMIT %(batch)s
FOR UPDATE OF handoff SKIP LOCKED
"""
_RECORD = """
WITH step AS (
    SELECT * FROM unnest(%(handoff_id)s::text[], %(due_at)s::timestamptz[], %(level)s::smallint[], %(hears)s::bigint[],
                         %(then)s::timestamptz[]) AS step (handoff_id, due_at, level, hears, later)
), moved AS (
    UPDATE referrals_handoff AS handoff SET escalation_level = step.level, escalate_at = step.later
    FROM step WHERE handoff.id = step.handoff_id
)
INSERT INTO referrals_escalation (handoff_id, due_at, level, owner_id, recorded_at, channel)
SELECT handoff_id, due_at, level, hears, %(now)s, '' FROM step ON CONFLICT DO NOTHING
"""
