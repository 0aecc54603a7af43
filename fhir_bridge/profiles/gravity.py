"""Gravity SDOH Clinical Care 3.0, Task for Referral Management. It has no codes of its own for businessStatus.

Its value set of `Task.status` leaves out *received* and *ready*, and a Task that is rejected, cancelled, on hold or failed
says why in words. https://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition-SDOHCC-TaskForReferralManagement.html
"""

from fhir_bridge.profiles.table import Profile

PROFILE = Profile(
    "gravity",
    ("draft", "requested", "accepted", "in-progress", "completed"),
    statuses={("", "received"): "requested"},
    explained=frozenset({"rejected", "cancelled", "on-hold", "failed"}),
)
