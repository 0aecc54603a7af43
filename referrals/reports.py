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
# QuestionnaireResponse.status → our word (http://hl7.org/fhir/questionnaire-answers-status).
ANSWER_STATES = {
    "in-progress": "preliminary",
    "completed": "final",
    "amended": "amended",
    "entered-in-error": "entered-in-error",
}
# The types that can be an outcome, each with what its status means.
STATES: dict[str, dict[str, str]] = {
    "DiagnosticReport": REPORT_STATES,
    "Observation": REPORT_STATES,
    "DocumentReference": DOCUMENT_STATES,
    "Composition": DOCUMENT_STATES,
    "Bundle": DOCUMENT_STATES,
    "QuestionnaireResponse": ANSWER_STATES,
}
# DocumentReference.relatesTo.code → what the document is to the earlier one.
SUCCESSIONS = {"replaces": "amended", "appends": "appended"}
# What a clinician would read again if it changed; links and administrative elements are not part of it.
WORDS = (
    *("status", "docStatus", "code", "conclusion", "conclusionCode", "result", "presentedForm", "content", "media"),
    *("valueQuantity", "valueCodeableConcept", "valueString", "component", "item", "section", "entry"),
)
# Observation.interpretation (http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation), gravest first.
SEVERITIES = (
    ("critical", frozenset({"HH", "LL", "AA"})),
    ("abnormal", frozenset({"H", "L", "A", "HU", "LU", "POS", "DET", "R"})),
    ("normal", frozenset({"N", "NEG", "ND", "S"})),
)


def state_of(report: Resource) -> str:
    """How finished an outcome is; empty for what proves nothing."""
    type_, status = report["resourceType"], str(report.get("status", ""))
    if type_ == "Bundle":
        status = str(composition_of(report).get("status", ""))
    if type_ != "DocumentReference":
        return STATES[type_].get(status, "")
    if status == "current":
        return _document_state(report)
    return status if status in ("entered-in-error", "superseded") else ""


def composition_of(bundle: Resource) -> Resource:
    """The Composition that a document begins with (FHIR R4 §3.3.1), else an empty resource."""
    entries = (entry.get("resource", {}) for entry in bundle.get("entry", ()))
    return next((one for one in entries if one.get("resourceType") == "Composition"), {})


def _document_state(document: Resource) -> str:
    """What it says of itself; a finished one that replaces or appends to another is that one's new version."""
    state = DOCUMENT_STATES.get(document.get("docStatus", "final"), "")
    relations = (SUCCESSIONS.get(one.get("code", "")) for one in document.get("relatesTo", ()))
    return next(filter(None, relations), state) if state == "final" else state


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
    for concept in report.get("interpretation", ()):
        yield from (coding.get("code", "") for coding in concept.get("coding", ()))
    for reference in report.get("result", ()):
        observation = contained.get(reference.get("reference", "")) or held(*local(reference))
        for part in (observation, *observation.get("component", ())):
            for concept in part.get("interpretation", ()):
                yield from (coding.get("code", "") for coding in concept.get("coding", ()))
