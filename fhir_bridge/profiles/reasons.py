"""Why a performer ends a Task, in codes of the world and in ours, both ways.

None of the guides binds `Task.statusReason` to codes of its own (Gravity asks for words; the codes of COW, BSeR and AU
are all of businessStatus), so what HL7 and SNOMED publish for just this is shared by all dialects: the task-status-reason of R5, the
reasons of a cancelled appointment of R4, and the findings that QI-Core names for what was not done. A code that means
more than one thing of ours, or none, is not guessed: it is kept, and shown as it came.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from records.json import Resource
from referrals.pathways import REASONS

Coded = tuple[str, str]
"""(system, code)"""

REASON_SYSTEM = "CodeSystem/reason"
HL7 = "http://hl7.org/fhir/task-status-reason"
CANCELLED = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SNOMED = "http://snomed.info/sct"

# Of several of ours the one that may be given with the status
READS: Mapping[Coded, tuple[str, ...]] = {
    (HL7, "missing"): ("more-information-needed",),
    (HL7, "equipment-issue"): ("no-capacity", "unable"),
    (HL7, "personnel-issue"): ("no-capacity", "unable"),
    (HL7, "environmental-issue"): ("unable",),
    (CANCELLED, "pat"): ("cancelled-by-patient",),
    (CANCELLED, "pat-dec"): ("patient-died",),
    (CANCELLED, "pat-mv"): ("patient-moved",),
    (CANCELLED, "prov"): ("cancelled-by-provider",),
    (CANCELLED, "maint"): ("no-capacity", "unable"),
    (CANCELLED, "oth-cms"): ("not-covered",),
    (ACT, "PATOBJ"): ("patient-declined",),
    (ACT, "DEC"): ("patient-died",),
    (SNOMED, "105480006"): ("patient-declined",),
    (SNOMED, "281399006"): ("did-not-attend",),
    (SNOMED, "399307001"): ("lost-contact", "lost-after-attempts"),
    (SNOMED, "183932001"): ("not-indicated",),
    (SNOMED, "309846006"): ("not-our-service", "unable"),
    (SNOMED, "397709008"): ("patient-died",),
    (SNOMED, "419099009"): ("patient-died",),
    (SNOMED, "184081006"): ("patient-moved",),
}
# Only what means the same: reading it gives our code again
WRITES: Mapping[str, tuple[str, str, str]] = {
    "more-information-needed": (HL7, "missing", "Missing"),
    "cancelled-by-patient": (CANCELLED, "pat", "Patient"),
    "cancelled-by-provider": (CANCELLED, "prov", "Provider"),
    "patient-declined": (SNOMED, "105480006", "Refusal of treatment by patient (situation)"),
    "did-not-attend": (SNOMED, "281399006", "Did not attend (finding)"),
    "lost-contact": (SNOMED, "399307001", "Lost to follow-up (finding)"),
    "patient-died": (SNOMED, "397709008", "Patient died (finding)"),
    "patient-moved": (SNOMED, "184081006", "Patient has moved away (finding)"),
}
# Which reasons a status may have (`referrals.intake.steps.ENDINGS`)
GROUPS: Mapping[str, frozenset[str]] = {
    "rejected": frozenset({"decline"}),
    "failed": frozenset({"fail"}),
    "cancelled": frozenset({"call-off", "withdraw"}),
}


def inward(task: Resource, reads: Mapping[Coded, tuple[str, ...]], origin: str) -> Resource:
    """A copy with our code beside theirs in statusReason, where one of theirs is known; else as it is."""
    said, ours = task.get("statusReason"), f"{origin}/{REASON_SYSTEM}"
    codings = _codings(said)
    if not isinstance(said, dict) or any(each.get("system") == ours for each in codings):
        return task
    code = next(_known(codings, reads, str(task.get("status"))), "")
    if not code:
        return task
    return task | {"statusReason": {**said, "coding": [*said["coding"], {"system": ours, "code": code}]}}


def outward(task: Resource, writes: Mapping[str, tuple[str, str, str]], origin: str) -> Resource:
    """A copy with the world's code beside ours in statusReason, where there is one and none is there yet."""
    said, ours = task.get("statusReason"), f"{origin}/{REASON_SYSTEM}"
    codings = _codings(said)
    named = (str(each.get("code")) for each in codings if each.get("system") == ours)
    word = next((writes[code] for code in named if code in writes), None)
    if word is None or any((each.get("system"), each.get("code")) == word[:2] for each in codings):
        return task
    system, code, display = word
    theirs = {"system": system, "code": code, "display": display}
    return task | {"statusReason": {**task["statusReason"], "coding": [*codings, theirs]}}


def _codings(concept: Any) -> list[dict[str, Any]]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [each for each in codings if isinstance(each, dict)] if isinstance(codings, list) else []


def _known(codings: list[dict[str, Any]], reads: Mapping[Coded, tuple[str, ...]], status: str) -> Iterator[str]:
    for coding in codings:
        codes = reads.get((str(coding.get("system")), str(coding.get("code"))), ())
        yield from sorted(codes, key=lambda code: not REASONS[code].groups & GROUPS.get(status, frozenset()))[:1]
