"""People and organisations: patients, and the directory of who offers what, where."""

from typing import Any

from records.json import Resource
from records.params import Compartment, Date, Reference, References, String, Token, Tokens
from records.rows import ResourceRow

_PROVIDERS = ("Organization", "Practitioner", "PractitionerRole")


class Patient(ResourceRow):
    """https://hl7.org/fhir/R4/patient.html; its compartment is its own."""

    active = Token("active")
    gender = Token("gender")
    phone = Tokens("telecom[system=phone]")
    email = Tokens("telecom[system=email]")
    telecom = Tokens("telecom")
    language = Tokens("communication.language")
    organization = Reference("managingOrganization", to=("Organization",))
    general_practitioner = References("generalPractitioner", to=_PROVIDERS)
    link = References("link.other", to=("Patient", "RelatedPerson"))
    name = String("name")
    family = String("name.family")
    given = String("name.given")
    address = String("address")
    address_city = String("address.city")
    address_country = String("address.country")
    address_postalcode = String("address.postalCode")
    address_state = String("address.state")
    birthdate = Date("birthDate")
    death_date = Date("deceasedDateTime")

    @classmethod
    def patient_of(cls, body: Resource) -> str:
        """Itself."""
        return str(body["id"])

    @classmethod
    def columns_of(cls, body: Resource) -> dict[str, Any]:
        """As for every type, with the patient itself as the compartment."""
        return super().columns_of(body) | {"patient": body["id"]}


class RelatedPerson(ResourceRow):
    """https://hl7.org/fhir/R4/relatedperson.html."""

    active = Token("active")
    gender = Token("gender")
    phone = Tokens("telecom[system=phone]")
    email = Tokens("telecom[system=email]")
    telecom = Tokens("telecom")
    relationship = Tokens("relationship")
    patient = Compartment("patient")
    name = String("name")
    address = String("address")
    birthdate = Date("birthDate")


class Practitioner(ResourceRow):
    """https://hl7.org/fhir/R4/practitioner.html."""

    active = Token("active")
    gender = Token("gender")
    phone = Tokens("telecom[system=phone]")
    email = Tokens("telecom[system=email]")
    telecom = Tokens("telecom")
    communication = Tokens("communication")
    name = String("name")
    family = String("name.family")
    given = String("name.given")
    address = String("address")
    address_city = String("address.city")
    address_country = String("address.country")
    address_postalcode = String("address.postalCode")
    address_state = String("address.state")


class PractitionerRole(ResourceRow):
    """https://hl7.org/fhir/R4/practitionerrole.html."""

    active = Token("active")
    role = Tokens("code")
    specialty = Tokens("specialty")
    phone = Tokens("telecom[system=phone]")
    email = Tokens("telecom[system=email]")
    telecom = Tokens("telecom")
    practitioner = Reference("practitioner", to=("Practitioner",))
    organization = Reference("organization", to=("Organization",))
    location = References("location", to=("Location",))
    service = References("healthcareService", to=("HealthcareService",))
    endpoint = References("endpoint", to=("Endpoint",))
    date = Date("period")


class Organization(ResourceRow):
    """https://hl7.org/fhir/R4/organization.html."""

    active = Token("active")
    type = Tokens("type")
    partof = Reference("partOf", to=("Organization",))
    endpoint = References("endpoint", to=("Endpoint",))
    name = String("name", "alias")
    address = String("address")
    address_city = String("address.city")
    address_country = String("address.country")
    address_postalcode = String("address.postalCode")
    address_state = String("address.state")


class Location(ResourceRow):
    """https://hl7.org/fhir/R4/location.html."""

    status = Token("status")
    operational_status = Tokens("operationalStatus")
    type = Tokens("type")
    organization = Reference("managingOrganization", to=("Organization",))
    partof = Reference("partOf", to=("Location",))
    endpoint = References("endpoint", to=("Endpoint",))
    name = String("name", "alias")
    address = String("address")
    address_city = String("address.city")
    address_country = String("address.country")
    address_postalcode = String("address.postalCode")
    address_state = String("address.state")


class HealthcareService(ResourceRow):
    """https://hl7.org/fhir/R4/healthcareservice.html."""

    active = Token("active")
    service_category = Tokens("category")
    service_type = Tokens("type")
    specialty = Tokens("specialty")
    characteristic = Tokens("characteristic")
    program = Tokens("program")
    organization = Reference("providedBy", to=("Organization",))
    location = References("location", to=("Location",))
    coverage_area = References("coverageArea", to=("Location",))
    endpoint = References("endpoint", to=("Endpoint",))
    name = String("name")


class Endpoint(ResourceRow):
    """https://hl7.org/fhir/R4/endpoint.html."""

    status = Token("status")
    connection_type = Tokens("connectionType")
    payload_type = Tokens("payloadType")
    organization = Reference("managingOrganization", to=("Organization",))
    name = String("name")


class CareTeam(ResourceRow):
    """https://hl7.org/fhir/R4/careteam.html."""

    status = Token("status")
    category = Tokens("category")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    encounter = Reference("encounter", to=("Encounter",))
    participant = References("participant.member")
    date = Date("period")


class Group(ResourceRow):
    """https://hl7.org/fhir/R4/group.html."""

    type = Token("type")
    actual = Token("actual")
    code = Tokens("code")
    characteristic = Tokens("characteristic.code")
    value = Tokens("characteristic.valueCodeableConcept", "characteristic.valueBoolean")
    managing_entity = Reference("managingEntity", to=(*_PROVIDERS, "RelatedPerson"))
    member = References("member.entity")
