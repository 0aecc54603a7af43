"""A value that comes, or is corrected, after a report that lists it among its results: the report is heard again.

Whoever reads the report would else do so by the urgency that it had without that value (docs/decisions/0137).
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from records.access import Actor
from records.json import Resource, loads
from records.types import row_class
from referrals import locking, sharing
from referrals.evidence.applying import proven, take
from referrals.evidence.asking import hurry_match
from referrals.evidence.naming import named_loops
from referrals.evidence.parting import is_of_its_patient
from referrals.evidence.saying import happened_at
from referrals.evidence.whose import performing
from referrals.models import Loop
from referrals.parties import local


def listed_by(resource: Resource) -> list[str]:
    """The Observations here that a report lists as its results, as references; it need not be valid yet."""
    listed = resource.get("result") if resource["resourceType"] == "DiagnosticReport" else None
    return ["/".join(one) for one in map(local, listed if isinstance(listed, list) else ()) if all(one)]


def reports_with(references: Collection[str]) -> list[Resource]:
    """The DiagnosticReports here that list any of these Observations."""
    rows = row_class("DiagnosticReport").rows("DiagnosticReport").filter(deleted=False)
    return [loads(body) for body in rows.filter(result__overlap=list(references)).values_list("body", flat=True)]


def hold_reports_with(resource: Resource, actor: Actor) -> Sequence[Resource]:
    """The reports that list a value which is about to be written, their loops locked; none of what is no Observation."""
    is_value = resource["resourceType"] == "Observation"
    reports = reports_with([f"Observation/{resource['id']}"]) if is_value else []
    if reports:
        together = (resource, *reports)
        locking.settled(lambda: [one for each in together for one in named_loops(each, actor)], lambda one: one.loop)
    return reports


def hear_again(reports: Iterable[Resource], value: Resource, actor: Actor) -> None:
    """Let each of these reports be as urgent as this value, which has just been written, makes it from now on."""
    at = happened_at(value, actor)
    for report in reports:
        hurry_match(report, actor)
        for named in named_loops(report, actor):
            if named.is_applied and is_of_its_patient(named.loop, report, report):
                _hear(named.loop, report, at, actor)


def _hear(loop: Loop, report: Resource, at: datetime, actor: Actor) -> None:
    handoff = performing(loop, report, actor)
    path = proven(handoff, report, report, at, actor) if handoff else ()
    if handoff and path:
        take(handoff, path, report, actor, at)
    sharing.share(loop, report, actor)
