"""Our version and the partner's of one linked resource, element by element, in the partner's references and words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import conflicts, sending
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees, references
from records import errors, json, store
from records.access import Actor
from records.json import Resource
from referrals import intake

_NOTHING = object()
_SERVERS = frozenset({"id", "meta", "resourceType"})


@dataclass(frozen=True, slots=True)
class Row:
    """One element that differs, each side as JSON text (empty where it has none); ``is_clash``: a person must decide."""

    element: str
    ours: str
    theirs: str
    is_clash: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """``version`` and ``local`` are our resource as it is kept; ``seen`` the fingerprint of each value of theirs."""

    version: int
    local: str
    rows: tuple[Row, ...]
    seen: Mapping[str, str]


def compare(link: Link) -> Comparison:
    """What differs between what we would send and what the partner had when we last saw it."""
    stored = store.read(link.type, link.local_id)
    ours = _would_send(link, json.loads(stored.body))
    theirs = newest_of_theirs(link)
    merged = conflicts.merge(_base(link), ours, theirs, sending.side_of(link)) if theirs else None
    clashes = set(merged.clashes) if merged else set[str]()
    names = [name for name in dict.fromkeys([*ours, *(theirs or {})]) if name not in _SERVERS]
    rows = [
        Row(name, _text(ours.get(name, _NOTHING)), _text((theirs or {}).get(name, _NOTHING)), name in clashes)
        for name in names
        if not conflicts.same(ours.get(name), (theirs or {}).get(name))
    ]
    seen = {name: conflicts.fingerprint((theirs or {}).get(name)) for name in names}
    return Comparison(stored.version, stored.body, tuple(rows), seen)


def decisions(link: Link, comparison: Comparison, choices: Mapping[str, str]) -> dict[str, list[str]]:
    """What a link keeps of a person's choices: see `Link.decisions`.

    Of a Task our value is kept too: once theirs has been heard, it is theirs that our own Task says.
    """
    rows = {row.element: row.ours for row in comparison.rows}
    kept = {name: [rows[name]] for name, side in choices.items() if link.type == "Task" and side == "ours"}
    return {name: [side, comparison.seen[name], *kept.get(name, [])] for name, side in choices.items() if name in rows}


def newest_of_theirs(link: Link) -> Resource | None:
    """The partner's version that we saw last: it may not have been applied yet."""
    rows = Inbox.objects.filter(partner=link.partner_id, type=link.type, remote_id=link.remote_id)
    newest = rows.order_by("last_updated", "pk").last() if link.remote_id else None
    text = link.base
    if newest is not None and (link.remote_last_updated is None or _is_newer(newest, link)):
        text = newest.body
    found: Resource | None = json.loads(text) if text else None
    return found


def _is_newer(item: Inbox, link: Link) -> bool:
    at = link.remote_last_updated
    if inbox.is_before(item.version_id, link.remote_version):
        return False
    return item.last_updated is not None and at is not None and item.last_updated >= at


def take_over(link: Link, elements: Iterable[str], actor: Actor) -> None:
    """Put these elements of theirs into our resource, in our references."""
    theirs = inward(link.partner, newest_of_theirs(link) or {})
    body = store.get(link.type, link.local_id)
    for name in elements:
        body.pop(name, None)
    intake.receive(body | {name: theirs[name] for name in elements if name in theirs}, actor)


def inward(partner: Partner, body: Resource) -> Resource:
    """A partner's resource in our references, as far as we hold what it refers to."""
    targets = references.pointed(body, partner.base_url)
    rows = Link.objects.filter(partner=partner, remote_id__in={id_ for _type, id_ in targets})
    known = {(type_, id_): local for type_, id_, local in rows.values_list("type", "remote_id", "local_id")}
    translated = references.inward(
        body, lambda type_, id_: known.get((type_, id_)), settings.BATON_BASE_URL, partner.base_url
    )
    return addressees.with_references(translated)


def _would_send(link: Link, held: Resource) -> Resource:
    """As it would be sent; as it is kept where something stands in the way of that."""
    try:
        return sending.compose(link)[1]
    except errors.BatonError:
        return held


def _base(link: Link) -> Resource | None:
    found: Resource | None = json.loads(link.base) if link.base else None
    return found


def _text(value: Any) -> str:
    return "" if value is _NOTHING else json.dumps(value)
