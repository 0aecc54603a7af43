"""Candidates for evidence that names no order of ours: ranked with their reasons, never chosen for anybody."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from records import clock, dates, store
from records.json import Resource
from referrals.evidence.naming import listed, performers_of
from referrals.models import Handoff, Loop, Merge
from referrals.parties import current_patient, held, identifiers_of, local
from referrals.subjects import patient_of
from referrals.vocabulary import Words

MOST = 100
"""† More than a patient has in a year; whoever knows the order must find it among them."""
LATELY = timedelta(days=365)
"""† How long after its end a loop is still proposed."""
GRACE = timedelta(days=30)
KINDS = {"DiagnosticReport": "test-order", "Specimen": "test-order", "Appointment": "referral", "Encounter": "referral"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order that the evidence may belong to; ``reasons`` say what speaks for it, the weightiest first.

    ``is_named``: the evidence names this very order, by reference or number. ``is_sought``: somebody looked for its patient.
    """

    loop: Loop
    score: int
    reasons: tuple[Words, ...]
    is_named: bool = False
    is_sought: bool = False


@dataclass(frozen=True, slots=True)
class _Clue:
    """What the evidence says: its resource, the Patients that it may mean, the orders that it names, and when it was; and
    the Patients that a person has ``sought`` for it.
    """

    evidence: Resource
    patients: frozenset[str]
    sought: frozenset[str]
    named: frozenset[str]
    numbered: frozenset[str]
    at: datetime | None


def candidates(handoff: Handoff, sought: Collection[str] = ()) -> list[Candidate]:
    """The orders of the receiving organisation that a match-evidence handoff's evidence may belong to, best first.

    ``sought`` are ids of Patients whose orders somebody wants to choose from, whatever the evidence says: these lead.
    """
    type_, key = local({"reference": handoff.loop.about})
    evidence = held(type_, key)
    if not evidence:
        return []
    clue = _clue(evidence, sought)
    found = (_judge(loop, clue) for loop in _possible(handoff, clue))
    return sorted(found, key=lambda one: (-one.score, -one.loop.ordered_at.timestamp()))[:MOST]


def parts(loop: Loop) -> list[Handoff]:
    """Each performer's open part of the order, with its owner, the one that was asked first leading."""
    found = loop.handoffs.filter(kind="fulfil", closed_at=None).select_related("owner")
    return list(found.order_by("opened_at", "id"))


def _clue(evidence: Resource, sought: Collection[str]) -> _Clue:
    based_on = [one for one in evidence.get("basedOn", ()) if isinstance(one, dict)]
    named = {key for type_, key in map(local, based_on) if type_ == "ServiceRequest"}
    numbers = [*listed(evidence.get("identifier")), *(one["identifier"] for one in based_on if one.get("identifier"))]
    numbered = {
        stored.id
        for one in numbers
        if one.get("system") and one.get("value")
        for stored in store.find_by_identifier("ServiceRequest", one["system"], one["value"])
    }
    return _Clue(
        evidence,
        _people(patient_of(evidence)),
        frozenset(map(current_patient, sought)),
        frozenset(named),
        frozenset(numbered),
        _time_of(evidence),
    )


def _people(reference: Mapping[str, Any]) -> frozenset[str]:
    """Every Patient here that the reference may mean: itself, what it is merged with, and those of the same identifier."""
    type_, key = local(reference)
    found, pairs = set(), _pairs(reference.get("identifier"))
    if type_ == "Patient":
        current = current_patient(key)
        merged = Merge.objects.filter(target=current, undone_at=None).values_list("source", flat=True)
        found |= {key, current, *merged}
        pairs |= identifiers_of(held("Patient", key))
    for system, value in sorted(pairs):
        found |= {stored.id for stored in store.find_by_identifier("Patient", system, value)}
    return frozenset(found)


def _pairs(identifier: Any) -> set[tuple[str, str]]:
    return identifiers_of({"identifier": [identifier]}) if isinstance(identifier, dict) else set()


def _time_of(evidence: Resource) -> datetime | None:
    """When it was done, else when it was written."""
    told = evidence.get("effectiveDateTime") or evidence.get("effectivePeriod") or evidence.get("period")
    found = dates.range_of(told) or dates.period_of(str(evidence.get("issued") or evidence.get("date") or ""))
    return found[0] if found else None


def _possible(handoff: Handoff, clue: _Clue) -> list[Loop]:
    """The loops that the evidence names, and those of a patient who may be its patient."""
    recent = Q(closed_at=None) | Q(closed_at__gte=clock.now() - LATELY)
    ours = Loop.objects.filter(recent, accountable__organization=handoff.loop.accountable.organization)
    wanted = Q(request_id__in=clue.named | clue.numbered) | Q(patient_id__in=clue.patients | clue.sought)
    orders = ours.exclude(request_id=None).filter(wanted).select_related("accountable")
    return list(orders.order_by("-ordered_at")[: MOST * 2])


def _judge(loop: Loop, clue: _Clue) -> Candidate:
    request = held("ServiceRequest", loop.request_id or "")
    told: tuple[tuple[bool, int, Words], ...] = (
        (loop.patient_id in clue.sought, 200, _("you looked for this patient")),
        (loop.request_id in clue.named, 50, _("it names this order")),
        (loop.request_id in clue.numbered, 45, _("same order number")),
        (loop.patient_id in clue.patients, 40, _("same patient")),
        (bool(_codes(clue.evidence) & _codes(request)), 30, _("same test")),
        (loop.performer in performers_of(clue.evidence), 15, _("same performer")),
        (KINDS.get(clue.evidence["resourceType"]) == loop.kind, 10, _("right kind of order")),
        (_is_in_time(loop, clue.at), 10, _("done after it was ordered")),
        (loop.closed_at is None, 5, _("still open")),
    )
    holding = [(weight, words) for holds, weight, words in told if holds]
    return Candidate(
        loop,
        sum(weight for weight, _words in holding),
        tuple(words for _weight, words in holding),
        is_named=loop.request_id in clue.named | clue.numbered,
        is_sought=loop.patient_id in clue.sought,
    )


def _is_in_time(loop: Loop, at: datetime | None) -> bool:
    """Whether it was done between the order and some time after its end."""
    return at is not None and loop.ordered_at <= at <= (loop.closed_at or at) + GRACE


def _codes(resource: Resource) -> set[tuple[str, str]]:
    concept: dict[str, Any] = resource.get("code") or {}
    pairs = {(one.get("system", ""), one.get("code", "")) for one in concept.get("coding", ())}
    return {pair for pair in pairs if all(pair)}
