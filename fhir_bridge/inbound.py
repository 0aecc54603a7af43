"""What the partners have changed: polled by their clock into the Inbox, then applied one by one.

Reading and applying are apart. `poll` reads a window of ``_lastUpdated`` per type, from ten minutes before the watermark
to shortly before the partner's own present, stores what concerns us (`relevant`) in full, and moves the watermark only
when the whole window is stored. `fhir_bridge.applying` does the rest. `sweep` reads every open item by its id, which
finds deletions, and changes that a poll can't show.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from fhir_bridge import inbox, mending, partners, references
from fhir_bridge.client import PAGE, Reply, Server
from fhir_bridge.models import Link, Partner, Watermark
from records import access, clock, errors
from records.json import Resource
from referrals.models import Handoff
from referrals.upheavals import silence

Target = tuple[str, str]

# Short: a poller that was killed holds nobody up for long. Two at once do no harm, the Inbox is unique.
POLL_LEASE_SECONDS = 30.0
SWEEP_BATCH = 500

# What is polled. "patient": of a linked patient is enough, as it may be an outcome that names no order; "request": only
# what names a linked request, Task or one of their own evidence. See docs/decisions/0005.
POLLED: Mapping[str, str] = {
    "ServiceRequest": "request",
    "Appointment": "request",
    "Encounter": "request",
    "Procedure": "request",
    "Observation": "request",
    "Specimen": "request",
    "Communication": "request",
    "QuestionnaireResponse": "request",
    "DocumentReference": "patient",
    "DiagnosticReport": "patient",
    "Task": "request",
    "Patient": "linked",
}
NAMED = frozenset({"ServiceRequest", "Task", "Appointment", "Encounter", "DiagnosticReport", "DocumentReference"})
# A request of a partner's for one of our organisations concerns us before anything of it is linked
ADDRESSED = {"Task": ("owner",), "ServiceRequest": ("performer", "requester")}


def poll(partner: Partner, *, server: Server | None = None) -> int:
    """Store what is new at the partner; give how many versions. One poller per partner at a time."""
    if not partner.is_active or not _lease(partner):
        return 0
    try:
        connected = server or partners.connect(partner)
        upper = _present(partner, connected) - timedelta(seconds=partner.lag_seconds)
        stored = sum(_poll_type(partner, connected, type_, upper) for type_ in POLLED)
    except errors.BatonError as error:
        note_failure(partner, error)
        raise
    finally:
        Partner.objects.filter(pk=partner.pk).update(poll_lease_until=None)
    note_success(partner)
    return stored


def note_success(partner: Partner) -> None:
    """The partner has answered: it is not silent."""
    now = clock.now()
    Partner.objects.filter(pk=partner.pk).update(last_success_at=now)
    window = timedelta(seconds=partner.silence_seconds)
    silence.heard(partner.organization, now, silent_after=window, pool=partner.steward_pool, name=partner.name)


def _lease(partner: Partner) -> bool:
    """Whether this process is the partner's poller from now on."""
    now = clock.now()
    is_free = Q(poll_lease_until=None) | Q(poll_lease_until__lte=now)
    is_free &= Q(not_before_at=None) | Q(not_before_at__lte=now)
    until = now + timedelta(seconds=POLL_LEASE_SECONDS)
    return Partner.objects.filter(is_free, pk=partner.pk).update(poll_lease_until=until) == 1


def note_failure(partner: Partner, error: errors.BatonError) -> None:
    """What a failed read says about the partner as a whole."""
    changes: dict[str, object] = {"last_failure_at": clock.now(), "last_error": error.message}
    if isinstance(error, errors.Unauthenticated):
        changes |= {"state": Partner.State.PAUSED, "state_reason": error.message}
    if isinstance(error, errors.Throttled):
        changes["not_before_at"] = clock.now() + timedelta(seconds=error.retry_after)
    Partner.objects.filter(pk=partner.pk).update(**changes)


def _present(partner: Partner, server: Server) -> datetime:
    """The partner's present instant by its own Date header, which has whole seconds; ours where it sends none."""
    for reply, _found in server.search("Task", [("_count", "1"), ("_elements", "id")]):
        if reply.sent_at is not None:
            partner.skew_seconds = (reply.sent_at - clock.now()).total_seconds()
            Partner.objects.filter(pk=partner.pk).update(skew_seconds=partner.skew_seconds)
            return reply.sent_at
        break
    return clock.now() + timedelta(seconds=partner.skew_seconds or 0.0)


