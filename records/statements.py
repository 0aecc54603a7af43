"""The SQL of `records.store`: few statements whatever the number of resources, nothing but parameters in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from django.db import connection
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from records.errors import Conflict
from records.json import Resource
from records.models import Audience, StringIndex, Version
from records.types import OtherResource, row_class


@dataclass(frozen=True, slots=True)
class Found:
    """A row as it was found."""

    version: int
    last_updated: datetime
    deleted: bool
    hash: bytes
    body: str


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it is to be written; ``resource`` is the content that the columns are filled from, None if deleted."""

    id: str
    version: int
    last_updated: datetime
    deleted: bool
    hash: bytes
    body: str
    resource: Resource | None


def lock(type_name: str, ids: Sequence[str]) -> dict[str, Found]:
    """Lock the rows in the order of their ids (so that two writers never wait for each other); what is new is absent."""
    return _find(type_name, ids, " ORDER BY id FOR UPDATE")


def read(type_name: str, resource_id: str) -> Found | None:
    """One row, a deleted one too."""
    return read_many(type_name, [resource_id]).get(resource_id)


def read_many(type_name: str, ids: Sequence[str]) -> dict[str, Found]:
    """Those rows that there are, by id, deleted ones too."""
    return _find(type_name, ids)


def _find(type_name: str, ids: Sequence[str], suffix: str = "") -> dict[str, Found]:
    with connection.cursor() as cursor:
        cursor.execute(_select(type_name) + suffix, [type_name, list(ids)] if _is_shared(type_name) else [list(ids)])
        rows = cursor.fetchall()
    return {key: Found(number, at, gone, bytes(digest), body) for key, number, at, gone, digest, body in rows}


@cache
def _select(type_name: str) -> str:
    of_type = "type = %s AND " if _is_shared(type_name) else ""
    columns = "id, version, last_updated, deleted, hash, body"
    return f'SELECT {columns} FROM "{_table(type_name)}" WHERE {of_type}id = ANY(%s)'  # noqa: S608


def _is_shared(type_name: str) -> bool:
    """Whether the type shares the table of all that we declare nothing for."""
    return row_class(type_name) is OtherResource


def _table(type_name: str) -> str:
    return row_class(type_name)._meta.db_table


def find_by_identifiers(
    questions: Iterable[tuple[str, str]], held: Iterable[tuple[str, str]] = ()
) -> dict[tuple[str, str], list[str]]:
    """(type, token such as "system|value") → the ids that carry it, one statement per type; what leads nowhere is absent.

    ``held`` are asked too, and locked until the transaction ends: whoever asks to hold the same waits for it.
    """
    found: dict[tuple[str, str], list[str]] = {}
    kept = set(held)
    if kept:
        hold([f"{kind}?identifier={word}" for kind, word in kept])
    wanted = {*questions, *kept}
    for type_name in sorted({kind for kind, _word in wanted}):
        words = [word for kind, word in wanted if kind == type_name]
        rows = row_class(type_name).rows(type_name).filter(identifier__overlap=words, deleted=False)
        for resource_id, identifiers in rows.values_list("id", "identifier"):
            for word in set(words).intersection(identifiers):
                found.setdefault((type_name, word), []).append(resource_id)
    return found


def naming(reference: str, columns: tuple[tuple[str, str], ...]) -> list[tuple[Any, ...]]:
    """What names that reference in these lists: type, id, version, time and body, and the version's actor and organisation."""
    with connection.cursor() as cursor:
        cursor.execute(_naming(columns), {"reference": [reference]})
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


@cache
def _naming(columns: tuple[tuple[str, str], ...]) -> str:
    return " UNION ALL ".join(
        f"SELECT said.type, row.id, row.version, row.last_updated, row.body, said.actor, said.organization"  # noqa: S608
        f' FROM "{_table(type_name)}" AS row JOIN "{Version._meta.db_table}" AS said'
        f" ON said.type = '{type_name}' AND said.resource_id = row.id AND said.version = row.version"
        f' WHERE row."{column}" @> %(reference)s::text[] AND NOT row.deleted'
        for type_name, column in columns
    )


def hold(words: Iterable[str], *, shared: bool = False) -> None:
    """Take a lock on each word until the transaction ends, in one order for everybody; several may share one."""
    lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {lock}(key) FROM"  # noqa: S608 (one of two names of ours)
            " (SELECT DISTINCT hashtextextended(word, 0) AS key FROM unnest(%s::text[]) AS word ORDER BY key) AS keys",
            [list(words)],
        )


def append_versions(type_name: str, records: Sequence[Record], actor: str, organization: str) -> None:
    """Append one version each, by the actor for that organisation; `Conflict` if somebody else has just created it."""
    values = [
        (type_name, row.id, row.version, row.last_updated, actor, organization, row.deleted, row.body)
        for row in records
    ]
    columns = ("type", "resource_id", "version", "at", "actor", "organization", "deleted", "body")
    if _insert(Version._meta.db_table, columns, values, "ON CONFLICT DO NOTHING") != len(values):
        raise Conflict(_("Somebody else has created this resource at the same moment."))


def upsert(type_name: str, records: Sequence[Record]) -> None:
    """Write the current rows with all their search columns."""
    row_type = row_class(type_name)
    columns = _columns(type_name)
    fixed = {"type": type_name} if _is_shared(type_name) else {}
    values = []
    for row in records:
        found = row_type.columns_of(row.resource) if row.resource is not None else {"patient": ""}
        found |= {name: getattr(row, name) for name in _FIXED} | fixed
        values.append(tuple(found.get(column) for column in columns))
    _insert(_table(type_name), columns, values, _on_conflict(type_name))


