"""Candidates for evidence that names no order of ours: ranked with their reasons, never chosen for anybody."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from records import clock
from records.json import Resource
from referrals.models import Handoff, Loop
from referrals.parties import held, local, root_of, same_patient
from referrals.subjects import patient_of
from referrals.vocabulary import Words

MOST = 20
LATELY = timedelta(days=365)
"""† How long after its end a loop is still proposed."""
KINDS = {"DiagnosticReport": "test-order", "Specimen": "test-order", "Appointment": "referral", "Encounter": "referral"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order that the evidence may belong to; ``reasons`` say what speaks for it, the weightiest first."""

    loop: Loop
    score: int
    reasons: tuple[Words, ...]


def candidates(handoff: Handoff) -> list[Candidate]:
    """The orders of the receiving organisation that a match-evidence handoff's evidence may belong to, best first."""
    type_, key = local({"reference": handoff.loop.about})
    evidence = held(type_, key)
    if not evidence:
        return []
    found = (_judge(loop, evidence) for loop in _possible(handoff, evidence))
    return sorted(found, key=lambda one: (-one.score, -one.loop.ordered_at.timestamp()))[:MOST]


def _possible(handoff: Handoff, evidence: Resource) -> list[Loop]:
    """The loops that the evidence names, and those of a patient who may be its patient."""
    named = _named(evidence)
    _type, patient = local(patient_of(evidence))
    recent = Q(closed_at=None) | Q(closed_at__gte=clock.now() - LATELY)
    ours = Loop.objects.filter(recent, accountable__organization=handoff.loop.accountable.organization)
    orders = ours.exclude(request_id=None).select_related("accountable")
    people = {patient, *orders.order_by().values_list("patient_id", flat=True).distinct()[:1000]} - {""}
    same = [one for one in people if same_patient(one, patient_of(evidence))]
    return list(orders.filter(Q(request_id__in=named) | Q(patient_id__in=same)).order_by("-ordered_at")[: MOST * 5])


def _named(evidence: Resource) -> list[str]:
    return [local(one)[1] for one in evidence.get("basedOn", ()) if local(one)[0] == "ServiceRequest"]


def _judge(loop: Loop, evidence: Resource) -> Candidate:
    request = held("ServiceRequest", loop.request_id or "")
    performers = {root_of(one) for one in evidence.get("performer", ())} - {""}
    told: tuple[tuple[bool, int, Words], ...] = (
        (loop.request_id in _named(evidence), 50, _("it names this order")),
        (same_patient(loop.patient_id, patient_of(evidence)), 40, _("same patient")),
        (bool(_codes(evidence) & _codes(request)), 30, _("same test")),
        (loop.performer in performers, 15, _("same performer")),
        (KINDS.get(evidence["resourceType"]) == loop.kind, 10, _("right kind of order")),
        (loop.closed_at is None, 5, _("still open")),
    )
    holding = [(weight, words) for holds, weight, words in told if holds]
    return Candidate(loop, sum(weight for weight, _words in holding), tuple(words for _weight, words in holding))


def _codes(resource: Resource) -> set[tuple[str, str]]:
    concept: dict[str, Any] = resource.get("code") or {}
    pairs = {(one.get("system", ""), one.get("code", "")) for one in concept.get("coding", ())}
    return {pair for pair in pairs if all(pair)}
