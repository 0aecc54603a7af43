"""Which of the people and departments that a Consent names would get what is sent to a partner.

A partner is an organisation: whoever works there may read what it has. So a person counts who works there (an active
PractitionerRole within the same root Organization), or to whom the resource itself is addressed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from fhir_bridge.sharing import references
from records import access, json, store
from records.json import Resource
from records.types import row_class

Target = tuple[str, str]

PEOPLE = ("Practitioner", "PractitionerRole")
NAMED = ("Organization", *PEOPLE)
# Whom a resource is for; elsewhere `performer` is who has made it
ADDRESSED: Mapping[str, tuple[str, ...]] = {
    "Task": ("owner", "restriction"),
    "ServiceRequest": ("performer",),
    "Communication": ("recipient",),
    "CommunicationRequest": ("recipient",),
    "Appointment": ("participant",),
    "DocumentReference": ("custodian",),
}


def actors(provision: Any) -> frozenset[Target]:
    """All whom a provision and its exceptions name as actors, by reference or by an identifier that is known here."""
    return frozenset(_actors(provision))


def of_actor(actor: Resource) -> frozenset[Target]:
    """Whom one actor of a provision names."""
    reference = actor.get("reference")
    found = set(references.targets(reference, *_bases()))
    identifier = reference.get("identifier") if isinstance(reference, dict) else None
    if found or not isinstance(identifier, dict):
        return frozenset(found)
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    return frozenset((type_, one.id) for type_ in NAMED for one in store.find_by_identifier(type_, system, value))


def people(consent: Resource, type_: str, body: Resource, house: Sequence[str]) -> frozenset[Target]:
    """Those of a Consent's people who work within the partner's house or are addressed by the resource, and departments.

    ``house``: the partner's organisation and those above it. What it has, its departments read.
    """
    named = actors(consent.get("provision"))
    departments = {each for each in named if each[0] == "Organization" and house[0] in access.lineage(each[1])}
    addressed = set(references.targets([body.get(name) for name in ADDRESSED.get(type_, ())], *_bases()))
    there = {
        each
        for each in named
        if each[0] in PEOPLE and any(_is_there(role, house[-1], addressed) for role in _roles(each))
    }
    return frozenset(departments | there)


def _actors(provision: Any) -> Iterator[Target]:
    if not isinstance(provision, dict):
        return
    for actor in provision.get("actor", []):
        yield from of_actor(actor)
    for exception in provision.get("provision", []):
        yield from _actors(exception)


def _is_there(role: tuple[frozenset[Target], str], root: str, addressed: set[Target]) -> bool:
    known_as, organization = role
    return bool(known_as & addressed) or bool(organization and access.root(organization) == root)


def _roles(person: Target) -> Iterator[tuple[frozenset[Target], str]]:
    """(all that the person is known as, the organisation) for each active role; without one, the person alone."""
    type_, id_ = person
    yield frozenset({person}), ""
    rows = row_class("PractitionerRole").rows("PractitionerRole").filter(deleted=False)
    chosen = rows.filter(id=id_) if type_ == "PractitionerRole" else rows.filter(practitioner=f"Practitioner/{id_}")
    for key, text in chosen.values_list("id", "body"):
        body = json.loads(text)
        if body.get("active") is not False:
            known = {person, ("PractitionerRole", key), *references.targets(body.get("practitioner"), *_bases())}
            found = [
                each
                for type_, each in references.targets(body.get("organization"), *_bases())
                if type_ == "Organization"
            ]
            yield frozenset(known), found[0] if found else ""


def _bases() -> tuple[str]:
    return (f"{settings.BATON_BASE_URL}/fhir",)
