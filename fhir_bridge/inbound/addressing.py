"""Orders that a partner addresses to an organisation of ours that it has never heard of from us: found by its identifiers.

The Organizations that such orders name are read, and forgotten but for their identifiers, which are kept in this process for
some minutes: of a hospital that shows all its orders, each other organisation is asked for now and then, not with each page.
Of one that can't be read the name waits in the Inbox, with the instant from which the orders are to be read again once it can.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import watermarks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees, references
from records import clock, errors
from records.json import Resource

# Less than the shortest overlap: an identifier that is added a little later finds the order in a page that is read again
KEPT_FOR = timedelta(minutes=5)
MOST = 10_000
# So many names show a person that its organisations can't be read there; more would only bury them
MOST_WAITING = 20
OPEN = (Inbox.State.PENDING, Inbox.State.WAITING, Inbox.State.QUARANTINED)
_read: dict[tuple[int, str, str], tuple[datetime, list[addressees.Identifier]]] = {}


def ours(partner: Partner, server: Server, page: Sequence[Resource]) -> frozenset[str]:
    """The partner's ids of the Organizations that orders on a page are addressed to, that are ours, and are not linked yet.

    Raises what says that the partner can't be asked now; one that can't be read is none of ours until it can.
    """
    named = {target for each in page for target in _named(partner, each)}
    rows = Link.objects.filter(partner=partner, type="Organization", remote_id__in=named)
    unknown = named - set(rows.values_list("remote_id", flat=True)) if named else named
    return frozenset(id_ for id_ in sorted(unknown) if addressees.is_ours(_identifiers(partner, server, id_, page)))


def heard(partner: Partner, organization: Resource, item: Inbox) -> bool:
    """An Organization that could not be read can be: if it is ours, read the orders again that named it.

    False while somebody reads them; then this is to be said once more.
    """
    if item.last_updated is None or not is_awaited(item):
        return True
    is_ours = addressees.is_ours(addressees.identifiers(organization))
    return not is_ours or watermarks.go_back(partner, addressees.ADDRESSED, item.last_updated)


def is_awaited(item: Inbox) -> bool:
    """Whether it is the name of an Organization that orders are addressed to."""
    return item.type == "Organization" and not item.version_id and item.last_updated is not None


def _named(partner: Partner, order: Resource) -> set[str]:
    targets = references.targets(addressees.addressed(order), partner.base_url)
    return {id_ for type_, id_ in targets if type_ == "Organization" and references.is_id(id_)}


def _identifiers(partner: Partner, server: Server, id_: str, page: Sequence[Resource]) -> list[addressees.Identifier]:
    key, now = (partner.pk, partner.base_url, id_), clock.now()
    seen_at, known = _read.get(key, (None, []))
    if seen_at is not None and seen_at <= now < seen_at + KEPT_FOR:
        return known
    try:
        found = addressees.identifiers(server.read("Organization", id_).resource or {})
    except AWAY:
        raise
    except errors.BatonError as error:
        _wait_for(partner, id_, error, (inbox.last_updated(each) for each in page if id_ in _named(partner, each)))
        return []
    if len(_read) >= MOST:
        _read.clear()
    _read[key] = (now, found)
    return found


def _wait_for(partner: Partner, id_: str, error: errors.BatonError, named_at: Iterable[datetime | None]) -> None:
    """Its name waits; not remembered in the process, since another one may read the orders again."""
    waiting = Inbox.objects.filter(partner=partner, type="Organization", state__in=OPEN).exclude(last_updated=None)
    if waiting.count() < MOST_WAITING:
        now = clock.now()
        inbox.put_name(partner, "Organization", id_, error, since=min((at or now for at in named_at), default=now))
