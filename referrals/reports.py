"""What a report says of itself: how finished it is, how grave, and whether a new version says something else."""

from collections.abc import Iterator, Mapping
from typing import Any

from records.json import Resource, dumps
from referrals.parties import held, local

# DiagnosticReport.status → our word (http://hl7.org/fhir/diagnostic-report-status).
REPORT_STATES = {
    "registered": "registered",
    "partial": "preliminary",
    "preliminary": "preliminary",
    "final": "final",
    "corrected": "corrected",
    "amended": "amended",
    "appended": "appended",
    "cancelled": "cancelled",
    "entered-in-error": "entered-in-error",
}
# DocumentReference.docStatus → our word (http://hl7.org/fhir/composition-status); without one a document is final.
DOCUMENT_STATES = {
    "preliminary": "preliminary",
    "final": "final",
    "amended": "amended",
    "entered-in-error": "entered-in-error",
}
# What a clinician would read again if it changed; links and administrative elements are not part of it.
WORDS = ("status", "docStatus", "code", "conclusion", "conclusionCode", "result", "presentedForm", "content", "media")
# Observation.interpretation (http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation), gravest first.
SEVERITIES = (
    ("critical", frozenset({"HH", "LL", "AA"})),
    ("abnormal", frozenset({"H", "L", "A", "HU", "LU", "POS", "DET", "R"})),
    ("normal", frozenset({"N", "NEG", "ND", "S"})),
)


def state_of(report: Resource) -> str:
    """How finished a DiagnosticReport or DocumentReference is; empty for what proves nothing (superseded)."""
    status = str(report.get("status", ""))
    if report["resourceType"] == "DiagnosticReport":
        return REPORT_STATES.get(status, "")
    if status == "current":
        return DOCUMENT_STATES.get(report.get("docStatus", "final"), "")
    return status if status == "entered-in-error" else ""


def severity_of(report: Resource) -> str:
    """`critical`, `abnormal` or `normal` by the gravest interpretation among its results; empty when none says."""
    codes = set(_interpretations(report))
    return next((severity for severity, known in SEVERITIES if codes & known), "")


def was_rewritten(report: Resource, previous: Resource) -> bool:
    """Whether a reader of the previous version would have to read this one; False when there was none."""
    return bool(previous) and any(_said(report, name) != _said(previous, name) for name in WORDS)


def _said(report: Mapping[str, Any], name: str) -> str:
    return dumps([report.get(name)])


def _interpretations(report: Resource) -> Iterator[str]:
    contained = {f"#{one.get('id')}": one for one in report.get("contained", ())}
    for reference in report.get("result", ()):
        observation = contained.get(reference.get("reference", "")) or held(*local(reference))
        for part in (observation, *observation.get("component", ())):
            for concept in part.get("interpretation", ()):
                yield from (coding.get("code", "") for coding in concept.get("coding", ()))
