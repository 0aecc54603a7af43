"""Documents, and the records about records: provenance, audit, consent, coverage, subscriptions."""

from records.params import Compartment, Date, Reference, References, String, Token, Tokens, Uri
from records.rows import ResourceRow

_ENCOUNTERS = ("Encounter", "EpisodeOfCare")


class DocumentReference(ResourceRow):
    """https://hl7.org/fhir/R4/documentreference.html; R4 has no basedOn here, ``related`` serves for it."""

    status = Token("status")
    identifier = Tokens("masterIdentifier", "identifier")
    type = Tokens("type")
    category = Tokens("category")
    contenttype = Tokens("content.attachment.contentType")
    event = Tokens("context.event")
    facility = Tokens("context.facilityType")
    format = Tokens("content.format")
    relation = Tokens("relatesTo.code")
    security_label = Tokens("securityLabel")
    setting = Tokens("context.practiceSetting")
    patient = Compartment("subject")
    subject = Reference("subject")
    authenticator = Reference("authenticator")
    custodian = Reference("custodian", to=("Organization",))
    author = References("author")
    encounter = References("context.encounter", to=_ENCOUNTERS)
    related = References("context.related")
    relatesto = References("relatesTo.target", to=("DocumentReference",))
    description = String("description")
    date = Date("date")
    period = Date("context.period")


class Composition(ResourceRow):
    """https://hl7.org/fhir/R4/composition.html."""

    status = Token("status")
    confidentiality = Token("confidentiality")
    type = Tokens("type")
    category = Tokens("category")
    context = Tokens("event.code")
    section = Tokens("section.code")
    patient = Compartment("subject")
    subject = Reference("subject")
    encounter = Reference("encounter", to=_ENCOUNTERS)
    author = References("author")
    attester = References("attester.party")
    entry = References("section.entry")
    title = String("title")
    date = Date("date")
    period = Date("event.period")


class Bundle(ResourceRow):
    """https://hl7.org/fhir/R4/bundle.html: a document or a message as it came."""

    type = Token("type")
    timestamp = Date("timestamp")


class Binary(ResourceRow):
    """https://hl7.org/fhir/R4/binary.html."""

    lacks = ("identifier",)


class Provenance(ResourceRow):
    """https://hl7.org/fhir/R4/provenance.html."""

    lacks = ("identifier",)
    agent_role = Tokens("agent.role")
    agent_type = Tokens("agent.type")
    signature_type = Tokens("signature.type")
    patient = Compartment("target")
    location = Reference("location", to=("Location",))
    agent = References("agent.who")
    entity = References("entity.what")
    target = References("target")
    recorded = Date("recorded")
    when = Date("occurredDateTime", "occurredPeriod")


class AuditEvent(ResourceRow):
    """https://hl7.org/fhir/R4/auditevent.html."""

    lacks = ("identifier",)
    action = Token("action")
    outcome = Token("outcome")
    type = Tokens("type")
    subtype = Tokens("subtype")
    site = Token("source.site")
    agent_role = Tokens("agent.role")
    altid = Tokens("agent.altId")
    entity_role = Tokens("entity.role")
    entity_type = Tokens("entity.type")
    patient = Compartment("agent.who", "entity.what")
    source = Reference("source.observer")
    agent = References("agent.who")
    entity = References("entity.what")
    address = String("agent.network.address")
    agent_name = String("agent.name")
    entity_name = String("entity.name")
    date = Date("recorded")


class Consent(ResourceRow):
    """https://hl7.org/fhir/R4/consent.html."""

    status = Token("status")
    scope = Tokens("scope")
    category = Tokens("category")
    action = Tokens("provision.action")
    purpose = Tokens("provision.purpose")
    security_label = Tokens("provision.securityLabel")
    patient = Compartment("patient")
    source_reference = Reference("sourceReference")
    consentor = References("performer")
    organization = References("organization", to=("Organization",))
    actor = References("provision.actor.reference")
    data = References("provision.data.reference")
    date = Date("dateTime")
    period = Date("provision.period")


class Coverage(ResourceRow):
    """https://hl7.org/fhir/R4/coverage.html."""

    status = Token("status")
    type = Tokens("type")
    class_type = Tokens("class.type")
    patient = Compartment("beneficiary")
    beneficiary = Reference("beneficiary", to=("Patient",))
    policy_holder = Reference("policyHolder", to=("Organization", "Patient", "RelatedPerson"))
    subscriber = Reference("subscriber", to=("Patient", "RelatedPerson"))
    payor = References("payor", to=("Organization", "Patient", "RelatedPerson"))
    class_value = String("class.value")
    dependent = String("dependent")


class Subscription(ResourceRow):
    """https://hl7.org/fhir/R4/subscription.html."""

    lacks = ("identifier",)
    status = Token("status")
    type = Token("channel.type")
    payload = Token("channel.payload")
    contact = Tokens("contact")
    url = Uri("channel.endpoint")
    criteria = String("criteria")
