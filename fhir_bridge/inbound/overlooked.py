"""What was read before the order that it belongs to, and so concerned nobody: it is read again once there is the order.

A partner may not show its orders for a while, and show all else; or an order turns out to be ours late. What a reading to come
goes back to anyway, by its overlap, is left to that.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction

from fhir_bridge.inbound import watermarks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing.relevance import POLLED
from records.json import Resource

# What names them is read, and nothing else of theirs
ORDERS = ("ServiceRequest", "Task")
# A Task brings its request with it, by its reference
NAMING = tuple(type_ for type_ in POLLED if type_ not in {"Patient", "ServiceRequest"})


@transaction.atomic
def put(partner: Partner, resources: Iterable[Resource]) -> int:
    """Store these as `inbox.put` does; the readings that have passed what new orders among them have led to are sent back."""
    stored = list(resources)
    orders = [each for each in stored if each.get("resourceType") in ORDERS]
    times = [at for each in _new(partner, orders) if (at := inbox.last_updated(each)) is not None]
    if times:
        registered = partner.created_at + timedelta(seconds=partner.skew_seconds or 0.0)
        watermarks.send_back(partner, NAMING, max(min(times), registered))
    return inbox.put(partner, stored)


def _new(partner: Partner, orders: list[Resource]) -> list[Resource]:
    """Those of which nothing has come before."""
    ids = {str(each.get("id")) for each in orders}
    if not ids:
        return []
    come = Inbox.objects.filter(partner=partner, type__in=ORDERS, remote_id__in=ids).exclude(version_id="")
    linked = Link.objects.filter(partner=partner, type__in=ORDERS, remote_id__in=ids)
    known = {*come.values_list("type", "remote_id"), *linked.values_list("type", "remote_id")}
    return [each for each in orders if (each["resourceType"], str(each.get("id"))) not in known]
