"""The CapabilityStatement, made from what the types declare (https://hl7.org/fhir/R4/capabilitystatement.html)."""

from django.utils.translation import gettext as _

from api.fhir import addresses
from records.json import Resource
from records.rows import ResourceRow
from records.types import TYPES

PUBLISHED_ON = "2026-11-21"
READS = ("read", "vread", "search-type")
WRITES = ("create", "update")
READ_ONLY = {"AuditEvent"}
BEARER = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "OAuth",
            "display": "OAuth",
        }
    ]
}


def statement() -> Resource:
    """The statement of this installation."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": PUBLISHED_ON,
        "kind": "instance",
        "software": {"name": "Baton"},
        "implementation": {"description": _("Baton: closing the loop of care requests"), "url": addresses.base()},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/json"],
        "rest": [{"mode": "server", "security": {"service": [BEARER]}, "resource": _resources()}],
    }


def _resources() -> list[Resource]:
    return [_resource(name, TYPES[name]) for name in sorted(TYPES)]


def _resource(name: str, row: type[ResourceRow]) -> Resource:
    interactions = READS if name in READ_ONLY else (*READS, *WRITES)
    return {
        "type": name,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": name not in READ_ONLY,
        "conditionalCreate": name not in READ_ONLY,
        "conditionalUpdate": False,
        "searchParam": [{"name": param.name, "type": param.kind} for param in row.search_params.values()],
    }
