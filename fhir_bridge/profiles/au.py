"""AU eRequesting 1.0, Task Diagnostic Request: accepted until work begins, booked or not, and no way back from there.

What was accepted and not begun is cancelled, what was begun fails. The statuses and the words that go with them are the
tables of https://build.fhir.org/ig/hl7au/au-fhir-erequesting/workflow-state.html; the codes of its ballot are read too.
"""

from fhir_bridge.profiles.core import PATH
from fhir_bridge.profiles.table import Profile, Word

SYSTEM = "http://terminology.hl7.org.au/CodeSystem/task-business-status"
BALLOT = "http://terminology.hl7.org.au/CodeSystem/task-businessstatus"

_BOOKED = Word("service-booked", "Service booked", "accepted")
_PRELIMINARY = Word("preliminary-results", "Preliminary results", "in-progress")

_READS = {
    "service-booked": ("scheduled", "booked", "collection-booked"),
    "request-claimed": ("cancelled",),
    "request-cancelled-placer": ("cancelled",),
    "cancel-handled": ("cancelled",),
    "request-data-issue": ("declined",),
    "preliminary-results": ("interim-report", "preliminary"),
    "addendum-report-complete": ("report-sent", "done", "final"),
    "specimen-collected": ("specimen-collected",),
    "pathology-in-lab": ("in-lab",),
    "image-acquired": ("seen-awaiting-report", "specimen-collected"),
}
_FORMERLY = {
    "booked": "service-booked",
    "claimed": "request-claimed",
    "user-cancelled": "request-cancelled-placer",
    "cancelled-handled": "cancel-handled",
    "data-issue": "request-data-issue",
    "preliminary": "preliminary-results",
    "addendum": "addendum-report-complete",
    "collected": "specimen-collected",
    "in-lab": "pathology-in-lab",
    "acquired": "image-acquired",
}

PROFILE = Profile(
    "au",
    PATH,
    turns={
        ("requested", "failed"): "rejected",
        ("received", "failed"): "rejected",
        ("accepted", "failed"): "in-progress",
        ("accepted", "rejected"): "cancelled",
        ("in-progress", "rejected"): "failed",
        ("in-progress", "cancelled"): "failed",
        ("on-hold", "rejected"): "in-progress",
        ("on-hold", "cancelled"): "in-progress",
        ("on-hold", "failed"): "in-progress",
        ("requested", "on-hold"): "requested",
        ("received", "on-hold"): "received",
        ("accepted", "on-hold"): "accepted",
    },
    is_strict=True,
    system=SYSTEM,
    systems=frozenset({SYSTEM, BALLOT}),
    words={
        "scheduled": _BOOKED,
        "booked": _BOOKED,
        "collection-booked": _BOOKED,
        "specimen-collected": Word("specimen-collected", "Specimen collected", "in-progress"),
        "in-lab": Word("pathology-in-lab", "Pathology specimen in lab", "in-progress"),
        "interim-report": _PRELIMINARY,
        "preliminary": _PRELIMINARY,
    },
    reads=_READS | {old: _READS[new] for old, new in _FORMERLY.items()},
    statuses={
        ("scheduled", "in-progress"): "accepted",
        ("no-show", "in-progress"): "accepted",
        ("appointment-cancelled", "in-progress"): "accepted",
        ("declined", "failed"): "cancelled",
    },
    meta={
        "tag": [{"system": "http://terminology.hl7.org.au/CodeSystem/resource-tag", "code": "fulfilment-task"}],
    },
)
