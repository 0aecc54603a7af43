"""Which performer's part of a loop something is about, and who is asked once more for what was to come of it."""

from django.db.models import Q

from records import access
from referrals import people
from referrals.models import Event, Handoff, Owner
from referrals.parties import held


def part_of(handoff: Handoff) -> Handoff | None:
    """The performer's part that a handoff is, or was opened by; None for what is about the whole loop."""
    about = handoff if handoff.kind == "fulfil" else handoff.opened_by
    return about if about is not None and about.kind == "fulfil" else None


def root_of(handoff: Handoff) -> Handoff | None:
    """The performer's part that a handoff came from, at whatever distance; None for what is about the whole loop."""
    root: Handoff | None = handoff
    while root is not None and root.kind != "fulfil":
        root = root.opened_by
    return root


def is_of_same_part(one: Handoff, other: Handoff) -> bool:
    """Whether both came from one performer's part, or either is about the whole loop."""
    about = root_of(one)
    return about is None or root_of(other) in (None, about)


def asked(part: Handoff) -> Owner:
    """Who was asked to perform it: its owner, or the pool from which one of its people has taken it, who may have left."""
    is_taken = part.owner.kind == Owner.Kind.PERSON and access.is_tenant(part.owner.organization)
    return people.pool_of(part) if is_taken else part.owner


GOES_ON = frozenset({"accepted", "ready", "in-progress"})
"""What a performer says that has it, and means to do it or is at it."""


OVER = frozenset({"cancelled", "entered-in-error", "noshow", "fulfilled", "unsatisfactory", "unavailable"})
"""Statuses of evidence that leaves nothing to stop."""


def returned(handoff: Handoff, *, everywhere: bool) -> list[Handoff]:
    """The ended parts whose performers go on: the one that a decision is about, or (``everywhere``) all of its loop."""
    if everywhere:
        ended = handoff.loop.handoffs.filter(kind="fulfil").exclude(closed_at=None).select_related("owner")
        return [one for one in ended.order_by("opened_at", "id") if _is_back(one)]
    part = part_of(handoff) if handoff.kind == "decide-next-step" else None
    return [part] if part is not None and _is_back(part) else []


def _is_back(part: Handoff) -> bool:
    """Whether its performer goes on with it although it has ended, and hasn't been asked to stop since."""
    if part.closed_at is None or not _goes_on(part):
        return False
    since = Q(closed_at=None) | Q(closed_at__gt=part.closed_at)
    return not Handoff.objects.filter(since, opened_by=part, kind="request-cancellation").exists()


def _goes_on(part: Handoff) -> bool:
    """Whether its performer says so by its Task, or by what stands in its calendar or laboratory whatever its Task says."""
    said = part.events.filter(action__in=("start-anyway", "contradict"), recorded_at__gte=part.closed_at)
    if part.task_status in GOES_ON:
        return said.exists()
    last = said.filter(action="start-anyway").exclude(evidence="").order_by("-id").first()
    return last is not None and _stands(last) and not part.events.filter(action="hear", id__gt=last.id).exists()


def _stands(said: Event) -> bool:
    type_, _slash, key = said.evidence.partition("/")
    return held(type_, key).get("status") not in OVER