_FIXED = ("id", "version", "last_updated", "deleted", "hash", "body")


@cache
def _columns(type_name: str) -> tuple[str, ...]:
    return tuple(str(field.column) for field in row_class(type_name)._meta.concrete_fields)


@cache
def _on_conflict(type_name: str) -> str:
    keys = ("type", "id") if _is_shared(type_name) else ("id",)
    updates = ", ".join(f'"{column}" = EXCLUDED."{column}"' for column in _columns(type_name) if column not in keys)
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}"


def upsert_rows(model: type[Model], rows: Sequence[Model], updated: Sequence[str]) -> None:
    """Write rows of one model in one statement; of those that are there already the fields ``updated``."""
    columns, suffix = _upsert_of(model, tuple(updated))
    _insert(model._meta.db_table, columns, [_values(row) for row in rows], suffix)


def insert_rows(model: type[Model], rows: Sequence[Model], suffix: str = "") -> None:
    """Write new rows of one model, whose key the database counts, in one statement; ``suffix`` is what ends it."""
    key = model._meta.pk.attname
    columns = [str(field.column) for field in model._meta.concrete_fields if field.attname != key]
    values = [_values(row, but=key) for row in rows]
    _insert(model._meta.db_table, columns, values, suffix)


@cache
def _upsert_of(model: type[Model], updated: tuple[str, ...]) -> tuple[list[str], str]:
    fields = model._meta.concrete_fields
    changes = ", ".join(f'"{each.column}" = EXCLUDED."{each.column}"' for each in fields if each.name in updated)
    suffix = f'ON CONFLICT ("{model._meta.pk.column}") DO UPDATE SET {changes}'
    return [str(field.column) for field in fields], suffix


def _values(row: Model, but: str = "") -> tuple[Any, ...]:
    return tuple(getattr(row, field.attname) for field in row._meta.concrete_fields if field.attname != but)


def _insert(table: str, columns: Sequence[str], values: Sequence[tuple[Any, ...]], suffix: str) -> int:
    """One INSERT of all rows; gives how many were written. Table and column names are our own models'.

    The rows go as one JSON text, whose members PostgreSQL reads by the types of the columns: what takes a few microseconds
    a value to be put into SQL, and to be read as such, takes a tenth of that. Numbers that JSON has not go as text.
    """
    rows = orjson.dumps(
        [dict(zip(columns, line, strict=True)) for line in values],
        default=_plain,
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )
    with connection.cursor() as cursor:
        cursor.execute(_insert_of(table, tuple(columns), suffix), [rows.decode()])
        return int(cursor.rowcount)


@cache
def _insert_of(table: str, columns: tuple[str, ...], suffix: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    given = f'json_populate_recordset(NULL::"{table}", %s::json)'
    return f'INSERT INTO "{table}" ({names}) SELECT {names} FROM {given} {suffix}'  # noqa: S608


def _plain(value: object) -> str:
    """What JSON has no value for, as PostgreSQL reads it: a day, an instant with its whole offset, bytes, a decimal, a translated text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, (Decimal, Promise)):
        return str(value)
    raise TypeError(type(value).__name__)


def index_strings(type_name: str, resources: Sequence[tuple[str, Resource | None, Resource | None]]) -> None:
    """Bring the string index from each previous body to the new one; nothing where no text has changed."""
    row_type = row_class(type_name)
    stale: list[str] = []
    fresh: list[tuple[str, ...]] = []
    for resource_id, body, previous in resources:
        now = row_type.strings_of(body) if body is not None else set()
        before = row_type.strings_of(previous) if previous is not None else set()
        if now != before:
            stale.extend([resource_id] if before else [])
            fresh.extend((type_name, *entry, resource_id) for entry in sorted(now))
    if stale:
        StringIndex.objects.filter(type=type_name, row__in=stale).delete()
    if fresh:
        _insert(StringIndex._meta.db_table, ("type", "parameter", "value", "written", "row"), fresh, "")


def note_audience(type_name: str, ids: Sequence[str], organizations: Sequence[str], at: datetime) -> None:
    """Move what the audience index knows of these resources to ``at``, and add who may see them from now on."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_AUDIENCE, [at, type_name, list(ids), type_name, at, list(ids), list(organizations)])


_NOTE_AUDIENCE = f"""
WITH moved AS (UPDATE {Audience._meta.db_table} SET last_updated = %s WHERE type = %s AND row = ANY(%s))
INSERT INTO {Audience._meta.db_table} (type, row, organization, last_updated)
SELECT %s, r, o, %s FROM unnest(%s::text[]) AS r, unnest(%s::text[]) AS o
ON CONFLICT DO NOTHING
"""  # noqa: S608 (a table of ours)


def withdraw(type_name: str, ids: Sequence[str], organizations: Iterable[str]) -> None:
    """Take an audience from resources."""
    Audience.objects.filter(type=type_name, row__in=ids, organization__in=list(organizations)).delete()


def share(type_name: str, ids: Sequence[str], organizations: Sequence[str]) -> None:
    """Add an audience to resources that exist, with the time of their last change."""
    row_type = row_class(type_name)
    rows = row_type.rows(type_name).filter(id__in=ids).values_list("id", "last_updated")
    values = [(type_name, key, organization, at) for key, at in rows for organization in organizations]
    if values:
        columns = ("type", "row", "organization", "last_updated")
        _insert(Audience._meta.db_table, columns, values, "ON CONFLICT DO NOTHING")
