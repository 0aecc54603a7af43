"""The one write path of resources, and the reads of the inner rooms (no access check here; see `records.access`).

A write of several resources of one type is four statements: lock the rows, append the versions, upsert the rows, note
the audience; types with text parameters add two when their texts changed. The text that is stored is the text that
every read hands out. ``meta.versionId`` and ``meta.lastUpdated`` are ours, all else is the sender's (law 9).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import orjson
from django.db import connection, transaction
from django.utils.translation import gettext as _

from records import bundles, clock, reactions, statements, validation
from records.access import Actor
from records.errors import Conflict, Gone, Incorrect, Issue, NotFound, Stale
from records.json import Resource, dumps, loads
from records.models import Version
from records.parse import parse
from records.types import row_class

__all__ = [
    "Stored",
    "Written",
    "delete",
    "find_by_identifier",
    "get",
    "parse",
    "put_bundle",
    "read",
    "read_many",
    "rewrite",
    "share",
    "share_many",
    "version",
    "write",
    "write_many",
]


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as it is kept; ``last_updated`` in UTC, ``body`` is JSON text."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: str


@dataclass(frozen=True, slots=True)
class Told:
    """A resource as it is, and who wrote it so: the actor's id, and the root Organization that they did it for."""

    stored: Stored
    actor: str
    organization: str


@dataclass(frozen=True, slots=True)
class Written(Stored):
    """What a write left behind. ``changed`` is False when the content was there already: nothing was written."""

    created: bool
    changed: bool


def write(
    body: Resource,
    *,
    actor: Actor,
    audience: Iterable[str] = (),
    if_match: int | None = None,
    create: bool = False,
    validate: bool = True,
) -> Written:
    """Create or update one resource (FHIR R4 §3.1.0.4); an id is made where it has none.

    ``audience`` are ids of root Organizations that may see it from now on (they add up). ``if_match`` is the version
    that the caller has seen (`Stale` if it isn't current); ``create`` refuses an id that is taken (`Conflict`).
    """
    if validate:
        validation.check(body, lenient=actor.kind == "partner")
    return _write([body], actor, audience, if_match=if_match, create=create)[0]


def write_many(
    bodies: Sequence[Resource], *, actor: Actor, audience: Iterable[str] = (), validate: bool = False
) -> list[Written]:
    """Write several resources of one type (each id once) in the statements of one; the order is kept."""
    if validate:
        for body in bodies:
            validation.check(body, lenient=actor.kind == "partner")
    return _write(bodies, actor, audience) if bodies else []


def put_bundle(bundle: Resource, *, actor: Actor, audience: Iterable[str] = ()) -> list[Written]:
    """Take a Bundle in, in one transaction: a document, message or query as it is, else the resources of its entries.

    Gives what was written, in the order of the types' first entries; an entry whose ``ifNoneExist`` is answered by a
    resource that is here is not among them.
    """
    if bundles.is_kept_whole(bundle):
        return [write(bundle, actor=actor, audience=audience)]
    audience = list(audience)
    with _transaction():
        waiting = bundles.resources(bundle, statements.find_by_identifiers)
        written = []
        while waiting:
            batch, waiting = _one_of_each(waiting)
            for type_name in dict.fromkeys(body["resourceType"] for body in batch):
                of_type = [body for body in batch if body["resourceType"] == type_name]
                written += write_many(of_type, actor=actor, audience=audience, validate=True)
        return written


def _one_of_each(bodies: list[Resource]) -> tuple[list[Resource], list[Resource]]:
    """The first body of each resource, and the others (a history holds several versions of one)."""
    first: dict[tuple[str, str], Resource] = {}
    rest = []
    for body in bodies:
        key = (body["resourceType"], body["id"])
        if key in first:
            rest.append(body)
        else:
            first[key] = body
    return list(first.values()), rest


def rewrite(
    type_name: str,
    ids: Sequence[str],
    make: Callable[[str, Resource | None], Resource],
    *,
    actor: Actor,
    audience: Iterable[str] = (),
) -> list[Written]:
    """Write what ``make`` gives for each id and its present content (None: there is none), which is locked before.

    The same as reading and `write_many`, in one statement less.
    """
    with _transaction():
        locked = statements.lock(type_name, ids)
        present = {key: loads(row.body) for key, row in locked.items() if row.body}
        bodies = [make(key, present.get(key)) for key in ids]
        drafts = [_Draft(type_name, body["id"], body, locked.get(body["id"]), _hash(body)) for body in bodies]
        return _store(drafts, actor, audience) if drafts else []


