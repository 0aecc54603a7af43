"""Who or what a resource of ours is at a partner: by our identifier, or for people and places by one of the world's."""

from collections.abc import Mapping, Sequence

from django.conf import settings

from fhir_bridge.capabilities.choices import Create
from fhir_bridge.connecting.client import Server, token
from fhir_bridge.models import Link
from fhir_bridge.sharing import references
from fhir_bridge.sharing.addressees import Identifier
from fhir_bridge.sharing.persons import is_another, is_doubtful_pair
from records import errors
from records.json import Resource

# Types that a partner may know already, by an identifier of the world's: an existing one is accepted, never changed
DIRECTORY = frozenset({"Patient", "Practitioner", "Organization"})
_MOST_IDENTIFIERS = 8


def identities(link: Link, ours: Resource) -> list[Identifier]:
    """(system, value) by which the partner may know it, the strongest first; our own one is always the last."""
    own = references.identifier(settings.BATON_BASE_URL, link.type, link.local_id)
    found = []
    if link.type in DIRECTORY:
        for each in sorted(ours.get("identifier", []), key=lambda one: one.get("use") != "official"):
            is_usable = each.get("system") and each.get("value") and each.get("use") not in {"old", "temp"}
            if is_usable and not is_same(each, own):
                found.append((each["system"], each["value"]))
    return [*found, (own["system"], own["value"])]


def is_same(identifier: Resource, own: Mapping[str, str]) -> bool:
    """Whether an identifier is that one."""
    return identifier.get("system") == own["system"] and identifier.get("value") == own["value"]


def look_up(server: Server, link: Link, ours: Resource, *, is_doubtful: bool) -> tuple[Resource | None, Identifier]:
    """The one resource at the partner with one of the identities, and the identity by which it is created otherwise.

    Two are work for a person, and so is somebody who may be another (`Incorrect`); who is another for sure counts for nobody.
    """
    *others, own = identities(link, ours)
    is_conditional = link.partner.ways(link.type).create.way == Create.CONDITIONAL
    if not is_doubtful and is_conditional and not others:
        return None, own
    found = list(_bearing(server, link.type, [own]).values())
    if not found:
        alike = list(_bearing(server, link.type, others[:_MOST_IDENTIFIERS]).values())
        found = [one for one in alike if not is_another(ours, one)]
        if any(is_doubtful_pair(ours, one) for one in found):
            raise errors.Incorrect("The partner has somebody with one of these identifiers who may be another person.")
        others = others if len(found) == len(alike) else []
    if len(found) > 1:
        raise errors.Incorrect("The partner has more than one resource with its identifiers.")
    return next(iter(found), None), [*others, own][0]


def _bearing(server: Server, type_: str, identifiers: Sequence[Identifier]) -> dict[str, Resource]:
    """What the partner has with any of these identifiers, by its id."""
    found: dict[str, Resource] = {}
    for system, value in identifiers:
        for _reply, matches in server.search(type_, [("identifier", token(system, value)), ("_count", "2")]):
            found |= {str(match.get("id")): match for match in matches if references.bears(match, system, value)}
    return found
