"""OperationOutcome, the one shape in which this interface says no (https://hl7.org/fhir/R4/operationoutcome.html)."""

from collections.abc import Iterable

from records.errors import Issue
from records.json import Resource


def outcome(issues: Iterable[Issue]) -> Resource:
    """Build the resource from findings; ``expression`` is left out where there is none."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> Resource:
    found: Resource = {"severity": issue.severity, "code": issue.code, "details": {"text": str(issue.text)}}
    if issue.expression:
        found["expression"] = [issue.expression]
    return found
