"""Plain FHIR R4 with HL7's task-code: what `referrals` itself speaks. https://hl7.org/fhir/R4/task.html#statemachine."""

from fhir_bridge.profiles.table import Profile

PATH = ("draft", "requested", "received", "accepted", "in-progress", "completed")

PROFILE = Profile("core", PATH)
