"""Orders that a partner addresses to an organisation of ours that it has never heard of from us: found by its identifiers.

The Organizations that such orders name, or to which the role or the service belongs that they name, are read, and forgotten but
for their identifiers, which are kept in this process for some minutes: of a hospital that shows all its orders, each other organisation is asked for now and then, not with each page.
Of one that can't be read the name waits in the Inbox, with the instant from which the orders are to be read again once it can.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import inquiries, watermarks
from fhir_bridge.models import Inbox, Inquiry, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees, references
from records import access, clock, errors
from records.json import Resource
from referrals.parties import root_of

# Less than the shortest overlap: an identifier that is added a little later finds the order in a page that is read again
KEPT_FOR = timedelta(minutes=5)
MOST = 10_000
# So many names show a person that its organisations can't be read there; more would only bury them
MOST_WAITING = 20
OPEN = (Inbox.State.PENDING, Inbox.State.WAITING, Inbox.State.QUARANTINED)
Target = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Told:
    """What is kept of an addressee that was read: its identifiers, or the partner's id of the Organization that it belongs to."""

    identifiers: list[addressees.Identifier]
    house: str = ""


_read: dict[tuple[int, str, Target], tuple[datetime, _Told]] = {}
_kept: dict[tuple[int, str, Target], datetime] = {}
"""Since when orders name whom this process has remembered already."""


def ours(partner: Partner, server: Server, page: Sequence[Resource]) -> frozenset[Target]:
    """(type, id) of those that orders on a page are addressed to, that are ours or belong to what is ours, and are not linked yet.

    Raises what says that the partner can't be asked now; one that can't be read is none of ours until it can.
    """
    named: dict[Target, list[datetime | None]] = {}
    for each in page:
        for target in _named(partner, each):
            named.setdefault(target, []).append(inbox.last_updated(each))
    linked = _linked(partner, named)
    found = frozenset(
        target for target in sorted(named.keys() - linked.keys()) if _is_ours(partner, server, target, named[target])
    )
    others = {target: at for target, at in named.items() if target not in found}
    _remember(partner, others | _alone(page), linked)
    return found


def look_again(partner: Partner, server: Server, inquiry: Inquiry) -> None:
    """Whether whom orders have named is ours by now; if so, read them again from the first that did.

    While somebody reads them it stays due.
    """
    target, since = (inquiry.type, inquiry.remote_id), inquiry.since or clock.now()
    if not _has_become_ours(partner, server, target, since):
        inquiries.again(inquiry)
    elif watermarks.go_back(partner, addressees.ADDRESSED, since):
        _kept.pop((partner.pk, partner.base_url, target), None)
        inquiry.delete()


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
    return item.type in inquiries.NAMED and not item.version_id and item.last_updated is not None


def _named(partner: Partner, order: Resource) -> set[Target]:
    targets = references.targets(addressees.addressed(order), partner.base_url)
    return {(type_, id_) for type_, id_ in targets if type_ in inquiries.NAMED and references.is_id(id_)}


def _linked(partner: Partner, named: Iterable[Target]) -> dict[Target, str]:
    """Those of these that are linked, with our id."""
    wanted = set(named)
    if not wanted:
        return {}
    rows = Link.objects.filter(partner=partner, type__in=inquiries.NAMED, remote_id__in={id_ for _type, id_ in wanted})
    found = rows.values_list("type", "remote_id", "local_id")
    return {(type_, str(id_)): local for type_, id_, local in found if (type_, id_) in wanted}


def _has_become_ours(partner: Partner, server: Server, target: Target, since: datetime) -> bool:
    if not target[0]:
        return addressees.is_one_of_ours([_pair_of(target)])
    linked = _linked(partner, [target])
    if linked:
        return _is_house_of_ours(target, linked)
    try:
        told = _learn(partner, server, target)
    except AWAY:
        raise
    except errors.BatonError:
        return False
    if told.house:
        _read.pop((partner.pk, partner.base_url, ("Organization", told.house)), None)
    return _is_ours(partner, server, target, [since])


