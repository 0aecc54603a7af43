"""Evidence that waits for a person to say which order it belongs to: what it says of itself, beside what was ordered."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _

from records.access import Actor
from records.json import Resource
from referrals import matching
from referrals.evidence.naming import performers_of
from referrals.matching import Candidate
from referrals.parties import held, local, same_patient
from referrals.subjects import patient_of
from referrals.vocabulary import Words
from referrals.worklists import LoopView
from web import linked, organisations, patients, reading, words
from web.workplace import StaffRequest

FIND = "find-order"


def choices(candidates: Iterable[Candidate]) -> list[tuple[str, Words]]:
    """The candidates as a form offers them, best first, each with what speaks for it."""
    return [
        (one.loop.request_reference, " · ".join(filter(None, (_person(one), _title(one), _reasons(one)))))
        for one in candidates
    ]


def performers(actor: Actor, candidates: Iterable[Candidate]) -> list[tuple[str, Words]]:
    """Whose result it may be where several perform one of these orders."""
    asked = ([part.owner for part in matching.parts(one.loop)] for one in candidates)
    several = {one.organization: one.name for owners in asked if len(owners) > 1 for one in owners}
    named = several | organisations.names(actor, set(several))
    return [(f"Organization/{key}", name) for key, name in named.items()]


def look_for(request: StaffRequest, loop_id: str) -> None:
    """Keep in the session for whose orders somebody looks, for this loop alone: it must be in no address."""
    request.session[FIND] = [loop_id, patients.typed(request)]


def sought(request: StaffRequest, loop_id: str) -> str:
    """What was typed into the search on this loop's page last."""
    found, words = request.session.get(FIND, ("", ""))
    return str(words) if found == loop_id else ""


def candidates(request: StaffRequest, view: LoopView) -> list[Candidate]:
    """The orders that the evidence of an unsolicited loop may belong to, best first; none once it is matched."""
    waiting = [one.row for one in view.handoffs if one.row.is_open and one.row.kind == "match-evidence"]
    words = sought(request, view.row.id) if waiting else ""
    people = [hit.id for hit in patients.fitting(request.actor, words)]
    return [one for handoff in waiting for one in matching.candidates(handoff, people)]


def shown(
    request: StaffRequest, view: LoopView, proofs: Iterable[linked.Linked], found: Sequence[Candidate]
) -> dict[str, Any] | None:
    """What the page of an unsolicited loop shows of its evidence; None for every other loop.

    Of the patients there is only what tells them apart: who may read the report may know whom it names.
    """
    if view.row.kind != "unsolicited":
        return None
    report = next((one for one in proofs if one.reference == view.row.about), None)
    body = report.body if report else {}
    named, words_sought = [one for one in found if one.is_named], sought(request, view.row.id)
    differs = bool(body) and any(not same_patient(one.loop.patient_id, patient_of(body)) for one in named)
    told = [
        (_("Sender"), _sender(request.actor, body)),
        (_("Patient on the report"), _subject(body)),
        (_("Patient of the order"), "; ".join(map(_person, named))),
    ]
    return {
        "report": report,
        "differs": differs,
        "is_open": any(one.row.is_open for one in view.handoffs),
        "find": words_sought,
        "is_missed": bool(words_sought) and not any(one.is_sought for one in found),
        "facts": [(label, value or _("Not known")) for label, value in told],
        "candidates": [
            {"id": one.loop.id, "title": _title(one), "patient": _person(one), "reasons": _reasons(one)}
            for one in found
        ],
    }


def _title(one: Candidate) -> str:
    return words.title(one.loop.kind, one.loop.title)


def _reasons(one: Candidate) -> str:
    return ", ".join(map(str, one.reasons))


def _person(one: Candidate) -> str:
    return _identity(held("Patient", one.loop.patient_id))


def _subject(report: Resource) -> str:
    """Whom a report names: by our record, else by its own words."""
    reference = patient_of(report)
    type_, key = local(reference)
    known = _identity(held("Patient", key)) if type_ == "Patient" else ""
    said = (reference.get("display", ""), reference.get("identifier", {}).get("value", ""))
    return known or " · ".join(str(part) for part in said if part)


def _identity(patient: Resource) -> str:
    parts = (reading.person_name(patient), reading.day(str(patient.get("birthDate", ""))), reading.identifier(patient))
    return " · ".join(part for part in parts if part)


def _sender(actor: Actor, report: Resource) -> str:
    """Who has done it, as the report says it."""
    listed = report.get("performer") or report.get("author") or []
    displays = [str(one["display"]) for one in listed if isinstance(one, dict) and one.get("display")]
    known = organisations.names(actor, performers_of(report)) if report else {}
    return ", ".join(dict.fromkeys((*displays, *known.values())))