def _poll_type(partner: Partner, server: Server, type_: str, upper: datetime) -> int:
    """Store one type's window, then move its watermark."""
    mark = Watermark.objects.filter(partner=partner, type=type_).first()
    overlap = timedelta(seconds=partner.overlap_seconds)
    lower = (mark.until if mark else upper) - overlap
    stored = 0
    for _reply, page in _window(server, type_, lower, upper):
        stored += inbox.put(partner, relevant(partner, fresh(partner, page)))
    Watermark.objects.update_or_create(
        partner=partner, type=type_, defaults={"until": max(upper, mark.until) if mark else upper}
    )
    return stored


def _window(server: Server, type_: str, lower: datetime, upper: datetime) -> Iterator[tuple[Reply, list[Resource]]]:
    """The changes of a type from ``lower`` to before ``upper``; none for a type that the partner doesn't offer."""
    params = [
        ("_lastUpdated", f"ge{lower:%Y-%m-%dT%H:%M:%S.%fZ}"),
        ("_lastUpdated", f"lt{upper:%Y-%m-%dT%H:%M:%S.%fZ}"),
        ("_sort", "_lastUpdated"),
        ("_count", str(PAGE)),
    ]
    try:
        yield from server.search(type_, params)
    except (errors.NotFound, errors.Unsupported):
        return


def fresh(partner: Partner, page: list[Resource]) -> list[Resource]:
    """A page without the echoes of our own writes, and without versions that the link knows."""
    ids = {str(resource.get("id")) for resource in page}
    rows = Link.objects.filter(partner=partner, remote_id__in=ids).values_list(
        "type", "remote_id", "remote_version", "remote_hash"
    )
    known = {(type_, id_): (version, hash_) for type_, id_, version, hash_ in rows}
    return [
        resource
        for resource in page
        if known.get((resource["resourceType"], str(resource.get("id"))))
        != (inbox.version_of(resource), inbox.content_hash(resource))
    ]


def relevant(partner: Partner, page: list[Resource]) -> list[Resource]:
    """Of a page, what has to do with anything that we exchange with this partner (minimum necessary)."""
    named = {_key(resource) for resource in page}
    named |= {target for resource in page for target in references.targets(resource, partner.base_url)}
    rows = Link.objects.filter(partner=partner, remote_id__in={id_ for _type, id_ in named})
    linked = {(type_, str(id_)): local for type_, id_, local in rows.values_list("type", "remote_id", "local_id")}
    return [resource for resource in page if _concerns(partner, resource, linked)]


def _key(resource: Resource) -> Target:
    return resource["resourceType"], str(resource.get("id"))


def _concerns(partner: Partner, resource: Resource, linked: Mapping[Target, str]) -> bool:
    type_ = resource["resourceType"]
    if _key(resource) in linked or references.is_named_by_us(resource, settings.BATON_BASE_URL):
        return True
    types = NAMED | ({"Patient"} if POLLED.get(type_) == "patient" or partner.tenant else set())
    if any(each in linked and each[0] in types for each in references.targets(resource, partner.base_url)):
        return True
    addressed = (
        linked[target]
        for element in ADDRESSED.get(type_, ())
        for target in references.targets(resource.get(element), partner.base_url)
        if target[0] == "Organization" and target in linked
    )
    return any(access.is_tenant(access.root(organization)) for organization in addressed)


def sweep(partner: Partner, *, server: Server | None = None) -> int:
    """Read every linked Task of an open handoff by its id; give how many new versions were stored."""
    if not partner.is_active:
        return 0
    connected = server or partners.connect(partner)
    open_ones = Handoff.objects.filter(closed_at__isnull=True).values("pk")
    links = Link.objects.filter(partner=partner, type="Task", remote_id__isnull=False, local_id__in=open_ones).exclude(
        state__in=(Link.State.GONE, Link.State.INFLIGHT)
    )
    return sum(_read_again(partner, connected, link) for link in links.order_by("pk")[:SWEEP_BATCH])


def _read_again(partner: Partner, server: Server, link: Link) -> int:
    try:
        found = server.read(link.type, str(link.remote_id)).resource or {}
    except (errors.Gone, errors.NotFound) as error:
        link.state = Link.State.GONE
        link.error_category, link.error_text = type(error).__name__, error.message
        link.save(update_fields=["state", "error_category", "error_text"])
        mending.open_for(link)
        return 0
    return inbox.put(partner, fresh(partner, [found]))
