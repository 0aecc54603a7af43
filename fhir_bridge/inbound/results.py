"""A report and the values that it lists: one that could not be had when its report came may come later.

A partner may refuse a value, or have one that can't be applied, and mend that afterwards. The report was applied without it then,
and names it by its address at the partner; it is heard again with the value (docs/decisions/0137).
"""

from collections.abc import Iterator

from fhir_bridge.models import Link, Partner
from fhir_bridge.sharing import references
from records.json import Resource
from referrals import evidence


def listed(partner: Partner, body: Resource) -> set[tuple[str, str]]:
    """(type, id) of the values that a report of the partner's lists; whoever applies it holds them too.

    Else two workers could apply a report and its value at one moment, each without the other.
    """
    is_report = body["resourceType"] == "DiagnosticReport"
    return set(references.targets(body.get("result"), partner.base_url)) if is_report else set()


def listing(partner: Partner, value: Link) -> Iterator[Link]:
    """The links of the reports here that name this value, which is new here, by its address."""
    if value.type != "Observation":
        return
    reports = evidence.reports_with([f"{partner.base_url}/Observation/{value.remote_id}"])
    ids = [report["id"] for report in reports]
    yield from Link.objects.filter(partner=partner, type="DiagnosticReport", local_id__in=ids, follows=True)
