"""The resources that prove a step: appointments, visits, letters and results, as the performer's system would write them."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from demo.contents import CONCLUSIONS, NOTE, Test
from demo.directory import concept, reference
from records.json import Resource

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@dataclass(frozen=True, slots=True)
class Case:
    """What evidence is about: the request (empty: it names none), its patient, and the clinician who gives it."""

    request: str
    patient: str
    practitioner: str
    test: Test | None = None


def appointment(case: Case, start: datetime, end: datetime) -> Resource:
    """A booked appointment for the request."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "basedOn": [reference("ServiceRequest", case.request)],
        "start": start.isoformat(timespec="seconds"),
        "end": end.isoformat(timespec="seconds"),
        "participant": [
            {"actor": reference("Patient", case.patient), "status": "accepted"},
            {"actor": reference("Practitioner", case.practitioner), "status": "accepted"},
        ],
    }


def encounter(case: Case, at: datetime) -> Resource:
    """A visit that has ended."""
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": ACT_CODE, "code": "AMB", "display": "ambulatory"},
        "basedOn": [reference("ServiceRequest", case.request)],
        "subject": reference("Patient", case.patient),
        "participant": [{"individual": reference("Practitioner", case.practitioner)}],
        "period": {"end": at.isoformat(timespec="seconds")},
    }


def note(case: Case, at: datetime) -> Resource:
    """A consultation letter as plain text."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "type": concept("11488-4", "Consult note", LOINC),
        "subject": reference("Patient", case.patient),
        "date": at.isoformat(timespec="seconds"),
        "author": [reference("Practitioner", case.practitioner)],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(NOTE.encode()).decode(),
                    "title": "Consult note",
                }
            }
        ],
        "context": {"related": [reference("ServiceRequest", case.request)]},
    }


def result(case: Case, at: datetime, status: str, severity: str) -> list[Resource]:
    """A diagnostic report, after its observation where the test gives a number; ``status`` is the report's."""
    test = case.test
    assert test is not None  # noqa: S101  only test orders have results
    common: dict[str, Any] = {
        **({"basedOn": [reference("ServiceRequest", case.request)]} if case.request else {}),
        "status": status,
        "code": concept(test.loinc, test.name, LOINC),
        "subject": reference("Patient", case.patient),
        "effectiveDateTime": at.isoformat(timespec="seconds"),
        "issued": at.isoformat(timespec="milliseconds"),
        "performer": [reference("Practitioner", case.practitioner)],
    }
    report = {"resourceType": "DiagnosticReport", **common, "conclusion": CONCLUSIONS[severity]}
    if test.values is None:
        return [report]
    value = {"value": orjson.Fragment(test.values[severity]), "unit": test.unit, "system": UCUM, "code": test.unit}
    return [{"resourceType": "Observation", **common, "valueQuantity": value}, report]
