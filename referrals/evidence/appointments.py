"""What the appointments of a performer's part say together: the one that stands decides, whichever was heard of last.

An EHR that moves a visit books the new slot and cancels the old one, in either order: the cancellation of an
appointment that no longer counts undoes nothing. One that stands goes before one that doesn't; among equals the one
that its sender changed last. So it stands at the same place whatever the order of arrival (law 7).
"""

from datetime import datetime

from records.access import Actor
from records.json import Resource
from records.types import row_class
from referrals.evidence.parting import is_of_its_patient
from referrals.evidence.saying import slot_of
from referrals.evidence.whose import performing
from referrals.models import Event, Handoff, LastWord, Loop
from referrals.parties import held

STANDING = frozenset({"booked", "arrived", "checked-in", "fulfilled", "noshow"})
UNDOING = frozenset({"rebook", "cancel-appointment", "no-show"})
"""Steps that count only if they are newer than what something else than an appointment has led to."""


def deciding(part: Handoff, appointment: Resource, actor: Actor) -> Resource:
    """The appointment that decides where a performer's part stands, after this one was heard of; another's says nothing of it."""
    reference = f"Appointment/{appointment['id']}"
    applied = _applied(part)
    others = sorted((_named(part.loop, actor) | applied) - {reference})
    known = {other: held(*other.split("/", 1)) for other in others}
    found = [
        one
        for other, one in known.items()
        if one and is_of_its_patient(part.loop, one) and (other in applied or performing(part.loop, one, actor) == part)
    ]
    if not found:
        return appointment
    said = _said_at([reference, *others])
    return max([appointment, *found], key=lambda one: (_stands(one), *_when(one, said)))


def is_applied(handoff: Handoff, appointment: Resource, actions: tuple[str, ...]) -> bool:
    """Whether the last that the journal knows of this handoff's appointments is this one, with this status and slot."""
    last = _last(handoff)
    if last is None or last.evidence != f"Appointment/{appointment['id']}" or last.action not in actions:
        return False
    slot = {name: at.isoformat() for name, at in slot_of(appointment).items()}
    return all(last.details.get(name) in (None, at) for name, at in slot.items())


def is_late(handoff: Handoff, at: datetime, actor: Actor) -> bool:
    """Whether a step that undoes is older than what has set the stage; ``at`` is when ``actor`` says that it happened.

    Among appointments the one that decides is known (`deciding`), and a visit that took place stays. Two clocks tell no
    order: against what somebody else has said or entered, the arrival decides.
    """
    last = set_by(handoff)
    if last is not None and last.evidence.startswith("Appointment/"):
        return False
    is_comparable = last is None or last.actor_id == actor.id
    is_seen = handoff.stage == "seen-awaiting-report"  # which only the visit that says so can take back
    return is_seen or (is_comparable and max(at, handoff.loop.ordered_at) < handoff.stage_since)


def set_by(handoff: Handoff) -> Event | None:
    """What has brought the handoff where it stands; None where it stands since it was opened."""
    return handoff.events.exclude(to_stage="").order_by("-id").first()


def _last(handoff: Handoff) -> Event | None:
    return handoff.events.filter(evidence__startswith="Appointment/").order_by("-id").first()


def _named(loop: Loop, actor: Actor) -> set[str]:
    """The appointments of the same sender that name the loop's request."""
    if not loop.request_id:
        return set()
    rows = row_class("Appointment").rows("Appointment").filter(based_on__contains=[f"ServiceRequest/{loop.request_id}"])
    known = {f"Appointment/{key}" for key in rows.filter(deleted=False).values_list("id", flat=True)}
    words = LastWord.objects.filter(sender=actor.id, reference__in=known)
    return set(words.values_list("reference", flat=True))


def _applied(part: Handoff) -> set[str]:
    return set(part.events.filter(evidence__startswith="Appointment/").values_list("evidence", flat=True))


def _said_at(references: list[str]) -> dict[str, datetime]:
    words = LastWord.objects.filter(reference__in=references).order_by("at")
    return dict(words.values_list("reference", "at"))


def _stands(appointment: Resource) -> bool:
    return appointment.get("status") in STANDING


def _when(appointment: Resource, said: dict[str, datetime]) -> tuple[float, str]:
    """When its sender changed it last; the id tells equal ones apart."""
    at = said.get(f"Appointment/{appointment['id']}")
    return (at.timestamp() if at else 0.0, appointment["id"])
