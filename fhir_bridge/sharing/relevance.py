"""Of what a partner shows, what concerns us (minimum necessary), and what we know already (docs/decisions/0005)."""

from collections.abc import Collection, Iterable, Mapping

from django.conf import settings
from django.db.models import Q

from fhir_bridge.connecting.retries import Unreadable
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees, references
from records import access
from records.json import Resource
from referrals import evidence
from referrals.intake import orders
from referrals.parties import organization_of

Target = tuple[str, str]

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
# What a directory has is kept here in whole (IHE mCSD)
DIRECTORY = ("Organization", "Location", "Practitioner", "HealthcareService", "PractitionerRole", "Endpoint")
NAMED = frozenset({"ServiceRequest", "Task", "Appointment", "Encounter", "DiagnosticReport", "DocumentReference"})


def polled(partner: Partner) -> tuple[str, ...]:
    """The types whose changes are read."""
    return (*(DIRECTORY if partner.is_directory else ()), *POLLED)


def fresh(partner: Partner, page: list[Resource]) -> list[Resource]:
    """A page without the echoes of our own writes, and without versions that the link knows."""
    ids = {str(resource.get("id")) for resource in page}
    rows = Link.objects.filter(partner=partner, remote_id__in=ids).values_list(
        "type", "remote_id", "remote_version", "remote_hash"
    )
    known = {(type_, id_): (version, hash_) for type_, id_, version, hash_ in rows}
    return [each for each in page if not _is_known(each, known.get(_key(each)))]


def _is_known(resource: Resource, seen: tuple[str, str] | None) -> bool:
    """Whether it is the version with the content that was seen."""
    if seen is None or seen[0] != inbox.version_of(resource):
        return False
    return seen[1] == inbox.content_hash(resource)


def relevant(partner: Partner, page: list[Resource], ours: Collection[Target] = ()) -> list[Resource]:
    """Of a page, what has to do with anything that we exchange with this partner (minimum necessary).

    ``ours``: those that orders may be addressed to and that are ours, though nothing of them is linked yet.
    """
    if not page:
        return []
    named = {_key(resource) for resource in page}
    named |= {target for resource in page for target in references.targets(resource, partner.base_url)}
    known = {**dict.fromkeys(awaited(partner, page), ""), **_known(partner, {id_ for _type, id_ in named})}
    return [each for each in page if _is_relevant(partner, each, known, ours)]


def _is_relevant(partner: Partner, each: Resource, known: Mapping[Target, str], ours: Collection[Target]) -> bool:
    """One that can't be understood is kept, to be quarantined: it must not keep the others of its page from coming."""
    try:
        return _concerns(partner, each, known) or _is_for_us(partner, each, known, ours)
    except (AttributeError, KeyError, TypeError, ValueError):
        return True


def _known(partner: Partner, ids: set[str]) -> Mapping[Target, str]:
    """What is linked of these, with our id, and with none what has come and is still to be applied, or to be corrected.

    Of what couldn't be read nothing has come but its name.
    """
    is_open = Q(type__in=NAMED, state__in=(Inbox.State.PENDING, Inbox.State.WAITING))
    waiting = Inbox.objects.filter(
        is_open | Q(state=Inbox.State.QUARANTINED), partner=partner, remote_id__in=ids
    ).exclude(error_category=Unreadable.__name__)
    rows = Link.objects.filter(partner=partner, remote_id__in=ids).values_list("type", "remote_id", "local_id")
    known = dict.fromkeys(waiting.values_list("type", "remote_id"), "")
    return known | {(type_, str(id_)): local for type_, id_, local in rows}


def awaited(partner: Partner, page: Iterable[Resource]) -> set[Target]:
    """Those values on a page that a report here lists by their address: they couldn't be had when it came."""
    ids = {str(each.get("id")) for each in page if each["resourceType"] == "Observation"}
    urls = {f"{partner.base_url}/Observation/{id_}": id_ for id_ in ids}
    listed = (each for report in evidence.reports_with(urls) for each in report["result"]) if urls else ()
    return {("Observation", urls[each["reference"]]) for each in listed if each.get("reference") in urls}


def _key(resource: Resource) -> Target:
    return resource["resourceType"], str(resource.get("id"))


def _concerns(partner: Partner, resource: Resource, linked: Mapping[Target, str]) -> bool:
    type_ = resource["resourceType"]
    if type_ in DIRECTORY and partner.is_directory:
        return True
    if _key(resource) in linked or references.is_named_by_us(resource, settings.BATON_BASE_URL):
        return True
    if partner.tenant and type_ == "ServiceRequest" and _may_open(resource):
        return True
    types = NAMED | ({"Patient"} if POLLED.get(type_) == "patient" or partner.tenant else set())
    return any(each in linked and each[0] in types for each in references.targets(resource, partner.base_url))


def _is_for_us(partner: Partner, resource: Resource, linked: Mapping[Target, str], ours: Collection[Target]) -> bool:
    """Whether an order is addressed to an organisation of ours, or to a role, a service or a place of one: that is linked,
    that is recognised, or that is named by an identifier alone.
    """
    named = set(references.targets(addressees.addressed(resource), partner.base_url))
    if any(target in ours for target in named):
        return True
    houses = (_house(type_, linked[type_, id_]) for type_, id_ in named if (type_, id_) in linked)
    return any(map(access.is_tenant, houses)) or addressees.is_one_of_ours(addressees.named_alone(resource))


def _house(type_: str, local_id: str) -> str:
    """The organisation here that is linked, or to which what is linked belongs; empty for a person, and for nobody."""
    is_part = type_ == "Organization" or type_ in addressees.BELONGING
    return organization_of({"reference": f"{type_}/{local_id}"}) if is_part else ""


def _may_open(request: Resource) -> bool:
    """Whether an order may open a loop; one that can't be read is kept, to be quarantined."""
    try:
        return orders.may_open(request)
    except (AttributeError, TypeError):
        return True
