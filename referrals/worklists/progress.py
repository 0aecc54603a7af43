"""How far a loop has come: the steps of its kind with time and actor, read from the journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils.translation import gettext_lazy as _

from referrals.models import Event, Loop
from referrals.vocabulary import Words

State = Literal["done", "current", "skipped", "upcoming"]


@dataclass(frozen=True, slots=True)
class Milestone:
    """One step of a kind of loop; ``reached_by`` are the (handoff, stage) pairs that an event may come to."""

    code: str
    label: Words
    reached_by: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a loop; time and actor when it is done."""

    code: str
    label: Words
    state: State
    at: datetime | None = None
    actor: str = ""


def _milestone(code: str, label: Words, *reached_by: str) -> Milestone:
    pairs = (pair.split("/") for pair in reached_by)
    return Milestone(code, label, frozenset((handoff, stage) for handoff, stage in pairs))


_ORDERED = _milestone("ordered", _("ordered"))
_SENT = _milestone("sent", _("sent"), "dispatch/dispatched", "decide-next-step/redirected")
_REVIEWED = _milestone("acknowledged", _("acknowledged"), "review-report/acknowledged")
_TOLD = _milestone("told", _("patient told"), "notify-patient/told", "notify-patient/not-reached")

MILESTONES: dict[str, tuple[Milestone, ...]] = {
    "referral": (
        _ORDERED,
        _SENT,
        _milestone("accepted", _("accepted"), "fulfil/awaiting-booking"),
        _milestone("booked", _("booked"), "fulfil/scheduled", "contact-patient/visit-booked"),
        _milestone("seen", _("seen"), "fulfil/seen-awaiting-report"),
        _milestone("reported", _("report received"), "fulfil/report-sent"),
        _REVIEWED,
        _TOLD,
    ),
    "follow-up": (
        _ORDERED,
        _milestone("booked", _("booked"), "fulfil/booked", "contact-patient/visit-booked"),
        _milestone("seen", _("seen"), "fulfil/done"),
        _REVIEWED,
        _TOLD,
    ),
    "test-order": (
        _ORDERED,
        _SENT,
        _milestone("collected", _("collected"), "fulfil/specimen-collected", "recollect/recollected"),
        _milestone("in-lab", _("in the laboratory"), "fulfil/in-lab"),
        _milestone("reported", _("result received"), "fulfil/final"),
        _REVIEWED,
        _TOLD,
    ),
}


def steps(loop: Loop, events: Iterable[Event]) -> list[Step]:
    """The loop's steps. One that is reached again (a new performer, a corrected report) makes the later ones open again."""
    milestones = MILESTONES.get(loop.kind, ())
    reached: dict[int, Event] = {}
    for event in events:
        place = _place(milestones, event)
        if place is not None:
            reached = {index: held for index, held in reached.items() if index < place} | {place: event}
    last = max(reached, default=-1)
    return [_step(loop, one, reached.get(index), index - last) for index, one in enumerate(milestones)]


def _place(milestones: tuple[Milestone, ...], event: Event) -> int | None:
    if event.handoff is None:
        return 0 if event.action == "open" and milestones else None
    if event.from_stage == event.to_stage:
        return None  # what leaves it where it was, a hold for instance, doesn't come to it again
    pair = (event.handoff.kind, event.to_stage)
    return next((index for index, one in enumerate(milestones) if pair in one.reached_by), None)


def _step(loop: Loop, milestone: Milestone, event: Event | None, ahead: int) -> Step:
    """``ahead``: how far it lies beyond the last step reached."""
    if event is not None:
        return Step(milestone.code, milestone.label, "done", event.at, event.actor_display)
    if ahead < 0 or loop.closed_at is not None:
        return Step(milestone.code, milestone.label, "skipped")
    return Step(milestone.code, milestone.label, "current" if ahead == 1 else "upcoming")
