"""One loop with its handoffs, journal and progress; and all loops of a patient."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records.access import Actor
from records.errors import NotFound
from referrals.models import UNSENT, Event, Handoff, Loop, SignOfLife
from referrals.pathways import HANDOFFS, LOOP_STAGES, REASONS, STAGES, TRANSITIONS
from referrals.people import PERFORMED
from referrals.vocabulary import Words
from referrals.worklists.patients import display_names
from referrals.worklists.progress import Step, steps

MOST_LOOPS = 100
_ACTIONS: dict[tuple[str, str], Words] = {(one.handoff, one.action): one.label for one in TRANSITIONS}
_OF_LOOPS: dict[str, Words] = {
    "open": gettext_lazy("Opened"),
    "merge-patient": gettext_lazy("The patient's records were merged"),
    "unmerge-patient": gettext_lazy("The merging of the patient's records was undone"),
}


@dataclass(frozen=True, slots=True)
class HandoffView:
    """A handoff as a page shows it; ``row`` is the loaded row, for `workflow.available`.

    ``unknown_since``: nothing was heard of its owner's system since then, longer than is usual.
    """

    row: Handoff
    label: Words
    stage_label: Words
    owner_name: str
    is_outside: bool
    is_overdue: bool
    reason_label: Words
    unknown_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    """A line of the journal as a page shows it."""

    at: datetime
    recorded_at: datetime
    actor: str
    action: str
    label: Words
    handoff_id: str
    handoff_kind: str
    handoff_label: Words
    from_stage: Words
    to_stage: Words
    reason_label: Words
    reason_text: str
    details: dict[str, Any]
    evidence: str
    attested: bool


@dataclass(frozen=True, slots=True)
class LoopView:
    """A loop as a page shows it: what is open first, the journal in its order, the steps with time and actor.

    ``row`` has its owners loaded. ``next`` is the open handoff that is due first, None in an ended loop.
    """

    row: Loop
    stage_label: Words
    patient_name: str
    handoffs: tuple[HandoffView, ...]
    events: tuple[EventView, ...]
    steps: tuple[Step, ...]
    next: HandoffView | None


def loop_view(actor: Actor, loop_id: str, now: datetime) -> LoopView:
    """One loop; `NotFound` where there is none or the actor's organisation has no part in it."""
    views = _views(actor, _visible(actor).filter(id=loop_id), now)
    if not views:
        raise NotFound(_("There is no such loop."))
    return views[0]


def timeline(actor: Actor, patient_id: str, now: datetime) -> list[LoopView]:
    """The loops of one patient in which the actor's organisation has a part, newest first."""
    if not patient_id:
        return []
    loops = _visible(actor).filter(patient_id=patient_id).order_by("-ordered_at", "-id")
    return _views(actor, loops[:MOST_LOOPS], now)


def _visible(actor: Actor) -> QuerySet[Loop]:
    """The loops that the actor's organisation places, performs or answers for; a patient's own."""
    loops = Loop.objects.select_related("accountable", "responsible", "performer_owner")
    if actor.kind == "system":
        return loops
    if not actor.organization:
        return loops.filter(patient_id=actor.patient) if actor.patient else loops.none()
    organization = actor.organization
    performed = Handoff.objects.filter(kind__in=PERFORMED, owner__organization=organization).exclude(UNSENT)
    own = Q(placer=organization) | Q(performer=organization) | Q(accountable__organization=organization)
    own |= Q(responsible__organization=organization)
    return loops.filter(own | Q(pk__in=performed.values("loop")))


def _is_shown(actor: Actor, handoff: Handoff | None, loop: Loop) -> bool:
    """Whether the actor sees a handoff: who only performs sees nothing of the other performers."""
    if handoff is None or handoff.kind not in PERFORMED or actor.kind == "system" or actor.patient:
        return True
    acting = "" if handoff.is_unsent else handoff.owner.organization
    return actor.organization in (loop.placer, loop.accountable.organization, acting)


def _views(actor: Actor, loops: Iterable[Loop], now: datetime) -> list[LoopView]:
    """All that belongs to these loops, in one statement per table."""
    found = list(loops)
    if not found:
        return []
    by_id = {loop.id: loop for loop in found}
    handoffs: dict[str, list[Handoff]] = defaultdict(list)
    rows = Handoff.objects.filter(loop__in=by_id).annotate(heard_at=_heard_before(now))
    for handoff in rows.select_related("owner", "list").order_by("due_at", "id"):
        handoff.loop = by_id[handoff.loop_id]
        if _is_shown(actor, handoff, handoff.loop):
            handoffs[handoff.loop_id].append(handoff)
    events: dict[str, list[Event]] = defaultdict(list)
    for event in Event.objects.filter(loop__in=by_id).select_related("handoff__owner").order_by("id"):
        if _is_shown(actor, event.handoff, by_id[event.loop_id]):
            events[event.loop_id].append(event)
    names = display_names(actor, {loop.patient_id for loop in found})
    return [_view(loop, handoffs[loop.id], events[loop.id], names.get(loop.patient_id, ""), now) for loop in found]


def _heard_before(now: datetime) -> Subquery:
    """The last sign of life of a system of the owner's house, where that is longer ago than its window."""
    silent = SignOfLife.objects.filter(heard_at__lt=now - F("silent_after")).order_by("heard_at")
    return Subquery(silent.filter(organization=OuterRef("owner__organization")).values("heard_at")[:1])


def _view(loop: Loop, handoffs: Sequence[Handoff], events: Sequence[Event], name: str, now: datetime) -> LoopView:
    shown = [_handoff_view(handoff, now) for handoff in handoffs]
    still_open = [view for view in shown if view.row.is_open]
    ended = sorted((view for view in shown if not view.row.is_open), key=lambda view: view.row.stage_since)
    return LoopView(
        row=loop,
        stage_label=LOOP_STAGES[loop.stage].label,
        patient_name=name,
        handoffs=(*still_open, *ended),
        events=tuple(_event_view(event) for event in events),
        steps=tuple(steps(loop, events)),
        next=next(iter(still_open), None),
    )


def _handoff_view(handoff: Handoff, now: datetime) -> HandoffView:
    return HandoffView(
        row=handoff,
        label=HANDOFFS[handoff.kind].label,
        stage_label=STAGES[handoff.kind, handoff.stage].label,
        owner_name=handoff.owner.name,
        is_outside=handoff.is_outside,
        is_overdue=handoff.is_open and handoff.due_at < now,
        reason_label=_reason(handoff.reason_code),
        unknown_since=handoff.heard_at if handoff.is_open and not handoff.owner.internal else None,  # type: ignore[attr-defined]  # annotated
    )


def _event_view(event: Event) -> EventView:
    kind = event.handoff.kind if event.handoff else ""
    return EventView(
        at=event.at,
        recorded_at=event.recorded_at,
        actor=event.actor_display,
        action=event.action,
        label=_OF_LOOPS.get(event.action) or _ACTIONS.get((kind or "fulfil", event.action), event.action),
        handoff_id=event.handoff_id or "",
        handoff_kind=kind,
        handoff_label=HANDOFFS[kind].label if kind else "",
        from_stage=_stage(kind, event.from_stage),
        to_stage=_stage(kind, event.to_stage),
        reason_label=_reason(event.reason_code),
        reason_text=event.reason_text,
        details=event.details,
        evidence=event.evidence,
        attested=event.attested,
    )


def _stage(kind: str, code: str) -> Words:
    if kind:
        return STAGES[kind, code].label if code else ""
    return LOOP_STAGES[code].label if code else ""


def _reason(code: str) -> Words:
    return REASONS[code].label if code in REASONS else ""
