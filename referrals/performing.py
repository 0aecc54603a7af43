"""Which performer's part of a loop something is about, and who is asked once more for what was to come of it."""

from django.db.models import Q

from referrals import people
from referrals.models import Handoff, Owner


def part_of(handoff: Handoff) -> Handoff | None:
    """The performer's part that a handoff is, or was opened by; None for what is about the whole loop."""
    about = handoff if handoff.kind == "fulfil" else handoff.opened_by
    return about if about is not None and about.kind == "fulfil" else None


def asked(part: Handoff) -> Owner:
    """Who was asked to perform it: its owner, or the pool from which one of its people has taken it."""
    is_taken = part.owner.kind == Owner.Kind.PERSON and part.owner.internal
    return people.pool_of(part) if is_taken else part.owner


GOES_ON = frozenset({"accepted", "ready", "in-progress"})
"""What a performer says that has it, and means to do it or is at it."""


def is_back(part: Handoff | None) -> bool:
    """Whether its performer goes on with it although it has ended, and hasn't been asked to stop since."""
    if part is None or part.closed_at is None or part.task_status not in GOES_ON:
        return False
    said = part.events.filter(action__in=("start-anyway", "contradict"), recorded_at__gte=part.closed_at)
    since = Q(closed_at=None) | Q(closed_at__gt=part.closed_at)
    return said.exists() and not Handoff.objects.filter(since, opened_by=part, kind="request-cancellation").exists()