def read(type_name: str, resource_id: str) -> Stored:
    """The current version; `NotFound`, or `Gone` after a deletion."""
    row = statements.read(type_name, resource_id)
    if row is None:
        raise NotFound(_("There is no such resource."))
    if row.deleted:
        raise Gone(_("This resource was deleted."))
    return Stored(type_name, resource_id, row.version, row.last_updated, row.body)


def read_many(type_name: str, ids: Sequence[str]) -> dict[str, Stored]:
    """The current versions of those that are there, by id, in one statement."""
    return {
        key: Stored(type_name, key, row.version, row.last_updated, row.body)
        for key, row in statements.read_many(type_name, ids).items()
        if not row.deleted
    }


def get(type_name: str, resource_id: str) -> Resource:
    """The current version, parsed; numbers are lexemes (see `records.json`)."""
    body: Resource = loads(read(type_name, resource_id).body)
    return body


def version(type_name: str, resource_id: str, number: int) -> Stored:
    """One version of the past or the present; `NotFound`, or `Gone` where that version is the deletion."""
    row = Version.objects.filter(type=type_name, resource_id=resource_id, version=number).first()
    if row is None:
        raise NotFound(_("There is no such version."))
    if row.deleted:
        raise Gone(_("This resource was deleted."))
    return Stored(type_name, resource_id, row.version, row.at, row.body)


def author(type_name: str, resource_id: str) -> str:
    """The id of the actor who wrote the first version, deleted or not; empty where there is none."""
    versions = Version.objects.filter(type=type_name, resource_id=resource_id).order_by("version")
    return versions.values_list("actor", flat=True).first() or ""


def naming(reference: str, columns: Sequence[tuple[str, str]]) -> list[Told]:
    """What names that reference in one of these (type, list of references), each with who said so last; deleted ones left out."""
    return [
        Told(Stored(type_, key, number, at, body), actor, organization)
        for type_, key, number, at, body, actor, organization in statements.naming(reference, tuple(columns))
    ]


def find_by_identifier(type_name: str, system: str, value: str) -> list[Stored]:
    """All that carry exactly this system and value, oldest change first, deleted ones left out."""
    rows = row_class(type_name).rows(type_name).filter(identifier__contains=[f"{system}|{value}"], deleted=False)
    return [
        Stored(type_name, row.id, row.version, row.last_updated, row.body)
        for row in rows.order_by("last_updated", "id")
    ]


def delete(type_name: str, resource_id: str, *, actor: Actor, if_match: int | None = None) -> Written:
    """Delete: a version without a body; its history stays. Deleting again changes nothing."""
    with _transaction():
        before = statements.lock(type_name, [resource_id]).get(resource_id)
        if before is None:
            raise NotFound(_("There is no such resource."))
        if if_match is not None and if_match != before.version:
            raise _stale()
        if before.deleted:
            return Written(
                type_name, resource_id, before.version, before.last_updated, "", created=False, changed=False
            )
        draft = _Draft(type_name, resource_id, None, before, b"")
        return _store([draft], actor, ())[0]


def share(type_name: str, resource_id: str, organizations: Iterable[str]) -> None:
    """Let these organisations see a resource, besides those that already may."""
    share_many([(type_name, resource_id)], organizations)


def share_many(resources: Sequence[tuple[str, str]], organizations: Iterable[str]) -> None:
    """The same for several resources, in one statement per type. What doesn't exist is left out."""
    wanted = sorted(set(organizations) - {""})
    for type_name in sorted({kind for kind, _id in resources}) if wanted else ():
        statements.share(type_name, [found for kind, found in resources if kind == type_name], wanted)


def withdraw_many(resources: Sequence[tuple[str, str]], organizations: Iterable[str]) -> None:
    """Take resources out of the sight of these organisations again; the caller's journal says why."""
    for type_name in sorted({kind for kind, _id in resources}):
        statements.withdraw(type_name, [found for kind, found in resources if kind == type_name], organizations)


@dataclass(slots=True)
class _Draft:
    """One resource on its way in; ``body`` is None for a deletion."""

    type: str
    id: str
    body: Resource | None
    before: statements.Found | None
    hash: bytes

    @property
    def is_unchanged(self) -> bool:
        return self.before is not None and not self.before.deleted and self.before.hash == self.hash

    @property
    def version(self) -> int:
        return self.before.version + 1 if self.before else 1


