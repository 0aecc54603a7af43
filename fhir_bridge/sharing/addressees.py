"""Whom an order of a partner's is addressed to, where nothing of that organisation is linked with the partner yet."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings

from fhir_bridge.sharing import references
from records import access, store
from records.json import Resource
from referrals.parties import BELONGS_TO, root_of

Identifier = tuple[str, str]

# A request of a partner's for one of our organisations concerns us before anything of it is linked; of a tenant's own
# EHR every order does, as it may name nobody but a clinician
ADDRESSED: Mapping[str, tuple[str, ...]] = {"Task": ("owner",), "ServiceRequest": ("performer", "requester")}
# Who may be named in place of an organisation, each with the element that says to which it belongs
BELONGING: Mapping[str, str] = {
    type_: BELONGS_TO[type_] for type_ in ("PractitionerRole", "HealthcareService", "Location")
}
# Where it is to be done says who is asked, where nobody is named in the second one
WHERE: Mapping[str, tuple[str, str]] = {
    "Task": ("location", "owner"),
    "ServiceRequest": ("locationReference", "performer"),
}
_NAMED_ALONE = frozenset({"Organization", *BELONGING})
_PASSED = frozenset({"old", "temp"})


def addressed(resource: Resource) -> list[Any]:
    """The elements of an order that say who is asked, and who asks."""
    return [resource.get(element) for element in _elements(resource)]


def _elements(resource: Resource) -> list[str]:
    type_ = resource["resourceType"]
    place, person = WHERE.get(type_, ("", ""))
    return [*ADDRESSED.get(type_, ()), *([place] if place and not resource.get(person) else [])]


def is_ours(identifiers: Iterable[Identifier]) -> bool:
    """Whether an organisation that works here, or a department of one, bears any of these."""
    return any(access.is_tenant(access.root(each)) for each in bearing(identifiers))


def is_one_of_ours(identifiers: Collection[Identifier]) -> bool:
    """The same for what an order names by an identifier alone: it may be a service, a role or a place of ours, too."""
    houses = (root_of({"reference": part}) for part in _parts(identifiers))
    return is_ours(identifiers) or any(map(access.is_tenant, houses))


def _parts(identifiers: Iterable[Identifier]) -> set[str]:
    """References to the services, roles and places here that bear any of these."""
    named = list(identifiers)
    return {
        f"{type_}/{stored.id}"
        for type_ in BELONGING
        for one in named
        for stored in store.find_by_identifier(type_, *one)
    }


def bearing(identifiers: Iterable[Identifier]) -> set[str]:
    """The ids of the Organizations here that bear any of these."""
    own_system, named = references.identifier(settings.BATON_BASE_URL, "Organization", "")["system"], list(identifiers)
    own = store.read_many("Organization", [value for system, value in named if system == own_system])
    return {*own, *(stored.id for one in named for stored in store.find_by_identifier("Organization", *one))}


def house(resource: Resource) -> dict[str, Any]:
    """The reference to the organisation that a role, a service or a place belongs to; empty for none."""
    named = resource.get(BELONGING.get(str(resource.get("resourceType")), ""))
    return named if isinstance(named, dict) else {}


def identifiers(organization: Resource) -> list[Identifier]:
    """Those of an Organization that are in use and say whose they are; of what belongs to one, those that name it alone."""
    if organization.get("resourceType") in BELONGING:
        return _alone(house(organization))
    return own_identifiers(organization)


def own_identifiers(resource: Resource) -> list[Identifier]:
    """Those that it bears itself."""
    named = resource.get("identifier")
    return [pair for each in (named if isinstance(named, list) else ()) for pair in _pair(each)]


def named_alone(resource: Resource) -> list[Identifier]:
    """The identifiers that an order names its organisations by, without a reference that leads to them."""
    return [pair for node in _nodes(addressed(resource)) for pair in _named(node, resource)]


def with_references(resource: Resource) -> Resource:
    """A copy in which an organisation that is named by an identifier alone is referred to, where one here bears it."""
    elements = (*_elements(resource), BELONGING.get(resource["resourceType"], ""))
    return resource | {name: _referring(resource[name], resource) for name in elements if name in resource}


def _referring(value: Any, resource: Resource) -> Any:
    if isinstance(value, list):
        return [_referring(each, resource) for each in value]
    named = _named(value, resource) if isinstance(value, dict) else []
    found = {f"Organization/{id_}" for id_ in bearing(named)} or _parts(named)
    return {**value, "reference": found.pop()} if len(found) == 1 else value


def _named(node: Resource, resource: Resource) -> list[Identifier]:
    """The identifiers that lead to an organisation: its own, those of one that is contained, or ours in our own address."""
    reference = str(node.get("reference", ""))
    if reference.startswith("#"):
        within = resource.get("contained")
        inner = [each for each in (within if isinstance(within, list) else ()) if isinstance(each, dict)]
        found = [one for one in inner if (one.get("resourceType"), f"#{one.get('id')}") == ("Organization", reference)]
        return [pair for one in found for pair in identifiers(one)]
    base = f"{settings.BATON_BASE_URL}/fhir"
    target = references.parse(reference, base) if reference.startswith(f"{base}/Organization/") else None
    return _pair(references.identifier(settings.BATON_BASE_URL, *target)) if target else _alone(node)


def _alone(node: Resource) -> list[Identifier]:
    is_one = node.get("type", "Organization") in _NAMED_ALONE
    return _pair(node.get("identifier")) if is_one and "reference" not in node else []


def _pair(named: Any) -> list[Identifier]:
    """None for what is no identifier, or not in use."""
    if not isinstance(named, dict) or str(named.get("use")) in _PASSED:
        return []
    system, value = named.get("system"), named.get("value")
    return [(system, value)] if isinstance(system, str) and isinstance(value, str) and system and value else []


def _nodes(values: Iterable[Any]) -> Iterator[Resource]:
    for value in values:
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))
