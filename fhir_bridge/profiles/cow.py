"""FHIR Clinical Order Workflows 1.0: businessStatus by its example codes; what was accepted is not rejected but fails.

https://hl7.org/fhir/uv/cow/CodeSystem-temp.html
"""

from fhir_bridge.profiles.core import PATH
from fhir_bridge.profiles.table import Profile, Word

SYSTEM = "http://hl7.org/fhir/uv/cow/CodeSystem/temp"

_SCHEDULED = "The patient is scheduled for the requested consultation or procedure"
_SEEN = "The visit with the patient for the requested consultation or procedure is complete"
_COLLECTED = "The required specimen has been collected"
_TO_INTERPRET = "The observations for the requested consultation or procedure is awaiting interpretation"
_PRELIMINARY = "The initial outcome of the request fulfillment"
_ASKED = "The fulfiller needs more information in order to proceed with the fulfillment of the request"

PROFILE = Profile(
    "cow",
    PATH,
    turns={
        ("requested", "failed"): "rejected",
        ("received", "failed"): "rejected",
        ("accepted", "rejected"): "failed",
        ("in-progress", "rejected"): "failed",
        ("on-hold", "rejected"): "failed",
    },
    is_strict=True,
    system=SYSTEM,
    systems=frozenset({SYSTEM}),
    words={
        "awaiting-information": Word("awaiting-information", _ASKED, ""),
        "scheduled": Word("visit-scheduled", _SCHEDULED, "in-progress"),
        "booked": Word("visit-scheduled", _SCHEDULED, "accepted"),
        "collection-booked": Word("visit-scheduled", _SCHEDULED, "accepted"),
        "seen-awaiting-report": Word("visit-complete", _SEEN, "in-progress"),
        "interim-report": Word("preliminary-outcome", _PRELIMINARY, "in-progress"),
        "specimen-collected": Word("specimen-collected", _COLLECTED, "in-progress"),
        "in-lab": Word("awaiting-interpretation", _TO_INTERPRET, "in-progress"),
        "preliminary": Word("preliminary-outcome", _PRELIMINARY, "in-progress"),
    },
    reads={
        "awaiting-information": ("awaiting-information",),
        "visit-scheduled": ("scheduled", "booked", "collection-booked"),
        "visit-complete": ("seen-awaiting-report",),
        "awaiting-interpretation": ("seen-awaiting-report", "in-lab"),
        "preliminary-outcome": ("interim-report", "preliminary"),
        "specimen-collected": ("specimen-collected",),
    },
)
