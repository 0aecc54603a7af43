"""The referral letter: what goes with an order is not its report, although the one who wrote it may perform it as well."""

from records import dates
from records.json import Resource
from referrals.models import Handoff
from referrals.parties import held, local


def is_letter(handoff: Handoff, resource: Resource) -> bool:
    """Whether a document belongs to the order: the request names it, or its placer, who also performs, wrote it before.

    Another performer's document that is older than the order is taken for a report: it can't be about an order to come.
    """
    if resource["resourceType"] != "DocumentReference":
        return False
    loop = handoff.loop
    under = handoff.focus if handoff.focus.startswith("ServiceRequest/") else loop.request_reference
    supporting = held(*local({"reference": under})).get("supportingInfo", ())
    if ("DocumentReference", resource["id"]) in [local(one) for one in supporting]:
        return True
    written = dates.period_of(resource.get("date", ""))
    is_own = handoff.owner.organization == loop.placer
    return is_own and written is not None and written[0] < handoff.opened_at
