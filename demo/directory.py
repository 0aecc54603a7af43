"""The region's directory as FHIR resources: organisations, sites, services with waits, practitioners and their roles."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.conf import settings

from demo.region import (
    IMAGING,
    LABORATORY,
    PLACES,
    SNOMED,
    SPECIALTIES,
    Place,
    Service,
    department_id,
    location_id,
    service_id,
)
from demo.staff import Employee
from records.json import Resource

ORGANISATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
SERVICE_CATEGORY = {
    IMAGING: ("363679005", "Imaging"),
    LABORATORY: ("108252007", "Laboratory procedure"),
}
SPECIALIST_CATEGORY = ("3457005", "Patient referral")
ROLE_CODES = {
    "doctor": ("309343006", "Physician"),
    "supervisor": ("309343006", "Physician"),
    "coordinator": ("768820003", "Care coordinator"),
}
LANGUAGE_NAMES = {"en": "English", "es": "Spanish", "ru": "Russian"}


def concept(code: str, display: str, system: str = SNOMED) -> dict[str, Any]:
    """A CodeableConcept of one coding, with the display as its text."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def reference(type_: str, id_: str, display: str = "") -> dict[str, str]:
    """A literal reference to one of our resources."""
    return {"reference": f"{type_}/{id_}"} | ({"display": display} if display else {})


def languages(codes: Iterable[str]) -> list[dict[str, Any]]:
    """The languages spoken, as ``communication``."""
    return [concept(code, LANGUAGE_NAMES[code], "urn:ietf:bcp:47") for code in codes]


def organizations() -> Iterator[Resource]:
    """Every root organisation, then the departments of the hospitals (``partOf``)."""
    for place in PLACES:
        yield _organization(place, place.id, place.name)
    for place in (place for place in PLACES if place.is_hospital):
        for key in dict.fromkeys(service.specialty for service in place.services):
            department = _organization(place, department_id(place, key), f"{place.name}, {SPECIALTIES[key].display}")
            yield department | {
                "type": [concept("dept", "Hospital Department", ORGANISATION_TYPE)],
                "partOf": reference("Organization", place.id, place.name),
            }


def _organization(place: Place, id_: str, name: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": id_,
        "identifier": [{"system": f"{settings.BATON_BASE_URL}/id/organization", "value": id_}],
        "active": True,
        "type": [concept("prov", "Healthcare Provider", ORGANISATION_TYPE)],
        "name": name,
        "telecom": [{"system": "phone", "value": _phone(place), "use": "work"}],
        "address": [{"city": place.city, "country": "US"}],
    }


def locations() -> Iterator[Resource]:
    """One site for each root organisation."""
    for place in PLACES:
        yield {
            "resourceType": "Location",
            "id": location_id(place),
            "status": "active",
            "name": place.name,
            "address": {"city": place.city, "country": "US"},
            "managingOrganization": reference("Organization", place.id, place.name),
        }


def services() -> Iterator[Resource]:
    """What can be asked for; the extension ``wait-days`` says how long patients wait for it now."""
    for place in PLACES:
        for service in place.services:
            yield _service(place, service)


def _service(place: Place, service: Service) -> Resource:
    specialty = SPECIALTIES[service.specialty]
    return {
        "resourceType": "HealthcareService",
        "id": service_id(place, service),
        "extension": [
            {
                "url": f"{settings.BATON_BASE_URL}/StructureDefinition/wait-days",
                "valueInteger": orjson.Fragment(str(service.wait_days)),
            }
        ],
        "active": True,
        "providedBy": reference("Organization", department_id(place, service.specialty), place.name),
        "category": [concept(*SERVICE_CATEGORY.get(service.kind, SPECIALIST_CATEGORY))],
        "specialty": [concept(specialty.code, specialty.display)],
        "location": [reference("Location", location_id(place), place.name)],
        "name": service.name,
        "telecom": [{"system": "phone", "value": _phone(place), "use": "work"}],
        "communication": languages(service.languages),
    }


def practitioners(staff: Iterable[Employee]) -> Iterator[Resource]:
    """Everybody of the staff as a Practitioner."""
    for employee in staff:
        person = employee.person
        yield {
            "resourceType": "Practitioner",
            "id": employee.practitioner,
            "identifier": [{"system": f"{settings.BATON_BASE_URL}/id/staff", "value": employee.username}],
            "active": True,
            "name": [person.human_name(*(["Dr"] if employee.is_clinician else []))],
            "telecom": [{"system": "email", "value": f"{employee.username}@example.org", "use": "work"}],
            "gender": person.gender,
            "communication": languages(sorted({"en", person.language})),
        }


def roles(staff: Iterable[Employee]) -> Iterator[Resource]:
    """What each of them does where, as a PractitionerRole."""
    for employee in staff:
        place, specialty = employee.place, SPECIALTIES[employee.specialty]
        offered = [service for service in place.services if service.specialty == employee.specialty]
        yield {
            "resourceType": "PractitionerRole",
            "id": f"{employee.practitioner}-role",
            "active": True,
            "practitioner": reference("Practitioner", employee.practitioner, employee.display),
            "organization": reference("Organization", department_id(place, employee.specialty), place.name),
            "code": [concept(*ROLE_CODES[employee.post])],
            "specialty": [concept(specialty.code, specialty.display)],
            "location": [reference("Location", location_id(place), place.name)],
            "healthcareService": [
                reference("HealthcareService", service_id(place, service), service.name) for service in offered
            ],
        }


def _phone(place: Place) -> str:
    """A number of the range that is kept for fiction."""
    return f"+1 555 01{PLACES.index(place):02d}"
