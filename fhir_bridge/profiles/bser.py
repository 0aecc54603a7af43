"""BSeR 2.0: businessStatus by the numbers of the 360X diagram; a performer may reject also what it has begun.

Its own example is requested and "Fulfillment Completed" in one (PATHWAYS §3). The codes of its first edition are read too.
https://build.fhir.org/ig/HL7/bser/CodeSystem-TaskBusinessStatusCS.html
"""

from fhir_bridge.profiles.core import PATH
from fhir_bridge.profiles.table import Profile, Word

SYSTEM = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"

_CREATED = "Service Request Created"

PROFILE = Profile(
    "bser",
    PATH,
    statuses={("declined", "failed"): "rejected"},
    system=SYSTEM,
    systems=frozenset({SYSTEM}),
    words={
        "sent": Word("2.0", _CREATED, "requested"),
        "in-triage": Word("2.0", _CREATED, "received"),
        "awaiting-booking": Word("3.0", "Service Request Accepted", "accepted"),
        "declined": Word("4.0", "Service Request Declined", "rejected"),
        "scheduled": Word("5.1.1", "Service Request Event Scheduled", "in-progress"),
        "no-show": Word("5.1.2", "Scheduled Service Request Event Unattended", "in-progress"),
        "appointment-cancelled": Word("5.1.3", "Scheduled Service Request Event Cancelled", "in-progress"),
        "seen-awaiting-report": Word("5.1.4", "Service Request Event Completed", "in-progress"),
        "cancelled": Word("6.0", "Service Request Fulfillment Cancelled", "cancelled"),
        "failed": Word("6.0", "Service Request Fulfillment Cancelled", "failed"),
        "report-sent": Word("7.0", "Service Request Fulfillment Completed", "completed"),
    },
    reads={
        "2.0": ("sent", "in-triage"),
        "3.0": ("awaiting-booking",),
        "4.0": ("declined",),
        "5.1.1": ("scheduled",),
        "5.1.2": ("no-show",),
        "5.1.3": ("appointment-cancelled",),
        "5.1.4": ("seen-awaiting-report",),
        "5.x": ("in-progress",),
        "6.0": ("cancelled", "failed"),
        "7.0": ("report-sent", "completed-no-report"),
    },
)
