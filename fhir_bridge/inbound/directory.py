"""A partner's directory (IHE mCSD): who offers what where, kept here as it is there, and never over what is ours.

Its changes are read by ``_history?_since`` (ITI-91), which also tells of deletions, or by ``_lastUpdated`` where there is no such
history; then a deletion is found by the nightly reading by id. What we have made from a deleted entry becomes inactive;
what is ours, or was known here before by an identifier, is linked and not touched.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from fhir_bridge.connecting import partners
from fhir_bridge.connecting.client import PAGE, Server, next_link
from fhir_bridge.inbound import windows
from fhir_bridge.models import Link, Partner
from records import clock, errors, store
from records.json import Resource
from referrals import intake

# What says of each type that it is no more in use
INACTIVE: Mapping[str, Mapping[str, Any]] = {
    "Organization": {"active": False},
    "Location": {"status": "inactive"},
    "Practitioner": {"active": False},
    "PractitionerRole": {"active": False},
    "HealthcareService": {"active": False},
    "Endpoint": {"status": "off"},
}
MAX_PAGES = 10_000


def read(partner: Partner, server: Server, window: windows.Window) -> Iterator[windows.Stretch]:
    """The changes of a type in a window; deletions are carried out on the way."""
    try:
        first = _history(server, window)
    except (*windows.BROKEN, errors.NotFound, errors.Unsupported, errors.Malformed, errors.Incorrect, errors.Forbidden):
        yield from windows.read(server, window)
        return
    seen = set[str]()
    for page in _pages(server, first):
        resources, deleted = _newest(page, window.type, seen)
        for remote_id in deleted:
            withdraw(partner, window.type, remote_id)
        yield windows.Stretch(resources, window.lower)
    yield windows.Stretch([], window.upper)


def _history(server: Server, window: windows.Window) -> Resource:
    since = f"{window.lower:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    found = server.exchange("GET", f"{window.type}/_history?_since={since}&_count={PAGE}").resource or {}
    if found.get("resourceType") != "Bundle" or found.get("type") != "history":
        raise errors.Unsupported("The partner has no history of this type.")
    return found


def _pages(server: Server, page: Resource) -> Iterator[Resource]:
    """The newest changes come first, so what happens meanwhile repeats lines and hides none."""
    yield page
    asked = set[str]()
    for _page in range(MAX_PAGES):
        url = next_link(page)
        if not url:
            return
        if url in asked:
            break
        asked.add(url)
        page = server.exchange("GET", url).resource or {}
        yield page
    raise errors.Unavailable("The partner's pages have no end.")


def _newest(page: Resource, type_: str, seen: set[str]) -> tuple[list[Resource], list[str]]:
    """Of each resource that was not seen on an earlier page its newest version, and the ids of those that are deleted."""
    resources, deleted = list[Resource](), list[str]()
    entries = page.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            continue
        resource, request = entry.get("resource"), entry.get("request")
        asked = request if isinstance(request, dict) else {}
        is_deleted = asked.get("method") == "DELETE"
        remote_id = _deleted_id(entry, asked, type_) if is_deleted else _id(resource, type_)
        if not remote_id or remote_id in seen:
            continue
        seen.add(remote_id)
        if is_deleted:
            deleted.append(remote_id)
        elif isinstance(resource, dict):
            resources.append(resource)
    return resources, deleted


def _id(resource: Any, type_: str) -> str:
    if not isinstance(resource, dict) or resource.get("resourceType") != type_:
        return ""
    return str(resource.get("id", ""))


def _deleted_id(entry: Resource, request: Resource, type_: str) -> str:
    """The id in ``request.url`` or ``fullUrl``; both end with ``Type/id``."""
    for address in (request.get("url"), entry.get("fullUrl")):
        parts = str(address or "").partition("/_history")[0].split("/")
        if type_ in parts[:-1]:
            return parts[parts.index(type_) + 1]
    return ""


@transaction.atomic
def withdraw(partner: Partner, type_: str, remote_id: str) -> bool:
    """Make inactive what was made from an entry that is deleted there; False for what was not, or is already."""
    link = Link.objects.select_for_update().filter(partner=partner, type=type_, remote_id=remote_id).first()
    if link is None or link.state == Link.State.GONE:
        return False
    link.state = Link.State.GONE
    link.error_category, link.error_text = errors.Gone.__name__, "It was deleted from the partner's directory."
    link.save(update_fields=["state", "error_category", "error_text"])
    if link.follows:
        held = store.get(type_, link.local_id)
        present = clock.now() + timedelta(seconds=partner.skew_seconds or 0.0)
        at = max(present, link.applied_last_updated or present)  # its Date header has whole seconds
        intake.receive({**held, **INACTIVE[type_], "meta": _meta(held, at)}, partners.actor(partner))
    return link.follows


def _meta(held: Resource, at: datetime) -> Resource:
    return {**held.get("meta", {}), "lastUpdated": at.isoformat(timespec="milliseconds")}