def _write(
    bodies: Sequence[Resource],
    actor: Actor,
    audience: Iterable[str],
    *,
    if_match: int | None = None,
    create: bool = False,
) -> list[Written]:
    with_ids = [_with_id(body) for body in bodies]
    type_name = with_ids[0]["resourceType"]
    if len({body["id"] for body in with_ids}) != len(with_ids) or any(
        body["resourceType"] != type_name for body in with_ids
    ):
        raise Incorrect(_("The resources written at once must be of one type, each only once."))
    with _transaction():
        locked = statements.lock(type_name, [body["id"] for body in with_ids])
        drafts = [_Draft(type_name, body["id"], body, locked.get(body["id"]), _hash(body)) for body in with_ids]
        for draft in drafts:
            _check_conditions(draft, if_match, create=create)
        return _store(drafts, actor, audience)


def _with_id(body: Resource) -> Resource:
    if not isinstance(body.get("meta", {}), dict):
        raise Incorrect(_("meta must be an object."), Issue(_("Not an object."), "Resource.meta", "structure"))
    return body if body.get("id") else {**body, "id": clock.new_id()}


def _check_conditions(draft: _Draft, if_match: int | None, *, create: bool) -> None:
    before = draft.before
    if create and before is not None:
        raise Conflict(_("A resource with this id exists already."))
    if if_match is not None and (before is None or if_match != before.version):
        raise _stale()


def _stale() -> Stale:
    return Stale(_("The resource has changed since the version that you name."))


def _hash(body: Resource) -> bytes:
    """Of the content apart from our two elements of meta, whatever the order of the keys."""
    meta = {key: value for key, value in body.get("meta", {}).items() if key not in _OURS}
    content = {**body, "meta": meta}
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


_OURS = ("versionId", "lastUpdated")


def _store(drafts: list[_Draft], actor: Actor, audience: Iterable[str]) -> list[Written]:
    now = clock.now().astimezone(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # an instant of FHIR JSON has milliseconds here
    type_name, organizations = drafts[0].type, sorted(set(audience) - {""})
    changed = [draft for draft in drafts if not draft.is_unchanged]
    written = {draft.id: _written(draft, now) for draft in drafts}
    if changed:
        with transaction.atomic(savepoint=False):
            changes = [_change(draft, actor, now) for draft in changed]
            records = [_record(draft, written[draft.id]) for draft in changed]
            statements.append_versions(type_name, records, actor.id, _wrote_for(actor, organizations))
            statements.upsert(type_name, records)
            statements.index_strings(
                type_name, [(d.id, d.body, c.previous) for d, c in zip(changed, changes, strict=True)]
            )
            statements.note_audience(type_name, [draft.id for draft in changed], organizations, now)
            reactions.announce(changes)
    unchanged = [draft.id for draft in drafts if draft.is_unchanged]
    if unchanged and organizations:
        statements.share(type_name, unchanged, organizations)
    return [written[draft.id] for draft in drafts]


def _wrote_for(actor: Actor, audience: Sequence[str]) -> str:
    """The organisation that answers for what is written: the actor's; of Baton's own writing the only one to see it."""
    return actor.organization or (audience[0] if len(audience) == 1 else "")


def _written(draft: _Draft, now: datetime) -> Written:
    before = draft.before
    if draft.is_unchanged and before is not None:
        return Written(
            draft.type, draft.id, before.version, before.last_updated, before.body, created=False, changed=False
        )
    text = "" if draft.body is None else _text(draft.body, draft.version, now)
    created = draft.body is not None and (before is None or before.deleted)
    return Written(draft.type, draft.id, draft.version, now, text, created=created, changed=True)


def _text(body: Resource, number: int, now: datetime) -> str:
    meta = {key: value for key, value in body.get("meta", {}).items() if key not in _OURS}
    stamp = {"versionId": str(number), "lastUpdated": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"}
    head = {"resourceType": body["resourceType"], "id": body["id"], "meta": {**stamp, **meta}}
    return dumps({**head, **{key: value for key, value in body.items() if key not in head}})


def _record(draft: _Draft, written: Written) -> statements.Record:
    return statements.Record(
        draft.id, written.version, written.last_updated, draft.body is None, draft.hash, written.body, draft.body
    )


def _change(draft: _Draft, actor: Actor, now: datetime) -> reactions.Change:
    before = draft.before
    previous: Resource | None = loads(before.body) if before and before.body else None
    body = draft.body
    columns_body = body if body is not None else previous
    patient = row_class(draft.type).patient_of(columns_body) if columns_body is not None else ""
    return reactions.Change(draft.type, draft.id, draft.version, body, previous, patient, actor, now)


@contextmanager
def _transaction() -> Iterator[None]:
    """One transaction, without a savepoint where there is one already: a check that refuses leaves it usable."""
    if connection.in_atomic_block:
        yield
    else:
        with transaction.atomic():
            yield
