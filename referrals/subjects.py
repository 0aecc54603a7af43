"""Whom a resource is about."""

from collections.abc import Mapping
from typing import Any

from records.json import Resource
from referrals.parties import local
from referrals.reports import composition_of


def patient_of(resource: Resource) -> Mapping[str, Any]:
    """The reference to the patient that a resource is about; empty for none."""
    if resource.get("resourceType") == "Appointment":
        actors = (one.get("actor", {}) for one in resource.get("participant", ()))
        return next((one for one in actors if "Patient" in (one.get("type"), local(one)[0])), {})
    if resource.get("resourceType") == "Bundle":
        return _in_bundle(resource, patient_of(composition_of(resource)))
    found: Mapping[str, Any] = resource.get("subject") or resource.get("patient") or {}
    return found


def _in_bundle(bundle: Resource, reference: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reference to a Patient in a document, by an identifier of that Patient; any other as it is."""
    entries = (one for one in bundle.get("entry", ()) if one.get("fullUrl") == reference.get("reference"))
    patient: Resource = next((one.get("resource", {}) for one in entries), {})
    known = next((one for one in patient.get("identifier", ()) if one.get("system") and one.get("value")), None)
    return {"type": "Patient", "identifier": known} if known else reference
