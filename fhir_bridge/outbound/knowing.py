"""How what we have sent is known at a partner: by its identifiers, or by what an earlier creation of it was answered with."""

from fhir_bridge.connecting.client import Server
from fhir_bridge.models import Link
from fhir_bridge.outbound import conflicts
from fhir_bridge.outbound.identity import identities
from fhir_bridge.sharing import references
from records import errors, json
from records.json import Resource

WITHOUT_IDENTIFIER = frozenset({"Binary", "Bundle", "Provenance", "AuditEvent", "OperationOutcome", "Parameters"})
_OF_EACH = frozenset({"id", "meta", "resourceType"})


def is_known_by(resource: Resource, link: Link, ours: Resource) -> bool:
    """Whether it bears an identity of what we have sent, as what a search finds must."""
    return link.type in WITHOUT_IDENTIFIER or any(references.bears(resource, *each) for each in identities(link, ours))


def made_before(server: Server, link: Link, ours: Resource) -> Resource | None:
    """What an earlier creation of it was answered with, and is kept otherwise there: while it is, no other one is made."""
    if not link.base:
        return None
    try:
        found = server.read(link.type, str(json.loads(link.base).get("id"))).resource or {}
    except (errors.NotFound, errors.Gone):
        return None
    if is_known_by(found, link, ours) or conflicts.is_as_sent_unnamed(ours, found):
        return found
    raise errors.Incorrect(otherwise(ours, found))


def otherwise(ours: Resource, found: Resource) -> str:
    """Which elements of ours are another there; their names alone."""
    names = [name for name in ours if name not in _OF_EACH and not conflicts.same(ours[name], found.get(name))]
    return f"The partner keeps something else than was sent: {', '.join(names)}."
