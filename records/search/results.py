"""One page of a search, from what the caller may see."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from records import access
from records.access import Actor
from records.search import compiler, paging
from records.search.compiler import Given
from records.search.options import Options, divide, read
from records.search.paging import Place
from records.types import row_class

ESTIMATE_CAP = 1000


@dataclass(frozen=True, slots=True)
class Match:
    """One resource that was found; ``body`` is its stored text."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the matches, the key of the next page ("" at the end), the total if asked for.

    ``used`` are the parameters that were obeyed, without the page, and ``ignored`` the names of those that weren't.
    ``is_capped`` says that there are more than ``total``.
    """

    matches: list[Match]
    next: str
    total: int | None
    is_capped: bool
    used: tuple[Given, ...]
    ignored: tuple[str, ...]
    elements: tuple[str, ...]


def search(actor: Actor, type_name: str, params: Sequence[Given], *, strict: bool = False) -> Page:
    """Search one type as this actor: one statement for the page and one more for a total.

    Raise `Malformed` for a bad value or an edited page key, for unknown parameters when ``strict``, `Forbidden` for a
    type that the actor may not search.
    """
    compiler.guard(params)
    row = row_class(type_name)
    access.may(actor, type_name, "s")
    filters, shaping = divide(params)
    options = read(row, shaping, access.recency(actor, type_name), filters)
    ignored = compiler.unknown(row, filters)
    if ignored and strict:
        raise compiler.refusal(ignored)
    filters = [given for given in filters if given[0] not in ignored]
    rows = access.visible(actor, type_name).filter(compiler.compile(type_name, filters))
    query = json.dumps([type_name, actor.id, actor.organization, sorted(filters), shaping.get("_sort", "")])
    matches, following = _matches(rows, type_name, options, query)
    total, is_capped = _total(rows, options)
    used = (*filters, *((name, value) for name, value in shaping.items() if name != "_page"))
    return Page(matches, following, total, is_capped, used, tuple(ignored), options.elements)


def _matches(rows: "QuerySet[Any]", type_name: str, options: Options, query: str) -> tuple[list[Match], str]:
    """The rows of this page and the key of the next."""
    if options.count == 0:
        return [], ""
    sort = options.sort
    if options.page:
        rows = rows.filter(paging.after(paging.place(options.page, query, sort), sort))
    columns = ("id", "version", "last_updated", "body", sort.column)
    found = list(paging.ordered(rows, sort).values_list(*columns)[: options.count + 1])
    matches = [Match(type_name, *columns_of[:4]) for columns_of in found[: options.count]]
    if len(found) <= options.count:
        return matches, ""
    last = found[options.count - 1]
    return matches, paging.key(Place(last[4], last[0]), query)


def _total(rows: "QuerySet[Any]", options: Options) -> tuple[int | None, bool]:
    """How many there are, and whether that is only a floor."""
    if options.total == "none":
        return None, False
    if options.total == "accurate":
        return rows.count(), False
    counted = rows.values("pk")[: ESTIMATE_CAP + 1].count()
    return min(counted, ESTIMATE_CAP), counted > ESTIMATE_CAP
