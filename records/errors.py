"""The few categories of error that the whole product knows.

An error class *is* its category; no room below ``api`` and ``web`` knows a status code. ``api.fhir.errors`` holds the
one table that turns a category into HTTP and an OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html).
A message names elements and rules and never a patient's data.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: ``code`` from http://hl7.org/fhir/issue-type, ``expression`` a FHIRPath such as ``Task.status``."""

    text: str
    expression: str = ""
    code: str = "invalid"
    severity: str = "error"


class BatonError(Exception):
    """Root of all errors that a caller may cause or must hear of."""

    def __init__(self, message: str, *issues: Issue) -> None:
        super().__init__(message)
        self.message = message
        self.issues = issues or (Issue(message),)


class Malformed(BatonError):
    """The bytes or the query can't be read: syntax, depth, size, numbers."""


class Incorrect(BatonError):
    """Readable, but against FHIR or against a rule of ours; names the element or says what is possible now."""


class Unauthenticated(BatonError):
    """No valid proof of who calls."""


class Forbidden(BatonError):
    """Known caller without the right; ``api`` answers as for `NotFound` where existence itself would tell."""


class NotFound(BatonError):
    """No such thing, or none that the caller may see."""


class Gone(BatonError):
    """It was here and has been deleted."""


class Conflict(BatonError):
    """Two writers at once, or a duplicate of what is here already."""


class Stale(BatonError):
    """The version that the caller expected is no longer the current one."""


class Unsupported(BatonError):
    """A type, interaction, parameter or media type that we don't offer."""


class Throttled(BatonError):
    """Too much at once; `retry_after` in seconds."""

    def __init__(self, message: str, *issues: Issue, retry_after: float = 1.0) -> None:
        super().__init__(message, *issues)
        self.retry_after = retry_after


class Unavailable(BatonError):
    """Something that we depend on doesn't answer now."""
