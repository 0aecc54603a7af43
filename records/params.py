"""Search parameters, declared once: columns, indexes, extraction and the search all follow from one declaration.

A declaration is no Django field. `records.rows` turns it into ordinary columns before Django sees the class.

========== ============================================ =================================================
kind       columns                                      content
========== ============================================ =================================================
token      ``column`` text                              the one code, as it is; NULL = element absent
token many ``column`` text[]                            ``code``, ``system|code`` (``|code`` without), ``system|``
reference  ``column`` text                              ``Type/id``, absolute URL or urn; ``''`` = other forms
ref. many  ``column`` text[]                            the same, as a list
compartment ``patient`` text                            the bare id of the Patient, ``''`` = none
date       ``column_low``, ``column_high`` timestamptz  half-open range, the hull of all values
string     rows of `StringIndex`                        folded for prefixes, and as written
uri        ``column`` text or text[]                    as it is
quantity   ``column`` numeric, ``column_unit`` text[]   the first value; units as tokens
========== ============================================ =================================================

The identifier of a reference (``subject:identifier=…``) is in the row's ``reference_identifiers`` as
``name:system|value`` and ``name:value``.
"""

import unicodedata
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models

from records import dates, references
from records.json import lexeme
from records.paths import steps, walk

MAX_INDEXED = 2000  # bytes; an entry of a btree or GIN must stay below 2.7 kB, and no code is longer


class Param:
    """One search parameter of one type: its FHIR name, where its values are, and the columns that hold them.

    ``paths`` are element paths for `records.paths`, ``to`` the types that a reference may name. Name and column
    follow from the attribute unless given. ``is_built_in`` marks ``_id`` and ``_lastUpdated``, whose columns every
    row has anyway.
    """

    kind: ClassVar[str]
    many: ClassVar[bool] = False

    def __init__(
        self,
        *paths: str,
        name: str = "",
        column: str = "",
        to: tuple[str, ...] = (),
        is_built_in: bool = False,
    ) -> None:
        self.paths, self.name, self.column, self.targets, self.is_built_in = paths, name, column, to, is_built_in

    def named(self, attribute: str) -> Self:
        """Take name and column from the attribute unless they were given."""
        bare = attribute.strip("_")
        self.name = self.name or bare.replace("_", "-")
        self.column = self.column or bare
        return self

    def fields(self) -> dict[str, "models.Field[Any, Any]"]:
        """The columns that this declaration needs."""
        if self.is_built_in:
            return {}
        return {self.column: list_field() if self.many else text_field()}

    def btrees(self) -> list[tuple[str, ...]]:
        """The fields of each btree index."""
        return [] if self.many or self.is_built_in else [(self.column, "last_updated", "id")]

    def lists(self) -> list[str]:
        """The text[] columns, all of which share one GIN index."""
        return [self.column] if self.many and not self.is_built_in else []

    @cached_property
    def roots(self) -> frozenset[str]:
        """The elements of a body that its paths begin with; nothing is found in one that has none of them."""
        return frozenset(steps(path)[0].name for path in self.paths)

    def found(self, body: dict[str, Any]) -> list[Any]:
        """Every value at the paths."""
        if self.roots.isdisjoint(body):
            return []
        return [value for path in self.paths for value in walk(body, path)]

    def extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """Column → value for this body."""
        if self.is_built_in:
            return {}
        found = self.found(body)
        if not self.many:
            return {self.column: next(iter(self.words(found)), "" if found else None)}
        return {self.column: list(dict.fromkeys(self.words(found))) if found else None}

    def words(self, found: Iterable[Any]) -> Iterable[str]:
        """The words that these values are searched by."""
        return (clean(value) for value in found if isinstance(value, str))


def text_field() -> "models.TextField[Any, Any]":
    """A text column that compares by bytes, NULL when the element is absent."""
    return models.TextField(null=True, db_collation="C")


def list_field() -> "ArrayField[Any, Any]":
    """A text[] column, NULL when the element is absent."""
    return ArrayField(models.TextField(), null=True)


def clean(text: str) -> str:
    """What can be indexed of a text."""
    if len(text) * 4 <= MAX_INDEXED:  # UTF-8 takes four bytes at most
        return text
    return text.encode()[:MAX_INDEXED].decode(errors="ignore")


