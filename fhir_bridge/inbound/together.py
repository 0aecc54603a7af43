"""Items that only have to be kept, applied together: one transaction, and as many statements for one as for a hundred.

Which those are is said here as far as the exchange goes (new, or the next version of what follows the partner's; all that it
refers to is here), and by `referrals.intake.receive_together` as far as the loops go. Every other item is left for
`fhir_bridge.inbound.applying`, which takes it alone and says what is wrong with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.conf import settings
from django.db import transaction

from fhir_bridge.connecting import partners
from fhir_bridge.inbound import items
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound.pushing import release
from fhir_bridge.outbound.sending import Copy
from fhir_bridge.sharing import addressees, references, relevance
from fhir_bridge.sharing.routing import RANKS
from records import clock, statements, store
from records.json import Resource
from records.store import Written
from referrals import intake

MOST = 100
"""Items in one transaction: so long do other workers wait for the resources in it."""
FIRST = 1
"""The version that a new resource has."""
_COPIED = (
    *("remote_id", "remote_version", "remote_last_updated", "remote_hash", "base", "applied_last_updated"),
    *("wanted_version", "sent_version"),
)
Targets = Mapping[tuple[str, str], Link]


@dataclass(slots=True)
class _Item:
    """An item with its body, the (type, id) that it refers to at the partner, and its link, known or new."""

    row: Inbox
    body: Resource
    targets: set[tuple[str, str]]
    link: Link

    @property
    def key(self) -> tuple[str, str]:
        return self.row.type, self.row.remote_id


def apply(partner: Partner, pks: Sequence[int]) -> tuple[list[Inbox], set[int]]:
    """Apply those of these items that may go together; give them, settled, and the keys of those that others are at. No network."""
    rows = Inbox.objects.filter(pk__in=pks, partner__state=Partner.State.ACTIVE, type__in=intake.TOGETHER)
    fresh = rows.filter(state=Inbox.State.PENDING, error_category="", mend_loop="")
    by_type = sorted(fresh.order_by(*items.ORDER), key=lambda row: row.type)
    applied, busy = list[Inbox](), set[int]()
    for _type, found in groupby(by_type, key=lambda row: row.type):
        of_type = list(found)
        for start in range(0, len(of_type), MOST):
            some = of_type[start : start + MOST]
            done, free = _apply(partner, some)
            applied += done
            busy |= {row.pk for row in some} - free
    return applied, busy


def _apply(partner: Partner, rows: Sequence[Inbox]) -> tuple[list[Inbox], set[int]]:
    """In one transaction. Where anything is wrong with the whole, nothing is: each of those that are free is tried alone then."""
    free = set[int]()
    try:
        with transaction.atomic():
            free = _free(rows)
            parsed = [item for row in rows if row.pk in free and (item := _parsed(partner, row)) is not None]
            return _take(partner, _held(partner, parsed)), free
    except items.SPOILING:
        return [], free


def _free(rows: Sequence[Inbox]) -> set[int]:
    """Those that nobody else is at, locked."""
    open_ = Inbox.objects.select_for_update(skip_locked=True).filter(
        pk__in=[row.pk for row in rows], state=Inbox.State.PENDING
    )
    return set(open_.order_by("pk").values_list("pk", flat=True))


def _parsed(partner: Partner, row: Inbox) -> _Item | None:
    """None for what can't be read, or has no id, and for what says that it is ours."""
    try:
        body = store.parse(row.body.encode())
        if references.is_named_by_us(body, settings.BATON_BASE_URL) or not references.is_id(body.get("id")):
            return None
        link = Link(
            partner=partner,
            type=row.type,
            local_id=clock.new_id(),
            origin=Link.Origin.THEIRS,
            follows=True,
            rank=RANKS.get(row.type, 0),
            wanted_version=FIRST,
            sent_version=FIRST,
        )
        return _Item(row, body, references.pointed(body, partner.base_url), link)
    except items.SPOILING:
        return None


def _held(partner: Partner, parsed: Sequence[_Item]) -> list[_Item]:
    """Each resource once, the first of its versions, and its resource locked."""
    first: dict[tuple[str, str], _Item] = {}
    for item in parsed:
        first.setdefault(item.key, item)
    items.lock(partner, first)
    return list(first.values())


def _take(partner: Partner, held: Sequence[_Item]) -> list[Inbox]:
    if not held:
        return []
    ids = {id_ for item in held for _type, id_ in (*item.targets, item.key)}
    links = Link.objects.filter(partner=partner, remote_id__in=ids).defer("base")
    known: Targets = {(link.type, str(link.remote_id)): link for link in links}
    awaited = relevance.awaited(partner, [item.body for item in held])
    fit = [item for item in held if item.key not in awaited and _fits(item, known)]
    if not fit:
        return []
    bodies = [_translated(partner, item, known) for item in fit]
    new = [item.link for item in fit if item.key not in known]
    if new:
        statements.insert_rows(Link, new)  # before they are received: what that writes must find the links
    audience = [partner.tenant] if partner.tenant else []
    written = intake.receive_together(bodies, partners.actor(partner), audience=audience)
    unwritten = [link.local_id for link in new if link.local_id not in written]
    if unwritten:
        Link.objects.filter(partner=partner, type=new[0].type, local_id__in=unwritten).delete()
    done = [item for item in fit if item.link.local_id in written]
    _follow(partner, [item.link for item in done if item.key in known], written)
    items.close([item.row for item in done], Inbox.State.APPLIED)
    return [item.row for item in done]


def _follow(partner: Partner, links: Sequence[Link], written: Mapping[str, Written]) -> None:
    """Note the new version of what had been linked before."""
    for link in links:
        link.wanted_version = link.sent_version = written[link.local_id].version
    if links:
        statements.upsert_rows(Link, links, _COPIED)
        release(partner.pk)


def _fits(item: _Item, known: Targets) -> bool:
    """Whether nothing has to be asked or weighed for it; puts what its link says from now on into it."""
    if any(target[0] in items.TAKEN and target not in known for target in item.targets - {item.key}):
        return False
    link = known.get(item.key)
    if link is not None:
        is_next = item.row.last_updated is not None and item.row.last_updated == items.told_at(link, item.row)
        is_next = is_next and not items.is_late(link, item.row)
        if not (is_next and link.follows and link.state == Link.State.CLEAN):
            return False
        item.link = link
    item.link.applied_last_updated = item.row.last_updated
    Copy.of(item.body).onto(item.link)
    return True


def _translated(partner: Partner, item: _Item, known: Targets) -> Resource:
    """With our references, our id, and the partner's time."""

    def find(type_: str, id_: str) -> str | None:
        link = known.get((type_, id_))
        return link.local_id if link else None

    translated = references.inward(item.body, find, settings.BATON_BASE_URL, partner.base_url)
    body = addressees.with_references(translated)
    meta = {key: value for key, value in body.get("meta", {}).items() if key != "versionId"}
    if item.row.last_updated:
        meta["lastUpdated"] = item.row.last_updated.isoformat()
    return {**body, "id": item.link.local_id, "meta": meta}
