"""Findings and acts: what proves that something happened."""

from records.params import Compartment, Date, Quantity, Reference, References, String, Token, Tokens, Uri
from records.rows import ResourceRow

_SUBJECTS = ("Device", "Group", "Location", "Patient")
_ENCOUNTERS = ("Encounter", "EpisodeOfCare")


class Observation(ResourceRow):
    """https://hl7.org/fhir/R4/observation.html."""

    status = Token("status")
    code = Tokens("code")
    category = Tokens("category")
    combo_code = Tokens("code", "component.code")
    component_code = Tokens("component.code")
    data_absent_reason = Tokens("dataAbsentReason")
    method = Tokens("method")
    value_concept = Tokens("valueCodeableConcept")
    value_quantity = Quantity("valueQuantity")
    value_string = String("valueString", "valueCodeableConcept.text")
    value_date = Date("valueDateTime", "valuePeriod")
    patient = Compartment("subject")
    subject = Reference("subject", to=_SUBJECTS)
    encounter = Reference("encounter", to=_ENCOUNTERS)
    specimen = Reference("specimen", to=("Specimen",))
    device = Reference("device", to=("Device", "DeviceMetric"))
    based_on = References("basedOn")
    part_of = References("partOf")
    performer = References("performer")
    focus = References("focus")
    derived_from = References("derivedFrom")
    has_member = References("hasMember", to=("Observation", "MolecularSequence", "QuestionnaireResponse"))
    date = Date("effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant")


class DiagnosticReport(ResourceRow):
    """https://hl7.org/fhir/R4/diagnosticreport.html."""

    status = Token("status")
    code = Tokens("code")
    category = Tokens("category")
    conclusion = Tokens("conclusionCode")
    patient = Compartment("subject")
    subject = Reference("subject", to=_SUBJECTS)
    encounter = Reference("encounter", to=_ENCOUNTERS)
    based_on = References("basedOn")
    performer = References("performer")
    results_interpreter = References("resultsInterpreter")
    result = References("result", to=("Observation",))
    specimen = References("specimen", to=("Specimen",))
    media = References("media.link", to=("Media",))
    date = Date("effectiveDateTime", "effectivePeriod")
    issued = Date("issued")


class Specimen(ResourceRow):
    """https://hl7.org/fhir/R4/specimen.html."""

    status = Token("status")
    type = Tokens("type")
    accession = Tokens("accessionIdentifier")
    bodysite = Tokens("collection.bodySite")
    container_id = Tokens("container.identifier")
    patient = Compartment("subject")
    subject = Reference("subject")
    collector = Reference("collection.collector", to=("Practitioner", "PractitionerRole"))
    parent = References("parent", to=("Specimen",))
    request = References("request", to=("ServiceRequest",))
    collected = Date("collection.collectedDateTime", "collection.collectedPeriod")


class Condition(ResourceRow):
    """https://hl7.org/fhir/R4/condition.html."""

    code = Tokens("code")
    category = Tokens("category")
    clinical_status = Tokens("clinicalStatus")
    verification_status = Tokens("verificationStatus")
    severity = Tokens("severity")
    body_site = Tokens("bodySite")
    evidence = Tokens("evidence.code")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    encounter = Reference("encounter", to=("Encounter",))
    asserter = Reference("asserter")
    evidence_detail = References("evidence.detail")
    onset_date = Date("onsetDateTime", "onsetPeriod")
    abatement_date = Date("abatementDateTime", "abatementPeriod")
    recorded_date = Date("recordedDate")


class Procedure(ResourceRow):
    """https://hl7.org/fhir/R4/procedure.html."""

    status = Token("status")
    code = Tokens("code")
    category = Tokens("category")
    reason_code = Tokens("reasonCode")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    encounter = Reference("encounter", to=_ENCOUNTERS)
    location = Reference("location", to=("Location",))
    based_on = References("basedOn", to=("CarePlan", "ServiceRequest"))
    part_of = References("partOf")
    performer = References("performer.actor")
    reason_reference = References("reasonReference")
    date = Date("performedDateTime", "performedPeriod")


class Questionnaire(ResourceRow):
    """https://hl7.org/fhir/R4/questionnaire.html."""

    status = Token("status")
    version_ = Token("version", column="business_version")
    code = Tokens("item.code")
    subject_type = Tokens("subjectType")
    jurisdiction = Tokens("jurisdiction")
    url = Uri("url")
    name = String("name")
    title = String("title")
    publisher = String("publisher")
    date = Date("date")
    effective = Date("effectivePeriod")


class QuestionnaireResponse(ResourceRow):
    """https://hl7.org/fhir/R4/questionnaireresponse.html."""

    status = Token("status")
    patient = Compartment("subject")
    subject = Reference("subject")
    author = Reference("author")
    source = Reference("source")
    encounter = Reference("encounter", to=("Encounter",))
    questionnaire = Reference("questionnaire", to=("Questionnaire",))
    based_on = References("basedOn", to=("CarePlan", "ServiceRequest"))
    part_of = References("partOf", to=("Observation", "Procedure"))
    authored = Date("authored")
