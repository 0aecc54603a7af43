"""What a partner has, as it came: put into the Inbox once per version, in full, before anything is done with it."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Least

from fhir_bridge.connecting.retries import Unreadable
from fhir_bridge.models import Inbox, Link, Partner
from records import clock, statements
from records.errors import BatonError
from records.json import Resource, dumps

LONGEST = 256
"""Characters of an id or a version that are kept; FHIR has 64. PostgreSQL indexes no more than 2,704 bytes."""
_VERSION = re.compile(rf"[\x21-\x7e]{{1,{LONGEST}}}")
_OF_THE_SERVER = ("versionId", "lastUpdated")


def put(partner: Partner, resources: Iterable[Resource]) -> int:
    """Store these versions as pending, those that are here already left alone; give how many are new."""
    now = clock.now()
    rows = {
        (row.type, row.remote_id, row.version_id, row.content_hash): row
        for row in (_row(partner, resource, now) for resource in resources)
    }
    known = Inbox.objects.filter(partner=partner, remote_id__in={key[1] for key in rows})
    for key in known.values_list("type", "remote_id", "version_id", "content_hash"):
        rows.pop(key, None)
    new = list(_without_repeated(partner, rows.values()))
    if new:
        statements.insert_rows(Inbox, new, "ON CONFLICT DO NOTHING")
    return len(new)


def _without_repeated(partner: Partner, rows: Collection[Inbox]) -> Iterator[Inbox]:
    """Without those that say what the newest version here said, of a server that numbers none: its instant may move with
    each reading. What came back after a write of ours is new.
    """
    unnumbered = {row.remote_id for row in rows if row.last_updated and row.version_id == _instant(row.last_updated)}
    newest: dict[tuple[str, str], Inbox] = {}
    written: dict[tuple[str, str], Link] = {}
    if unnumbered:
        kept = Inbox.objects.filter(partner=partner, remote_id__in=unnumbered).exclude(version_id="").defer("body")
        newest = {(row.type, row.remote_id): row for row in kept.order_by("pk")}
        links = Link.objects.filter(partner=partner, remote_id__in=unnumbered).defer("base")
        written = {(link.type, str(link.remote_id)): link for link in links}
    for row in rows:
        before, link = newest.get((row.type, row.remote_id)), written.get((row.type, row.remote_id))
        if row.remote_id not in unnumbered or before is None or not _says_the_same(row, before, link):
            yield row


def _says_the_same(row: Inbox, before: Inbox, link: Link | None) -> bool:
    if row.content_hash != before.content_hash or link is None or link.remote_hash == row.content_hash:
        return row.content_hash == before.content_hash
    seen_at = link.remote_last_updated
    return seen_at is None or before.last_updated is None or seen_at <= before.last_updated


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def put_current(partner: Partner, resources: Iterable[Resource]) -> int:
    """Store what the partner has now, as it differs from what we hold; give how many versions are to be applied.

    One that was applied before is applied once more: an older one of the same instant was applied after it.
    """
    found = list(resources)
    applied = Inbox.objects.filter(partner=partner, state=Inbox.State.APPLIED)
    again = Q(pk__in=[])
    for each in found:
        named = Q(type=each["resourceType"], remote_id=id_of(each), version_id=key_of(each))
        again |= named & Q(content_hash=content_hash(each))
    reopened = applied.filter(again).update(state=Inbox.State.PENDING, settled_at=None) if found else 0
    return reopened + put(partner, found)


@transaction.atomic
def put_name(partner: Partner, type_: str, remote_id: str, error: BatonError, *, since: datetime | None = None) -> None:
    """Keep the name of what can't be read now: it waits to be read, and becomes visible by its age.

    ``since`` (the partner's clock): from when what names it is to be read again then. What a person looks at already stays
    with that person.
    """
    name = {"resourceType": type_, "id": remote_id}
    put(partner, [name])
    known = Inbox.objects.filter(partner=partner, type=type_, remote_id=remote_id, version_id="")
    known = known.filter(content_hash=content_hash(name))
    if since is not None:
        known.update(last_updated=Least(Coalesce("last_updated", since), since))
    known.exclude(state__in=(Inbox.State.WAITING, Inbox.State.QUARANTINED)).update(
        state=Inbox.State.WAITING,
        received_at=clock.now(),
        settled_at=None,
        due_at=None,
        attempts=0,
        error_category=Unreadable.__name__,
        error_text=error.message,
    )


def _row(partner: Partner, resource: Resource, now: datetime) -> Inbox:
    return Inbox(
        partner=partner,
        type=resource["resourceType"],
        remote_id=id_of(resource),
        version_id=key_of(resource),
        content_hash=content_hash(resource),
        last_updated=last_updated(resource),
        body=text_of(resource),
        received_at=now,
    )


def text_of(resource: Resource) -> str:
    """The text that is kept: compact JSON, numbers as they came. What orjson refuses is escaped instead."""
    try:
        return dumps(resource)
    except orjson.JSONEncodeError:  # lone surrogates, or deeper than it goes: for the quarantine alone
        return ascii(resource)


def id_of(resource: Resource) -> str:
    """Its id, as far as it can be kept; empty without one."""
    return str(resource.get("id", ""))[:LONGEST]


def is_before(version: str, other: str) -> bool:
    """Whether both versions are numbered, and the first has the lower number."""
    numbers = [int(each) for each in (version, other) if each.isascii() and each.isdigit()]
    return len(numbers) == len((version, other)) and numbers[0] < numbers[1]


def version_of(resource: Resource) -> str:
    """`meta.versionId`, empty where the partner has none, or none that a header could name."""
    version = str(_meta(resource).get("versionId", ""))
    return version if _VERSION.fullmatch(version) else ""


def key_of(resource: Resource) -> str:
    """What tells its versions apart: the version, or where the partner numbers none, the instant of the change."""
    at = last_updated(resource)
    return version_of(resource) or (_instant(at) if at else "")


def last_updated(resource: Resource) -> datetime | None:
    """`meta.lastUpdated` with its time zone, None where there is none that can be read and kept.

    At both ends of time another zone is beyond them, and no row with such an instant could be read again.
    """
    try:
        instant = datetime.fromisoformat(str(_meta(resource).get("lastUpdated", "")))
    except ValueError:
        return None
    return instant if instant.tzinfo and MINYEAR < instant.year < MAXYEAR else None


def content_hash(resource: Resource) -> str:
    """SHA-256 of the content without what the server says about the version."""
    meta = {key: value for key, value in _meta(resource).items() if key not in _OF_THE_SERVER}
    return hashlib.sha256(text_of({**resource, "meta": meta}).encode()).hexdigest()


def _meta(resource: Resource) -> dict[str, Any]:
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}
