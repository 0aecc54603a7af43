"""The Bundles of the fake EHR: pages of a search, many requests in one, and what it says it can do."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from bench.fake_ehr.wire import Answer, Body, Request

TYPES = (
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "ServiceRequest",
    "Task",
    "Appointment",
    "Encounter",
    "DocumentReference",
    "DiagnosticReport",
    "Observation",
)


class Abilities(Protocol):
    """The flags that its CapabilityStatement tells of."""

    takes_if_match: bool
    takes_if_none_exist: bool
    takes_bundles: bool


def searchset(found: Sequence[Body]) -> Body:
    """One page."""
    entries = [{"resource": each, "search": {"mode": "match"}} for each in found]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def requests(bundle: Body) -> Iterator[Request]:
    """The single requests of a batch or transaction, in its order."""
    for entry in bundle.get("entry", []):
        told = entry["request"]
        parts = urlsplit(told["url"])
        headers = {"if-none-exist": told.get("ifNoneExist", ""), "if-match": told.get("ifMatch", "")}
        yield Request(
            told["method"],
            parts.path.strip("/"),
            tuple(parse_qsl(parts.query)),
            {name: value for name, value in headers.items() if value},
            entry.get("resource"),
        )


def response(type_: str, answers: Sequence[Answer]) -> Body:
    """The answers to those, in their order."""
    return {"resourceType": "Bundle", "type": f"{type_}-response", "entry": [_entry(answer) for answer in answers]}


def _entry(answer: Answer) -> Body:
    told: dict[str, Any] = {"status": str(answer.status)}
    told |= {
        name: answer.headers[header]
        for name, header in (("etag", "ETag"), ("location", "Location"))
        if header in answer.headers
    }
    if answer.status >= 400:  # noqa: PLR2004
        return {"response": {**told, "outcome": answer.body}}
    return {"response": told, **({"resource": answer.body} if answer.body else {})}


def capability(server: Abilities) -> Body:
    """What it says of itself."""
    known: Body = {
        "versioning": "versioned-update" if server.takes_if_match else "versioned",
        "conditionalCreate": server.takes_if_none_exist,
        "interaction": [
            {"code": code} for code in ("read", "create", "update", "delete", "search-type", "history-type")
        ],
        "searchParam": [
            {"name": "_id", "type": "token"},
            {"name": "_lastUpdated", "type": "date"},
            {"name": "identifier", "type": "token"},
            {"name": "patient", "type": "reference"},
        ],
    }
    bundled = [{"code": "batch"}, {"code": "transaction"}] if server.takes_bundles else []
    rest = {"mode": "server", "resource": [{"type": type_, **known} for type_ in TYPES], "interaction": bundled}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "Fake EHR", "version": "1"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [rest],
    }