def _is_house_of_ours(target: Target, linked: Mapping[Target, str]) -> bool:
    """Whether what is linked is an organisation of ours, or belongs to one."""
    local_id = linked.get(target)
    return bool(local_id) and access.is_tenant(root_of({"reference": f"{target[0]}/{local_id}"}))


def _alone(page: Sequence[Resource]) -> dict[Target, list[datetime | None]]:
    """Who is named by an identifier alone that nobody of ours bears."""
    found: dict[Target, list[datetime | None]] = {}
    for each in page:
        for pair in _named_alone(each):
            found.setdefault(("", "|".join(pair)), []).append(inbox.last_updated(each))
    return found


def _named_alone(order: Resource) -> list[addressees.Identifier]:
    """None for what can't be understood: it is quarantined for that (`relevance.relevant`)."""
    try:
        return addressees.named_alone(order)
    except (AttributeError, TypeError, ValueError):
        return []


def _remember(
    partner: Partner, named: Mapping[Target, Sequence[datetime | None]], linked: Mapping[Target, str]
) -> None:
    """Keep whom orders name and who is none of ours, once in this process; who could not be read waits in the Inbox instead."""
    now, new = clock.now(), dict[Target, datetime]()
    for target, at in named.items():
        key, first = (partner.pk, partner.base_url, target), min((each or now for each in at), default=now)
        is_known = target in linked or not target[0] or key in _read
        if is_known and (key not in _kept or first < _kept[key]):
            new[target] = _kept[key] = first
    if len(_kept) >= MOST:
        _kept.clear()
    others = {target: at for target, at in new.items() if not _is_known_as_ours(target, linked)}
    if others:
        inquiries.keep_addressees(partner, {each: (at, _names(partner, each)) for each, at in others.items()})


def _is_known_as_ours(target: Target, linked: Mapping[Target, str]) -> bool:
    if target in linked:
        return _is_house_of_ours(target, linked)
    return not target[0] and addressees.is_one_of_ours([_pair_of(target)])


def _names(partner: Partner, target: Target) -> Sequence[str]:
    """The identifiers that somebody has as far as it was read, or by which it was named alone."""
    if not target[0]:
        return [target[1]]
    _seen_at, told = _read.get((partner.pk, partner.base_url, target), (None, _Told([])))
    return inquiries.tokens(told.identifiers)


def _pair_of(target: Target) -> addressees.Identifier:
    """The identifier that stands for who is named by it alone."""
    system, _bar, value = target[1].partition("|")
    return system, value


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
        return _learn(partner, server, target)
    except AWAY:
        raise
    except errors.BatonError as error:
        _wait_for(partner, target, error, named_at)
        return _Told([])


def _learn(partner: Partner, server: Server, target: Target) -> _Told:
    """Read somebody, and keep what it says for a while. Raises what keeps it from being read."""
    resource = server.read(*target).resource or {}
    if len(_read) >= MOST:
        _read.clear()
    houses = references.targets(addressees.house(resource), partner.base_url)
    house = next((id_ for type_, id_ in houses if type_ == "Organization" and references.is_id(id_)), "")
    found = _Told(addressees.identifiers(resource), house)
    _read[partner.pk, partner.base_url, target] = (clock.now(), found)
    return found


def _wait_for(partner: Partner, target: Target, error: errors.BatonError, named_at: Iterable[datetime | None]) -> None:
    """Its name waits; not remembered in the process, since another one may read the orders again."""
    waiting = Inbox.objects.filter(partner=partner, type__in=inquiries.NAMED, state__in=OPEN).exclude(last_updated=None)
    if waiting.filter(version_id="").count() < MOST_WAITING:
        now = clock.now()
        inbox.put_name(partner, *target, error, since=min((at or now for at in named_at), default=now))
