"""Orders that a partner addresses to an organisation of ours that it has never heard of from us: found by its identifiers.

The Organizations that such orders name, or to which the role or the service belongs that they name, are read, and forgotten but
for their identifiers, which are kept in this process for some minutes: of a hospital that shows all its orders, each other organisation is asked for now and then, not with each page.
Of one that can't be read the name waits in the Inbox, with the instant from which the orders are to be read again once it can.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import watermarks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees, references
from records import access, clock, errors
from records.json import Resource

# Less than the shortest overlap: an identifier that is added a little later finds the order in a page that is read again
KEPT_FOR = timedelta(minutes=5)
MOST = 10_000
# So many names show a person that its organisations can't be read there; more would only bury them
MOST_WAITING = 20
NAMED = frozenset({"Organization", *addressees.BELONGING})
OPEN = (Inbox.State.PENDING, Inbox.State.WAITING, Inbox.State.QUARANTINED)
Target = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Told:
    """What is kept of an addressee that was read: its identifiers, or the partner's id of the Organization that it belongs to."""

    identifiers: list[addressees.Identifier]
    house: str = ""


_read: dict[tuple[int, str, Target], tuple[datetime, _Told]] = {}


def ours(partner: Partner, server: Server, page: Sequence[Resource]) -> frozenset[Target]:
    """(type, id) of those that orders on a page are addressed to, that are ours or belong to what is ours, and are not linked yet.

    Raises what says that the partner can't be asked now; one that can't be read is none of ours until it can.
    """
    named: dict[Target, list[datetime | None]] = {}
    for each in page:
        for target in _named(partner, each):
            named.setdefault(target, []).append(inbox.last_updated(each))
    unknown = named.keys() - _linked(partner, named).keys()
    return frozenset(target for target in sorted(unknown) if _is_ours(partner, server, target, named[target]))


def heard(partner: Partner, addressee: Resource, item: Inbox) -> bool:
    """An addressee that could not be read can be: if it may be ours, read the orders again that named it.

    False while somebody reads them; then this is to be said once more.
    """
    if item.last_updated is None or not is_awaited(item):
        return True
    may_be_ours = bool(addressees.house(addressee)) or addressees.is_ours(addressees.identifiers(addressee))
    return not may_be_ours or watermarks.go_back(partner, addressees.ADDRESSED, item.last_updated)


def is_awaited(item: Inbox) -> bool:
    """Whether it is the name of somebody whom orders are addressed to."""
    return item.type in NAMED and not item.version_id and item.last_updated is not None


def _named(partner: Partner, order: Resource) -> set[Target]:
    targets = references.targets(addressees.addressed(order), partner.base_url)
    return {(type_, id_) for type_, id_ in targets if type_ in NAMED and references.is_id(id_)}


def _linked(partner: Partner, named: Iterable[Target]) -> dict[Target, str]:
    """Those of these that are linked, with our id."""
    wanted = set(named)
    if not wanted:
        return {}
    rows = Link.objects.filter(partner=partner, type__in=NAMED, remote_id__in={id_ for _type, id_ in wanted})
    found = rows.values_list("type", "remote_id", "local_id")
    return {(type_, str(id_)): local for type_, id_, local in found if (type_, id_) in wanted}


def _is_ours(partner: Partner, server: Server, target: Target, named_at: Sequence[datetime | None]) -> bool:
    told = _told(partner, server, target, named_at)
    if not told.house:
        return addressees.is_ours(told.identifiers)
    house = ("Organization", told.house)
    known = _linked(partner, [house]).get(house)
    return access.is_tenant(known) if known else _is_ours(partner, server, house, named_at)


def _told(partner: Partner, server: Server, target: Target, named_at: Sequence[datetime | None]) -> _Told:
    key, now = (partner.pk, partner.base_url, target), clock.now()
    seen_at, known = _read.get(key, (None, _Told([])))
    if seen_at is not None and seen_at <= now < seen_at + KEPT_FOR:
        return known
    try:
        resource = server.read(*target).resource or {}
    except AWAY:
        raise
    except errors.BatonError as error:
        _wait_for(partner, target, error, named_at)
        return _Told([])
    if len(_read) >= MOST:
        _read.clear()
    houses = references.targets(addressees.house(resource), partner.base_url)
    house = next((id_ for type_, id_ in houses if type_ == "Organization" and references.is_id(id_)), "")
    found = _Told(addressees.identifiers(resource), house)
    _read[key] = (now, found)
    return found


def _wait_for(partner: Partner, target: Target, error: errors.BatonError, named_at: Iterable[datetime | None]) -> None:
    """Its name waits; not remembered in the process, since another one may read the orders again."""
    waiting = Inbox.objects.filter(partner=partner, type__in=NAMED, state__in=OPEN).exclude(last_updated=None)
    if waiting.filter(version_id="").count() < MOST_WAITING:
        now = clock.now()
        inbox.put_name(partner, *target, error, since=min((at or now for at in named_at), default=now))