def fold(text: str) -> str:
    """Case and accents away, white space as single spaces: how FHIR string search compares (R4 §3.1.1.4.8)."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return clean(" ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split()))


class Token(Param):
    """At most one plain code or boolean."""

    kind = "token"

    def words(self, found: Iterable[Any]) -> Iterable[str]:
        """See the table above."""
        for value in found:
            if isinstance(value, bool):
                yield "true" if value else "false"
            elif isinstance(value, str):
                yield clean(value)
            elif isinstance(value, dict):
                yield from _token_words(value)


class Tokens(Token):
    """Codings, CodeableConcepts, Identifiers or ContactPoints (one holds several words), or repeating codes."""

    many = True


def _token_words(value: dict[str, Any]) -> Iterable[str]:
    codings = value.get("coding")
    if isinstance(codings, list):
        for coding in codings:
            if isinstance(coding, dict):
                yield from _token_words(coding)
        return
    code, system = value.get("code", value.get("value")), value.get("system")
    if isinstance(system, str):
        yield clean(f"{system}|")
    if isinstance(code, str):
        yield clean(code)
        yield clean(f"{system if isinstance(system, str) else ''}|{code}")


class Reference(Param):
    """At most one reference; stored as `references.normal` gives it."""

    kind = "reference"

    def words(self, found: Iterable[Any]) -> Iterable[str]:
        """The literal references, limited to the targets."""
        for value in found:
            text = value.get("reference") if isinstance(value, dict) else value
            reference = references.normal(text) if isinstance(text, str) else ""
            if reference and self.accepts(reference):
                yield clean(reference)

    def accepts(self, reference: str) -> bool:
        """Whether a reference can be to one of the targets; one that doesn't tell its type can."""
        kind = references.type_of(reference)
        return not self.targets or not kind or kind in self.targets

    def identifiers(self, body: dict[str, Any]) -> Iterable[str]:
        """The words of ``:identifier``."""
        for value in self.found(body):
            identifier = value.get("identifier") if isinstance(value, dict) else None
            if isinstance(identifier, dict):
                yield from (f"{self.name}:{word}" for word in _token_words(identifier))


class References(Reference):
    """References that repeat."""

    many = True


class Compartment(Reference):
    """The reference that puts a row in a patient's compartment; its column is the row's own ``patient``."""

    def named(self, attribute: str) -> Self:
        """Always in the column ``patient``."""
        self.name, self.column, self.targets = self.name or attribute, "patient", ("Patient",)
        return self

    def fields(self) -> dict[str, "models.Field[Any, Any]"]:
        """None of its own."""
        return {}

    def btrees(self) -> list[tuple[str, ...]]:
        """None of its own."""
        return []

    def extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """The id of the first Patient of this installation."""
        local = (word.removeprefix("Patient/") for word in self.words(self.found(body)) if word.startswith("Patient/"))
        return {self.column: next(local, "")}


class Date(Param):
    """A date, dateTime, instant, Period or Timing."""

    kind = "date"

    @property
    def low(self) -> str:
        """The column with the start of the range (in)."""
        return "last_updated" if self.is_built_in else f"{self.column}_low"

    @property
    def high(self) -> str:
        """The column with the end of the range (out)."""
        return "last_updated" if self.is_built_in else f"{self.column}_high"

    def fields(self) -> dict[str, "models.Field[Any, Any]"]:
        """Low and high."""
        if self.is_built_in:
            return {}
        return {self.low: models.DateTimeField(null=True), self.high: models.DateTimeField(null=True)}

    def btrees(self) -> list[tuple[str, ...]]:
        """By start, as the sort needs it."""
        return [] if self.is_built_in else [(self.low, "id")]

    def extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """The hull of all values."""
        if self.is_built_in:
            return {}
        low, high = dates.hull(self.found(body)) or (None, None)
        return {self.low: low, self.high: high}


class String(Param):
    """Text, HumanName or Address; its words are rows of `StringIndex`."""

    kind = "string"

    def fields(self) -> dict[str, "models.Field[Any, Any]"]:
        """None of its own."""
        return {}

    def btrees(self) -> list[tuple[str, ...]]:
        """None of its own."""
        return []

    def extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """No column."""
        return {}

    def words(self, found: Iterable[Any]) -> Iterable[str]:
        """Every part of a name or an address, as written."""
        for value in found:
            if isinstance(value, str):
                yield clean(value)
            elif isinstance(value, dict):
                for part in (value.get(key) for key in _PARTS):
                    yield from self.words(part if isinstance(part, list) else (part,))

    def entries(self, body: dict[str, Any]) -> set[tuple[str, str, str]]:
        """(parameter, folded, as written) for each text."""
        return {(self.name, folded, word) for word in self.words(self.found(body)) if (folded := fold(word))}


_PARTS = (
    *("text", "family", "given", "prefix", "suffix"),
    *("line", "city", "district", "state", "postalCode", "country"),
)


class Uri(Param):
    """A uri, url or canonical."""

    kind = "uri"


class Quantity(Param):
    """A Quantity; the first one counts."""

    kind = "quantity"

    @property
    def unit(self) -> str:
        """The column with the units."""
        return f"{self.column}_unit"

    def fields(self) -> dict[str, "models.Field[Any, Any]"]:
        """Value and units."""
        return {self.column: models.DecimalField(null=True, max_digits=60, decimal_places=20), self.unit: list_field()}

    def lists(self) -> list[str]:
        """The units."""
        return [self.unit]

    def extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """Value as a decimal; units by system and code, code, and as written."""
        quantity = next((value for value in self.found(body) if isinstance(value, dict)), {})
        words = list(_token_words({"system": quantity.get("system"), "code": quantity.get("code")}))
        unit = quantity.get("unit")
        return {
            self.column: _decimal(quantity.get("value")),
            self.unit: [*words, *([clean(unit)] if isinstance(unit, str) else [])] or None,
        }


def _decimal(value: Any) -> Decimal | None:
    try:
        number = Decimal(value if isinstance(value, str) else lexeme(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.adjusted() < 39 else None  # noqa: PLR2004 (numeric(60,20))
