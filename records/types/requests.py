"""What is asked for and what is done about it: requests, tasks, plans and messages."""

from records.params import Compartment, Date, Reference, References, Token, Tokens
from records.rows import ResourceRow

STAGE_DUE = "/StructureDefinition/stage-due"


class Task(ResourceRow):
    """https://hl7.org/fhir/R4/task.html; ``output`` and ``due-date`` (the stage's own clock) are parameters of ours."""

    status = Token("status")
    intent = Token("intent")
    priority = Token("priority")
    code = Tokens("code")
    business_status = Tokens("businessStatus")
    group_identifier = Tokens("groupIdentifier")
    performer = Tokens("performerType")
    patient = Compartment("for")
    subject = Reference("for")
    focus = Reference("focus")
    owner = Reference("owner")
    requester = Reference("requester")
    encounter = Reference("encounter", to=("Encounter",))
    based_on = References("basedOn")
    part_of = References("partOf", to=("Task",))
    output = References("output.valueReference")
    authored_on = Date("authoredOn")
    modified = Date("lastModified")
    period = Date("executionPeriod")
    due_date = Date(f"extension[url$={STAGE_DUE}].valueDateTime")


class ServiceRequest(ResourceRow):
    """https://hl7.org/fhir/R4/servicerequest.html."""

    status = Token("status")
    intent = Token("intent")
    priority = Token("priority")
    code = Tokens("code")
    category = Tokens("category")
    requisition = Tokens("requisition")
    performer_type = Tokens("performerType")
    patient = Compartment("subject")
    subject = Reference("subject")
    requester = Reference("requester")
    encounter = Reference("encounter", to=("Encounter", "EpisodeOfCare"))
    performer = References("performer")
    based_on = References("basedOn", to=("CarePlan", "MedicationRequest", "ServiceRequest"))
    replaces = References("replaces", to=("ServiceRequest",))
    specimen = References("specimen", to=("Specimen",))
    authored = Date("authoredOn")
    occurrence = Date("occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")


class CommunicationRequest(ResourceRow):
    """https://hl7.org/fhir/R4/communicationrequest.html."""

    status = Token("status")
    priority = Token("priority")
    category = Tokens("category")
    medium = Tokens("medium")
    group_identifier = Tokens("groupIdentifier")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    requester = Reference("requester")
    sender = Reference("sender")
    encounter = Reference("encounter", to=("Encounter",))
    recipient = References("recipient")
    based_on = References("basedOn")
    replaces = References("replaces", to=("CommunicationRequest",))
    authored = Date("authoredOn")
    occurrence = Date("occurrenceDateTime", "occurrencePeriod")


class Communication(ResourceRow):
    """https://hl7.org/fhir/R4/communication.html."""

    status = Token("status")
    category = Tokens("category")
    medium = Tokens("medium")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    sender = Reference("sender")
    encounter = Reference("encounter", to=("Encounter",))
    recipient = References("recipient")
    based_on = References("basedOn")
    part_of = References("partOf")
    sent = Date("sent")
    received = Date("received")


class CarePlan(ResourceRow):
    """https://hl7.org/fhir/R4/careplan.html."""

    status = Token("status")
    intent = Token("intent")
    category = Tokens("category")
    activity_code = Tokens("activity.detail.code")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Patient"))
    encounter = Reference("encounter", to=("Encounter",))
    based_on = References("basedOn", to=("CarePlan",))
    part_of = References("partOf", to=("CarePlan",))
    replaces = References("replaces", to=("CarePlan",))
    care_team = References("careTeam", to=("CareTeam",))
    condition = References("addresses", to=("Condition",))
    goal = References("goal", to=("Goal",))
    activity_reference = References("activity.reference")
    performer = References("activity.detail.performer")
    date = Date("period")


class Goal(ResourceRow):
    """https://hl7.org/fhir/R4/goal.html."""

    lifecycle_status = Token("lifecycleStatus")
    achievement_status = Tokens("achievementStatus")
    category = Tokens("category")
    patient = Compartment("subject")
    subject = Reference("subject", to=("Group", "Organization", "Patient"))
    start_date = Date("startDate")
    target_date = Date("target.dueDate")
