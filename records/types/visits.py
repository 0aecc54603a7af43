"""Visits and the time for them."""

from records.params import Compartment, Date, Reference, References, Token, Tokens
from records.rows import ResourceRow

_REASONS = ("Condition", "Observation", "Procedure", "ImmunizationRecommendation")


class Encounter(ResourceRow):
    """https://hl7.org/fhir/R4/encounter.html."""

    status = Token("status")
    class_ = Tokens("class", column="encounter_class")
    type = Tokens("type")
    reason_code = Tokens("reasonCode")
    participant_type = Tokens("participant.type")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    service_provider = Reference("serviceProvider", to=("Organization",))
    part_of = Reference("partOf", to=("Encounter",))
    based_on = References("basedOn", to=("ServiceRequest",))
    appointment = References("appointment", to=("Appointment",))
    participant = References("participant.individual")
    practitioner = References("participant.individual", to=("Practitioner",))
    location = References("location.location", to=("Location",))
    episode_of_care = References("episodeOfCare", to=("EpisodeOfCare",))
    reason_reference = References("reasonReference", to=_REASONS)
    date = Date("period")


class Appointment(ResourceRow):
    """https://hl7.org/fhir/R4/appointment.html."""

    status = Token("status")
    appointment_type = Tokens("appointmentType")
    part_status = Tokens("participant.status")
    reason_code = Tokens("reasonCode")
    service_category = Tokens("serviceCategory")
    service_type = Tokens("serviceType")
    specialty = Tokens("specialty")
    patient = Compartment("participant.actor")
    actor = References("participant.actor")
    practitioner = References("participant.actor", to=("Practitioner",))
    location = References("participant.actor", to=("Location",))
    based_on = References("basedOn", to=("ServiceRequest",))
    slot = References("slot", to=("Slot",))
    reason_reference = References("reasonReference", to=_REASONS)
    supporting_info = References("supportingInformation")
    date = Date("start")


class AppointmentResponse(ResourceRow):
    """https://hl7.org/fhir/R4/appointmentresponse.html."""

    part_status = Token("participantStatus")
    patient = Compartment("actor")
    actor = Reference("actor")
    appointment = Reference("appointment", to=("Appointment",))


class Slot(ResourceRow):
    """https://hl7.org/fhir/R4/slot.html."""

    status = Token("status")
    appointment_type = Tokens("appointmentType")
    service_category = Tokens("serviceCategory")
    service_type = Tokens("serviceType")
    specialty = Tokens("specialty")
    schedule = Reference("schedule", to=("Schedule",))
    start = Date("start")


class Schedule(ResourceRow):
    """https://hl7.org/fhir/R4/schedule.html."""

    active = Token("active")
    service_category = Tokens("serviceCategory")
    service_type = Tokens("serviceType")
    specialty = Tokens("specialty")
    actor = References("actor")
    date = Date("planningHorizon")
