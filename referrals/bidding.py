"""Bidding: a request that is sent to several as offers, which the first acceptance takes (PATHWAYS §3, §4).

An acceptance is every step to a stage that stands for `accepted` or more, whoever takes it and however. All of it is
decided under the loop's lock, so that of two acceptances at once the second finds its offer gone. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from referrals.models import Handoff
from referrals.pathways import STAGES
from referrals.pathways.stages import UNFULFILLED

LOST = "cancelled"
NOT_SELECTED = "not-selected"
ACCEPTANCES = frozenset({"accepted", "in-progress", "completed"})
STARTED = frozenset({"in-progress", "completed"})


def rivals(handoff: Handoff, others: Iterable[Handoff]) -> list[Handoff]:
    """The other open offers of the same bidding; none for what is no offer (any more)."""
    if not handoff.is_offer:
        return []
    return [one for one in others if one.is_offer and one.opened_by_id == handoff.opened_by_id]


def joining(handoff: Handoff, performing: Iterable[Handoff]) -> list[Handoff]:
    """Who has been asked already and hasn't accepted: they bid with whoever is asked besides for the first to take it."""
    asked = [one for one in performing if one.opened_by_id == handoff.opened_by_id]
    return [one for one in asked if not _has_accepted(one)]


def winner(stages: Mapping[str, str], everyone: Iterable[Handoff]) -> Handoff | None:
    """The offer that these new stages accept."""
    return next((one for one in everyone if one.is_offer and _accepts(one, stages.get(one.id, ""))), None)


def started(losers: Sequence[Handoff]) -> list[Handoff]:
    """The losers that have begun all the same, and are asked to cancel instead of being ended."""
    return [one for one in losers if one.task_status in STARTED]


def _has_accepted(handoff: Handoff) -> bool:
    """Whether its performer has, by its own Task or by what somebody has entered for it."""
    stage = handoff.stage if handoff.paused_seconds is None else handoff.paused_stage
    return bool({handoff.task_status, STAGES[handoff.kind, stage].task_status} & ACCEPTANCES)


def _accepts(offer: Handoff, stage: str) -> bool:
    """Whether that stage takes it; what has come to nothing doesn't, though its Task is completed (superseded)."""
    return bool(stage) and stage not in UNFULFILLED and STAGES[offer.kind, stage].task_status in ACCEPTANCES
