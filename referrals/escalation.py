"""Who hears of what is past its due time: owner, then pool, then supervisor; once per level and due time.

An escalation adds a row and changes neither owner nor due time nor stage. `Handoff.escalate_at` says when the next level
is to hear, so that a sweep costs what is due and not what exists; with no sweep at all the lists are still right.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from records import clock
from records.access import Actor
from referrals import people
from referrals.deadlines import ESCALATION, Rules, rules_of
from referrals.models import RANK, Escalation, Handoff, Pool

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


class SweepStands(RuntimeError):
    """The same handoff came to more levels than there are: the rules lead nowhere, and a worker would spin for ever."""


def sweep(now: datetime) -> int:
    """Record every escalation that is due by ``now``; gives how many. Two sweeps at once share the work.

    Raises `SweepStands` when a batch brings nothing forward; what was recorded before stays.
    """
    recorded: Counter[str] = Counter()
    while batch := _sweep_batch(now):
        recorded.update(batch)
        if any(recorded[handoff_id] > SUPERVISOR for handoff_id in batch):
            raise SweepStands("A handoff comes up at every batch of the escalation sweep.")
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


def _sweep_batch(now: datetime) -> list[str]:
    """One batch of handoffs that have come to their next level, by id. What another sweep holds is left to it."""
    with transaction.atomic():
        due = (
            Handoff.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("accountable")
            .filter(closed_at=None, escalate_at__lte=now)
            .order_by("escalate_at")[:BATCH]
        )
        handoffs = list(due)
        supervisors = _supervisors({handoff.accountable_id for handoff in handoffs})
        rules = rules_of(handoff.accountable.organization for handoff in handoffs)
        for handoff in handoffs:
            handoff.escalation_level += 1
            handoff.escalate_at = _next(handoff, rules[handoff.accountable.organization])
        Escalation.objects.bulk_create(
            [_escalation(handoff, supervisors, now) for handoff in handoffs], ignore_conflicts=True
        )
        Handoff.objects.bulk_update(handoffs, ["escalation_level", "escalate_at"])
    return [handoff.id for handoff in handoffs]


def _next(handoff: Handoff, rules: Rules) -> datetime | None:
    """When the next level hears, by the numbers of the organisation that answers for it; None after the last."""
    level = AFTERWARDS.get(handoff.escalation_level + 1)
    if level is None:
        return None
    return rules.due("", ESCALATION, level, (PRIORITIES[handoff.priority_rank],), handoff.due_at)


def _escalation(handoff: Handoff, supervisors: dict[int, int], now: datetime) -> Escalation:
    """The owner's list hears first: for an owner outside that is the accountable pool's, on which it stands."""
    hears = {
        OWNER: handoff.list_id,
        POOL: handoff.accountable_id,
        SUPERVISOR: supervisors.get(handoff.accountable_id, handoff.accountable_id),
    }
    return Escalation(
        handoff=handoff,
        due_at=handoff.due_at,
        level=handoff.escalation_level,
        owner_id=hears[handoff.escalation_level],
        recorded_at=now,
    )


def _supervisors(pools: Collection[int]) -> dict[int, int]:
    """The supervisor of each pool, by the pool's Owner."""
    found = Pool.objects.filter(owner__in=pools, supervisor__isnull=False)
    return dict(found.values_list("owner_id", "supervisor_id"))
