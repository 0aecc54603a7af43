"""Keyset paging: a page begins after the last row of the one before, whose place is in an opaque key.

The key is encrypted and authenticated (Fernet), since a place may be a date of birth and stands in a URL; and it is
bound to its query and caller, so that a key that was edited or taken from elsewhere is refused.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.models import F, Func, OrderBy, Q, QuerySet, TextField, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext as _

from records.errors import Issue, Malformed
from records.search.options import Sort


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the value that the order goes by (None = the row has none) and the row's id."""

    value: datetime | str | None
    id: str


def key(place: Place, query: str) -> str:
    """The key of the page after this place; ``query`` is any text that tells query and caller."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    return _cipher().encrypt(json.dumps([_digest(query), value, place.id]).encode()).decode().rstrip("=")


def place(key: str, query: str, sort: Sort) -> Place:
    """Read a key back; raise `Malformed` for one that isn't ours or belongs to another query."""
    refused = Malformed(_("This page key is not valid for this search."), Issue("_page", code="value"))
    try:
        digest, value, row_id = json.loads(_cipher().decrypt(key + "=" * (-len(key) % 4)))
    except (InvalidToken, ValueError) as error:
        raise refused from error
    if digest != _digest(query):
        raise refused
    return Place(value if value is None or sort.column == "id" else datetime.fromisoformat(value), row_id)


def ordered(rows: "QuerySet[Any]", sort: Sort) -> "QuerySet[Any]":
    """In the order of the sort; rows without the value come last."""
    return rows.order_by(
        OrderBy(
            F(sort.column),
            descending=sort.descending,
            nulls_last=True if sort.is_nullable and sort.descending else None,
        ),
        OrderBy(F("id"), descending=sort.descending),
    )


def after(place: Place, sort: Sort) -> Q:
    """The condition of coming later than the place, as one row comparison (see DESIGN §9 on its cost)."""
    lookup = LessThan if sort.descending else GreaterThan
    if sort.column == "id":
        return Q(lookup(F("id"), Value(place.id)))
    if place.value is None:
        return Q(**{f"{sort.column}__isnull": True}) & Q(lookup(F("id"), Value(place.id)))
    reached = {f"{sort.column}__{'lte' if sort.descending else 'gte'}": place.value}  # what an index can use
    later = Q(lookup(_row(F(sort.column), F("id")), _row(Value(place.value), Value(place.id))), **reached)
    return later | Q(**{f"{sort.column}__isnull": True}) if sort.is_nullable else later


def _row(*parts: F | Value) -> Func:
    return Func(*parts, function="ROW", output_field=TextField())


def _digest(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def _cipher() -> Fernet:
    secret = hashlib.sha256(b"records.search.paging\n" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(secret))
