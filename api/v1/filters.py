"""Query parameters, from declarations that stand elsewhere: dataclasses of `referrals` and search parameters of `records`.

A parameter that nobody declared is refused and named; a filter that is silently ignored shows a wrong list.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin, get_type_hints

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from api.v1.cursors import DEFAULT_LIMIT, MAX_LIMIT
from records import search
from records.errors import Issue, Malformed
from records.types import row_class
from referrals.models import Loop
from referrals.plausible import validate_reach

MAX_KEY = 2**63 - 1
PAGE_PARAMETERS = ("after", "limit")
PAGING = [
    OpenApiParameter("after", str, description="The cursor `next` of the page before."),
    OpenApiParameter("limit", int, description=f"Rows in a page: {DEFAULT_LIMIT} by default, {MAX_LIMIT} at most."),
]


def filter_set(
    shape: type, *, without: Iterable[str] = (), words: Mapping[str, Iterable[str]] | None = None
) -> type[django_filters.FilterSet]:
    """A FilterSet with one filter for each field of a dataclass of filters, but those that are set for the caller.

    ``words`` are the only values of a field, where the annotation doesn't say them.
    """
    hints = get_type_hints(shape) | {name: Literal[tuple(known)] for name, known in (words or {}).items()}
    left_out = frozenset(without)
    filters = {
        field.name: _filter(hints[field.name]) for field in dataclasses.fields(shape) if field.name not in left_out
    }
    return type(f"{shape.__name__}FilterSet", (django_filters.FilterSet,), filters)


def _filter(hint: Any) -> django_filters.Filter:
    """The filter for one annotation; an empty word in a Literal means "any" and is no choice."""
    if get_origin(hint) is Literal:
        return django_filters.ChoiceFilter(choices=[(word, word) for word in get_args(hint) if word])
    if hint is int:
        return django_filters.NumberFilter(min_value=1, max_value=MAX_KEY, decimal_places=0)
    if hint is bool:
        return django_filters.BooleanFilter()
    if hint is datetime:
        return django_filters.IsoDateTimeFilter(validators=[validate_reach])
    return django_filters.CharFilter(max_length=200)


class SearchFilter(django_filters.CharFilter):
    """One FHIR search parameter, compiled by the same function as on ``/fhir/``."""

    def __init__(self, type_: str, name: str) -> None:
        super().__init__(field_name=name, max_length=200)
        self.type_, self.name = type_, name

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Narrow the rows to those that match."""
        return queryset.filter(search.compile(self.type_, [(self.name, value)])) if value else queryset


def search_filter_set(type_: str) -> type[django_filters.FilterSet]:
    """A FilterSet with one filter for each search parameter that a type declares; dashes become underscores."""
    names = row_class(type_).search_params
    filters = {name.replace("-", "_"): SearchFilter(type_, name) for name in names if not name.startswith("_")}
    return type(f"{type_}FilterSet", (django_filters.FilterSet,), filters)


def read(
    request: Request, kind: type[django_filters.FilterSet], queryset: QuerySet[Any] | None = None
) -> django_filters.FilterSet:
    """The filters of this request, checked; raise `Malformed` naming each parameter that is unknown or wrong.

    ``queryset`` is what the filters narrow; without it they are only read (`given`).
    """
    known = kind.base_filters
    unknown = [name for name in request.query_params if name not in known and name not in PAGE_PARAMETERS]
    if unknown:
        text = _("There is no such parameter; known are: %(known)s.") % {"known": ", ".join([*known, *PAGE_PARAMETERS])}
        raise Malformed(text, *(Issue(text, name[:60], "not-supported") for name in unknown))
    filters = kind(request.query_params, queryset=Loop.objects.none() if queryset is None else queryset)
    if not filters.is_valid():
        issues = [Issue(str(words[0]), name) for name, words in filters.errors.items()]
        raise Malformed(_("A parameter has a value that it can't have."), *issues)
    return filters


def given(filters: django_filters.FilterSet) -> dict[str, Any]:
    """What the caller asked for, without what was left empty."""
    cleaned: Mapping[str, Any] = filters.form.cleaned_data
    asked = {name: value for name, value in cleaned.items() if value not in (None, "")}
    return {name: int(value) if isinstance(value, Decimal) else value for name, value in asked.items()}


def limit(request: Request) -> int:
    """How many rows the page may have; raise `Malformed` for what is no number from 1 to the most."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise Malformed(_("limit takes a number from 1 to %(most)d.") % {"most": MAX_LIMIT})
    return int(text)


def parameters(kind: type[django_filters.FilterSet]) -> list[OpenApiParameter]:
    """The filters and the paging as OpenAPI parameters."""
    described = [
        OpenApiParameter(name, str, enum=[code for code, _words in one.extra.get("choices", ())] or None)
        for name, one in kind.base_filters.items()
    ]
    return described + PAGING
