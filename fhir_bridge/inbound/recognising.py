"""Whether what a partner has is something that we have: by our identifier, or for people and places by one of the world's."""

from django.conf import settings

from fhir_bridge.connecting import partners
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound.identity import DIRECTORY
from fhir_bridge.sharing import addressees, persons, references
from records import access, errors, json, store
from records.json import Resource


def own_id(resource: Resource) -> str:
    """The id of the resource of ours that this says it is, by our identifier; empty for none that is here."""
    type_ = resource["resourceType"]
    own_system = references.identifier(settings.BATON_BASE_URL, type_, "")["system"]
    named = resource.get("identifier")
    for each in named if isinstance(named, list) else []:
        if isinstance(each, dict) and each.get("system") == own_system and _is_here(type_, str(each.get("value"))):
            return str(each["value"])
    return ""


def recognise(partner: Partner, resource: Resource) -> str | None:
    """The id of the one local resource that this is: by our identifier, or for people and places by one of the world's.

    Two candidates are none: nothing is merged by guess. One that is linked to another of the partner's is none.
    """
    type_ = resource["resourceType"]
    found = {own_id(resource)} - {""}
    if type_ == "Task":  # of theirs too there are elements that we send
        found = {id_ for id_ in found if _takes_part(partner, type_, id_)}
    if not found and type_ in DIRECTORY | {"Location"}:
        found = bearing(resource)
    if len(found) != 1 or Link.objects.filter(partner=partner, type=type_, local_id__in=found).exists():
        return None
    return found.pop()


def bearing(resource: Resource) -> set[str]:
    """The ids of what is here with one of the world's identifiers that this has; of people nobody who may be another."""
    named = addressees.identifiers(resource)
    held = [each for one in named for each in store.find_by_identifier(resource["resourceType"], *one)]
    return {each.id for each in held if not persons.is_doubtful_pair(json.loads(each.body), resource)}


def origin(partner: Partner, resource: Resource, held: str | None) -> Link.Origin:
    """Whose a resource is that was not linked yet: ours, and kept in step there, only if the partner may see it.

    Our identifiers are told to partners for what they don't get, so that one of them is no proof of having had it.
    """
    is_shared = held == own_id(resource) and _takes_part(partner, resource["resourceType"], str(held))
    return Link.Origin.OURS if is_shared else Link.Origin.THEIRS


def _takes_part(partner: Partner, type_: str, id_: str) -> bool:
    """Whether a resource of ours is shared with the partner's organisation, or in the directory."""
    return access.visible(partners.actor(partner), type_).filter(id=id_).exists()


def _is_here(type_: str, id_: str) -> bool:
    try:
        store.read(type_, id_)
    except errors.BatonError:
        return False
    return True
