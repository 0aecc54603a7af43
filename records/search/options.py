"""The parameters that shape a result and filter nothing: ``_sort``, ``_count``, ``_total``, ``_summary``, the page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from django.utils.translation import gettext as _

from records.errors import Issue, Malformed
from records.params import Date
from records.rows import ResourceRow
from records.search.compiler import Given

Total = Literal["none", "estimate", "accurate"]
DEFAULT_COUNT, MAX_COUNT = 50, 1000
PAGE = "_page"
NAMES = {"_sort", "_count", "_total", "_summary", "_elements", "_format", "_pretty", PAGE}


@dataclass(frozen=True, slots=True)
class Sort:
    """One column to order by, the id breaking ties in the same direction; rows without the value come last."""

    column: str
    descending: bool
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class Options:
    """How the caller wants the result."""

    sort: Sort
    count: int
    total: Total
    page: str
    elements: tuple[str, ...]


def divide(params: Sequence[Given]) -> tuple[list[Given], dict[str, str]]:
    """Filters on one side, result parameters on the other; raise `Malformed` when one of the latter is repeated."""
    shaping = [(name, value) for name, value in params if name in NAMES]
    if len({name for name, _value in shaping}) < len(shaping):
        raise Malformed(_("A result parameter can be given once only."))
    return [given for given in params if given[0] not in NAMES], dict(shaping)


def read(row: type[ResourceRow], shaping: dict[str, str], recency: str, filters: Sequence[Given]) -> Options:
    """Check the result parameters; raise `Malformed` naming the first that is wrong.

    ``recency`` is the column that ``_lastUpdated`` orders by for this caller (`records.access.recency`). Where a filter
    on the date of the sort lets only rows with a date pass, the order needs no room for the others (and has an index).
    """
    count = _count(shaping.get("_count", str(DEFAULT_COUNT)))
    if _one_of(shaping, "_summary", ("false", "count"), "false") == "count":
        count = 0
    total = _one_of(shaping, "_total", ("none", "estimate", "accurate"), "none")
    elements = tuple(name for name in shaping.get("_elements", "").split(",") if name)
    return Options(
        _sort(row, shaping.get("_sort", "-_lastUpdated"), recency, {name for name, _value in filters}),
        count,
        cast("Total", "accurate" if count == 0 and total == "none" else total),
        shaping.get(PAGE, ""),
        elements,
    )


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise _bad("_count", _("takes a whole number, at most 1,000."))
    return min(int(text), MAX_COUNT)


def _sort(row: type[ResourceRow], text: str, recency: str, present: set[str]) -> Sort:
    descending, name = text.startswith("-"), text.removeprefix("-")
    param = row.search_params.get(name)
    if name == "_id":
        return Sort("id", descending, is_nullable=False)
    if not isinstance(param, Date):
        raise _bad(
            "_sort", _("takes one of _id, _lastUpdated or a date parameter of this type, with - for descending.")
        )
    if param.is_built_in:
        return Sort(recency, descending, is_nullable=False)
    return Sort(param.low, descending, is_nullable=name not in present)


def _one_of(shaping: dict[str, str], name: str, offered: tuple[str, ...], default: str) -> str:
    given = shaping.get(name, default)
    if given not in offered:
        raise _bad(name, _("takes one of %(offered)s.") % {"offered": ", ".join(offered)})
    return given


def _bad(name: str, text: str) -> Malformed:
    return Malformed(f"{name} {text}", Issue(f"{name} {text}", code="value"))
