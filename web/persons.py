"""What is known of the person behind a patient's record: that they have died, moved, or are in two records."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from records import access
from records.access import Actor
from records.json import Resource, loads
from referrals import mortality, people
from referrals.models import Handoff, Merge
from referrals.parties import current_patient
from referrals.upheavals import duplicates
from referrals.worklists import LoopView
from web import reading

MOVED = "patient-moves"


def about(actor: Actor, patient_id: str, loops: Iterable[LoopView]) -> dict[str, Any]:
    """What the page of a patient says besides the loops, and what this person may enter there."""
    last = mortality.last_asked(patient_id)
    is_known = last is not None and last.stage in mortality.KNOWN
    may = bool(actor.roles & people.WORKING)
    return {
        "counts_as": _other(actor, current_patient(patient_id), patient_id),
        "replaces": _replaced(actor, patient_id),
        "moved_at": max((one.at for view in loops if not view.row.closed_at for one in _moves(view)), default=None),
        "death": _death(actor, last) if last is not None else None,
        "alike": duplicates.alike(actor, patient_id) if duplicates.may_decide(actor) else 0,
        "may_report_death": may and not is_known,
    }


def death_words(patient_id: str) -> str:
    """What the answer of a person, or a question to one, says of whether the patient lives; empty for nothing."""
    words = {"death-confirmed": _("death confirmed"), "to-confirm-death": _("reported to have died")}
    return words.get(mortality.known_of(patient_id), "")


def may_refute(actor: Actor, last: Handoff | None) -> bool:
    """Whether the actor may take a confirmed death back: whoever works where it was confirmed."""
    return _is_theirs(actor, last, "death-confirmed")


def has_been_refuted(actor: Actor, last: Handoff | None) -> bool:
    """Whether a colleague was faster than an actor who might have taken it back."""
    return _is_theirs(actor, last, "death-refuted")


def _is_theirs(actor: Actor, last: Handoff | None, stage: str) -> bool:
    is_theirs = last is not None and last.stage == stage and last.accountable.organization == actor.organization
    return is_theirs and bool(actor.roles & people.WORKING)


def identity(body: Resource) -> list[tuple[str, str]]:
    """What says who somebody is, label by label, to be laid beside another record."""
    address: Resource = next(iter(body.get("address", ())), {})
    places = (*address.get("line", ()), address.get("postalCode"), address.get("city"))
    numbers = (str(one["value"]) for one in body.get("identifier", ()) if one.get("value"))
    return [
        (_("Name"), reading.person_name(body)),
        (_("Born"), reading.day(str(body.get("birthDate", "")))),
        (_("Sex"), str(reading.SEXES.get(str(body.get("gender", "")), ""))),
        (_("Identifiers"), ", ".join(numbers)),
        (_("Telephone"), reading.telecom(body)),
        (_("Address"), str(address.get("text") or ", ".join(str(part) for part in places if part))),
    ]


def _death(actor: Actor, last: Handoff) -> dict[str, Any]:
    is_ours = last.accountable.organization == actor.organization
    return {
        "stage": last.stage,
        "at": last.stage_since,
        "pool": last.accountable.name,
        "loop_id": last.loop_id if is_ours else "",
        "may_refute": may_refute(actor, last),
    }


def _moves(view: LoopView) -> list[Any]:
    return [event for event in view.events if event.action == MOVED]


def _replaced(actor: Actor, patient_id: str) -> list[dict[str, str]]:
    sources = (
        Merge.objects.filter(target=patient_id, undone_at=None).order_by("merged_at").values_list("source", flat=True)
    )
    return [one for source in sources for one in [_other(actor, source, patient_id)] if one]


def _other(actor: Actor, key: str, than: str) -> dict[str, str] | None:
    """Another record of the same person, as far as the actor may see it."""
    if key == than:
        return None
    text = access.visible(actor, "Patient").filter(pk=key).values_list("body", flat=True).first()
    body = loads(text) if text else {}
    name, number = reading.person_name(body), reading.identifier(body)
    return {"id": key if text else "", "name": name or _("Name not known"), "number": number}
