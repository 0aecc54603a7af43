"""Referrals, follow-ups and test orders: list them, read one with its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import F, Func, Q, TextField, Value
from django.db.models.lookups import LessThan

from api.v1 import cursors
from api.v1.handoffs import HandoffState, state
from records import access
from records.access import Actor
from referrals.models import Loop
from referrals.pathways import LOOP_STAGES
from referrals.vocabulary import Words
from referrals.worklists import EventView, LoopView, Step


@dataclass(frozen=True, slots=True)
class LoopFilters:
    """Which loops: sent or received by the caller's organisation, open or ended; empty means all."""

    direction: Literal["sent", "received", ""] = ""
    state: Literal["open", "ended", ""] = ""
    stage: str = ""
    priority: Literal["stat", "asap", "urgent", "routine", ""] = ""
    patient: str = ""


@dataclass(frozen=True, slots=True)
class LoopState:
    """A loop as it stands now. ``request`` is the id of its ServiceRequest; times are UTC, null for what hasn't been."""

    id: str
    kind: str
    stage: str
    stage_label: Words
    version: int
    request: str | None
    patient: str
    title: str
    priority: str
    placer: str
    performer: str
    service: str
    ordered_at: datetime
    needed_by: datetime | None
    acknowledged_at: datetime | None
    told_at: datetime | None
    closed_at: datetime | None
    end_reason: str
    based_on: str | None


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of the journal: what happened ``at``, written down at ``recorded_at``, by whom and on what evidence."""

    at: datetime
    recorded_at: datetime
    action: str
    label: Words
    handoff: str | None
    from_stage: Words
    to_stage: Words
    actor: str
    reason: Words
    reason_text: str
    evidence: str
    attested: bool


@dataclass(frozen=True, slots=True)
class LoopDetail:
    """A loop with how far it has come, what somebody owes (first) or owed in it, and its journal in its order."""

    loop: LoopState
    patient_name: str
    steps: tuple[Step, ...]
    handoffs: tuple[HandoffState, ...]
    journal: tuple[JournalLine, ...]


@dataclass(frozen=True, slots=True)
class LoopPage:
    """Loops, the newest order first; ``next`` is the cursor of the page after, null on the last."""

    rows: tuple[LoopState, ...]
    next: str | None


_COLUMNS = tuple(
    {"stage_label": "stage", "request": "request_id", "patient": "patient_id", "service": "service_id"}.get(name, name)
    for name in (*LoopState.__slots__[:-1], "based_on_id")
)


def page(actor: Actor, kind: str, wanted: LoopFilters, after: str, limit: int) -> LoopPage:
    """One page of the loops of a kind that the actor may see: one query."""
    rows = Loop.objects.filter(_seen(actor, wanted), _narrowed(wanted), kind=kind)
    if place := cursors.decode(after, datetime, str):
        rows = rows.filter(LessThan(_row(F("opened_at"), F("id")), _row(*map(Value, place))))
    found = list(rows.order_by("-opened_at", "-id").values_list("opened_at", *_COLUMNS)[: limit + 1])
    key = cursors.encode((found[limit - 1][0], found[limit - 1][1])) if len(found) > limit else None
    return LoopPage(tuple(_state(row[1:]) for row in found[:limit]), key)


def detail(view: LoopView, now: datetime) -> LoopDetail:
    """What the API says of one loop."""
    return LoopDetail(
        _state([getattr(view.row, name) for name in _COLUMNS]),
        view.patient_name,
        view.steps,
        tuple(state(handoff.row, now) for handoff in view.handoffs),
        tuple(_line(event) for event in view.events),
    )


def _seen(actor: Actor, wanted: LoopFilters) -> Q:
    """What the actor may see, and of it the loops of the direction that is wanted."""
    seen = Q(pk__in=access.visible(actor, "Task").values("id"))
    own = Q(placer=actor.organization)
    # One of several performers isn't the one whom the loop names.
    received = ~own | Q(performer=actor.organization)
    return seen & {"sent": own, "received": received}.get(wanted.direction, Q())


def _narrowed(wanted: LoopFilters) -> Q:
    exact = {"stage": wanted.stage, "priority": wanted.priority, "patient_id": wanted.patient}
    condition = Q(**{name: value for name, value in exact.items() if value})
    return condition & Q(closed_at__isnull=wanted.state == "open") if wanted.state else condition


def _row(*parts: Any) -> Func:
    return Func(*parts, function="ROW", output_field=TextField())


def _state(row: Sequence[Any]) -> LoopState:
    """From the values of `_COLUMNS`; the stage's code stands where its label goes."""
    values = dict(zip(LoopState.__slots__, row, strict=True))
    return LoopState(**values | {"stage_label": LOOP_STAGES[values["stage"]].label})


def _line(event: EventView) -> JournalLine:
    return JournalLine(
        at=event.at,
        recorded_at=event.recorded_at,
        action=event.action,
        label=event.label,
        handoff=event.handoff_id or None,
        from_stage=event.from_stage,
        to_stage=event.to_stage,
        actor=event.actor,
        reason=event.reason_label,
        reason_text=event.reason_text,
        evidence=event.evidence,
        attested=event.attested,
    )
