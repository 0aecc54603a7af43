"""What a piece of evidence says to an action: when it happened, and the values of the action's fields."""

from datetime import MAXYEAR, datetime, timedelta
from typing import Any

from records import clock, dates
from records.access import Actor
from records.json import Resource, lexeme
from referrals.evidence.naming import succeeded
from referrals.reports import STATES, severity_of, state_of

LONGEST_VISIT = 31 * 24 * 60
"""† In minutes."""
WHY = {"cancelled": "unable", "entered-in-error": "entered-in-error"}


def happened_at(resource: Resource, actor: Actor) -> datetime:
    """When the proven step happened: what the resource says of it, else when a partner wrote it, else now.

    `workflow` limits it to between the order and our receipt (PATHWAYS §7).
    """
    period = resource.get("period") or {}
    told = {
        "Encounter": period.get("end"),
        "DiagnosticReport": resource.get("issued"),
        "DocumentReference": resource.get("date"),
        "Specimen": resource.get("receivedTime"),
        "Communication": resource.get("sent"),
        "QuestionnaireResponse": resource.get("authored"),
        "Composition": resource.get("date"),
    }.get(resource["resourceType"])
    found = dates.period_of(told) if isinstance(told, str) else None
    return found[0] if found else said_at(resource, actor)


def said_at(resource: Resource, actor: Actor) -> datetime:
    """When a partner wrote it, else now."""
    said = resource.get("meta", {}).get("lastUpdated") if actor.kind == "partner" else None
    found = dates.period_of(said) if isinstance(said, str) else None
    return found[0] if found else clock.now()


def told(resource: Resource) -> dict[str, Any]:
    """What a resource can say to the form of an action, by the names of the fields."""
    type_, reference = resource["resourceType"], f"{resource['resourceType']}/{resource['id']}"
    if type_ == "Appointment":
        return slot_of(resource) | _cancellation(resource) | {"appointment": reference}
    if type_ == "Specimen":
        return {"reason": "specimen-unsatisfactory"}
    if type_ == "Communication":
        words = "\n".join(str(one["contentString"]) for one in resource.get("payload", ()) if one.get("contentString"))
        return {"question": words, "answer": words, "channel": _channel(resource)}
    if type_ in STATES:
        state = state_of(resource)
        why = {"reason": WHY[state]} if state in WHY else {}
        replaced = next(iter(succeeded(resource, ["replaces"])), "")
        return why | {"report": reference, "state": state, "severity": severity_of(resource), "replaces": replaced}
    return {}


def slot_of(appointment: Resource) -> dict[str, datetime]:
    """Start and end; an appointment without an end lasts as long as it says, else it is taken to end when it starts."""
    start, end = (dates.period_of(appointment.get(name, "")) for name in ("start", "end"))
    begins = start[0] if start else None
    ends = end[0] if end else begins and _after(begins, appointment)
    return {name: at for name, at in (("slot_start", begins), ("slot_end", ends)) if at is not None}


def _after(begins: datetime, appointment: Resource) -> datetime:
    """When it ends by its ``minutesDuration``; a duration that no visit has says nothing."""
    minutes = int(lexeme(appointment.get("minutesDuration", 0)))
    is_meant = minutes <= LONGEST_VISIT and begins.year < MAXYEAR
    return begins + timedelta(minutes=minutes) if is_meant else begins


def _cancellation(appointment: Resource) -> dict[str, str]:
    """By patient or provider as http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason says."""
    if appointment.get("status") == "entered-in-error":
        return {"reason": "entered-in-error"}
    concept = appointment.get("cancelationReason", {})
    codings = concept.get("coding", ())
    by_patient = any(one.get("code", "").startswith("pat") for one in codings)
    words = concept.get("text") or next((one["display"] for one in codings if one.get("display")), "")
    return {"reason": f"cancelled-by-{'patient' if by_patient else 'provider'}", "reason_text": words}


# http://terminology.hl7.org/CodeSystem/v3-ParticipationMode, as far as a patient is told by it.
CHANNELS = {
    "PHONE": "phone",
    "FACE": "visit",
    "PHYSICAL": "visit",
    "MAILWRIT": "letter",
    "WRITTEN": "letter",
    "EMAILWRIT": "e-mail",
}


def _channel(communication: Resource) -> str:
    codes = (
        coding.get("code", "") for medium in communication.get("medium", ()) for coding in medium.get("coding", ())
    )
    return next((CHANNELS[code] for code in codes if code in CHANNELS), "portal")
