"""An EHR as its own users drive it: plain FHIR reads and writes against any R4 server, nothing of Baton's."""

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

Resource = dict[str, Any]
T = TypeVar("T")
_SECONDS = 120.0


def eventually(what: str, look: Callable[[], T | None], seconds: float = _SECONDS) -> T:
    """Look again and again until something is there; fail with ``what`` when the time is over."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.5)):
        found = look()
        if found:
            return found
        pause.wait(0.5)
    message = f"never happened within {seconds:.0f} s: {what}"
    raise AssertionError(message)


class Ehr:
    """The receiving side: what a clerk and a physician over there write into their own server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.http = requests.Session()
        self.http.headers.update({"Content-Type": "application/fhir+json", "Cache-Control": "no-cache"})

    def _call(self, method: str, path: str, body: Resource | None = None) -> Resource:
        address = f"{self.base_url}/{path}".rstrip("/")
        answer = self.http.request(method, address, json=body, timeout=600)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return dict(answer.json())

    def search(self, query: str) -> list[Resource]:
        """The resources of the first page of a search such as ``Task?identifier=…``."""
        bundle = self._call("GET", query)
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def one(self, query: str) -> Resource:
        """Exactly one hit, waited for."""
        hits = eventually(query, lambda: self.search(query))
        assert len(hits) == 1, f"{query}: {len(hits)} hits"
        return hits[0]

    def read(self, reference: str) -> Resource:
        """The current version."""
        return self._call("GET", reference)

    def create(self, resource: Resource) -> Resource:
        """POST as the EHR's own users do."""
        return self._call("POST", resource["resourceType"], resource)

    def change(self, reference: str, **elements: Any) -> Resource:
        """Read, set elements (None removes), PUT."""
        resource = self.read(reference) | elements
        kept = {name: value for name, value in resource.items() if value is not None}
        return self._call("PUT", reference, kept)

    def load(self, file: Path) -> None:
        """Send a Synthea bundle as it is; one whose first resource is known there has been sent before."""
        bundle = json.loads(gzip.decompress(file.read_bytes()))
        first = bundle["entry"][0]["resource"]
        identifier = first["identifier"][0]
        if not self.search(f"{first['resourceType']}?identifier={identifier['system']}|{identifier['value']}"):
            self._call("POST", "", bundle)


def reference(resource: Resource) -> str:
    """How others name it."""
    return f"{resource['resourceType']}/{resource['id']}"


def booked(request: str, patient: str, start: str, end: str) -> Resource:
    """An Appointment that the EHR's clerk makes for a request."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "basedOn": [{"reference": request}],
        "start": start,
        "end": end,
        "participant": [{"actor": {"reference": patient}, "status": "accepted"}],
    }


def finished(request: str, patient: str, start: str, end: str) -> Resource:
    """The Encounter in which the patient was seen."""
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "basedOn": [{"reference": request}],
        "subject": {"reference": patient},
        "period": {"start": start, "end": end},
    }


def letter(patient: str, text: str) -> Resource:
    """The specialist's letter; it says nothing of the request, only the Task's output names it."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"}]},
        "subject": {"reference": patient},
        "content": [{"attachment": {"contentType": "text/plain", "title": text, "data": "TGV0dGVy"}}],
    }


def report(request: str, patient: str, status: str, conclusion: str) -> Resource:
    """The laboratory's DiagnosticReport."""
    return {
        "resourceType": "DiagnosticReport",
        "status": status,
        "basedOn": [{"reference": request}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2", "display": "CBC panel"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2026-01-05T09:00:00Z",
        "issued": "2026-01-05T12:00:00Z",
        "conclusion": conclusion,
    }
