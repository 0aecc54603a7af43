"""One search parameter with its modifier and values → a `Q` over the columns that its declaration made.

Every function takes the declaration and the alternatives of one occurrence, of which one must match.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import cast

from django.db.models import Q
from django.utils.translation import gettext as _

from records import clock, references
from records.dates import Range
from records.errors import Malformed
from records.models import StringIndex
from records.params import Compartment, Date, Param, Quantity, Reference, fold
from records.search import values
from records.types import TYPES

NOTHING = Q(id__in=())
_APPROXIMATELY = 0.1  # R4 §3.1.1.4.6 recommends 10 % of the gap between now and the date


def token(param: Param, _type: str, given: list[str]) -> Q:
    """A list column holds each token as ``system|code``, ``|code``, ``code``, ``system|``: the forms of the search.

    A single column holds a plain code, whose system follows from its binding, so that only the code is compared.
    """
    words = [values.unescape(value) for value in given]
    if param.many:
        return Q(**{f"{param.column}__overlap": words})
    codes = [word.split("|", 1)[-1] for word in words]
    return reduce(or_, (Q(**{f"{param.column}__isnull": False}) for code in codes if not code), _among(param, codes))


def not_token(param: Param, of_type: str, given: list[str]) -> Q:
    """None of the tokens; what has no value at all matches too (R4 §3.1.1.4.5)."""
    return Q(**{f"{param.column}__isnull": True}) | ~token(param, of_type, given)


def reference(param: Param, _type: str, given: list[str]) -> Q:
    """An id (of any target type), ``Type/id``, or an absolute URL; ours are stored relative."""
    targets = param.targets or tuple(TYPES)
    return _refers(param, [word for value in given for word in _reference_words(values.unescape(value), targets)])


def typed_reference(target: str) -> Callable[[Param, str, list[str]], Q]:
    """``subject:Patient=23``: an id of that type alone."""

    def predicate(param: Param, _type: str, given: list[str]) -> Q:
        words = [word for value in given for word in _reference_words(values.unescape(value), (target,))]
        return _refers(param, [word for word in words if references.type_of(word) == target])

    return predicate


def identifier(param: Param, _type: str, given: list[str]) -> Q:
    """``:identifier``: by the identifier that stands in the reference itself."""
    return Q(reference_identifiers__overlap=[f"{param.name}:{values.unescape(value)}" for value in given])


def _reference_words(value: str, targets: tuple[str, ...]) -> list[str]:
    if "/" in value or ":" in value:
        return [references.normal(value)]
    return [f"{target}/{value}" for target in targets]


def _refers(param: Param, words: list[str]) -> Q:
    if isinstance(param, Compartment):
        return _among(param, [word.removeprefix("Patient/") for word in words if word.startswith("Patient/")])
    if param.many:
        return Q(**{f"{param.column}__overlap": words}) if words else NOTHING
    return _among(param, words)


def _among(param: Param, words: list[str]) -> Q:
    """Equal to one of the words; the empty word, which stands for "no such form", never matches."""
    wanted = [word for word in words if word]
    return Q(**{f"{param.column}__in": wanted}) if wanted else NOTHING


def string(param: Param, of_type: str, given: list[str]) -> Q:
    """Begins with, whatever the case and accents."""
    return _strings(param, of_type, [Q(value__startswith=_folded(value)) for value in given])


def contains(param: Param, of_type: str, given: list[str]) -> Q:
    """Contains, whatever the case and accents."""
    return _strings(param, of_type, [Q(value__contains=_folded(value)) for value in given])


def exact(param: Param, of_type: str, given: list[str]) -> Q:
    """Equal, letter by letter."""
    words = [values.unescape(value) for value in given]
    return _strings(param, of_type, [Q(value=fold(word), written=word) for word in words])


def _strings(param: Param, of_type: str, wanted: list[Q]) -> Q:
    rows = StringIndex.objects.filter(reduce(or_, wanted), type=of_type, parameter=param.name)
    return Q(id__in=rows.values("row"))


def _folded(value: str) -> str:
    folded = fold(values.unescape(value))
    if not folded:
        raise Malformed(_("A search parameter needs a value."))
    return folded


def date(param: Param, _type: str, given: list[str]) -> Q:
    """Compare the ranges of value and element by the prefix (R4 §3.1.1.4.7)."""
    compare = _instant if param.is_built_in else _range
    found = (values.prefixed(value) for value in given)
    return reduce(or_, (compare(cast("Date", param), prefix, values.span(text)) for prefix, text in found))


def _range(param: Date, prefix: str, wanted: Range) -> Q:
    low, high = _widened(wanted) if prefix == "ap" else wanted
    lows, highs = param.low, param.high
    within = Q(**{f"{lows}__gte": low, f"{highs}__lte": high})
    table: dict[str, Q] = {
        "eq": within,
        "ne": Q(**{f"{lows}__lt": low}) | Q(**{f"{highs}__gt": high}),
        "gt": Q(**{f"{highs}__gt": high}),
        "ge": Q(**{f"{highs}__gt": high}) | within,
        "lt": Q(**{f"{lows}__lt": low}),
        "le": Q(**{f"{lows}__lt": low}) | within,
        "sa": Q(**{f"{lows}__gte": high}),
        "eb": Q(**{f"{highs}__lte": low}),
        "ap": Q(**{f"{lows}__lt": high, f"{highs}__gt": low}),
    }
    return table[prefix]


def _instant(param: Date, prefix: str, wanted: Range) -> Q:
    """The same for ``_lastUpdated``, whose column is one instant."""
    low, high = _widened(wanted) if prefix == "ap" else wanted
    column = param.low
    within = Q(**{f"{column}__gte": low, f"{column}__lt": high})
    table: dict[str, Q] = {
        "eq": within,
        "ap": within,
        "ne": Q(**{f"{column}__lt": low}) | Q(**{f"{column}__gte": high}),
        "gt": Q(**{f"{column}__gte": high}),
        "sa": Q(**{f"{column}__gte": high}),
        "ge": Q(**{f"{column}__gte": low}),
        "lt": Q(**{f"{column}__lt": low}),
        "eb": Q(**{f"{column}__lt": low}),
        "le": Q(**{f"{column}__lt": high}),
    }
    return table[prefix]


def _widened(wanted: Range) -> Range:
    low, high = wanted
    slack = abs(clock.now() - low) * _APPROXIMATELY
    return _shifted(low, -slack), _shifted(high, slack)


def _shifted(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return instant


def uri(param: Param, _type: str, given: list[str]) -> Q:
    """Equal, letter by letter."""
    words = [values.unescape(value) for value in given]
    return Q(**{f"{param.column}__overlap": words}) if param.many else _among(param, words)


def quantity(param: Param, _type: str, given: list[str]) -> Q:
    """``[prefix]number|system|code``, ``number||code`` (code or unit as written) or ``number``."""
    return reduce(or_, (_quantity(cast("Quantity", param), value) for value in given))


_COMPARISONS = {"gt": "gt", "sa": "gt", "ge": "gte", "lt": "lt", "eb": "lt", "le": "lte"}


def _quantity(param: Quantity, given: str) -> Q:
    number, *unit = values.split(given, "|")
    prefix, text = values.prefixed(number)
    wanted = values.amount(text)
    column = param.column
    word = values.unescape("|".join(unit)).removeprefix("|")
    within = Q(**{f"{column}__gte": wanted.low, f"{column}__lt": wanted.high})
    table: dict[str, Q] = {
        "eq": within,
        "ap": within,
        "ne": Q(**{f"{column}__lt": wanted.low}) | Q(**{f"{column}__gte": wanted.high}),
        **{name: Q(**{f"{column}__{lookup}": wanted.exact}) for name, lookup in _COMPARISONS.items()},
    }
    return table[prefix] & (Q(**{f"{param.unit}__contains": [word]}) if word else Q())


def missing(param: Param, of_type: str, given: list[str]) -> Q:
    """``:missing=true`` or ``false``: whether the element is absent."""
    if len(given) != 1:
        raise Malformed(_("This takes true or false."))
    absent = _absent(param, of_type)
    return absent if values.boolean(given[0]) else ~absent


def _absent(param: Param, of_type: str) -> Q:
    if param.kind == "string":
        return ~Q(id__in=StringIndex.objects.filter(type=of_type, parameter=param.name).values("row"))
    if isinstance(param, Compartment):
        return Q(**{param.column: ""})
    column = param.low if isinstance(param, Date) else param.column
    return Q(**{f"{column}__isnull": True})


Predicate = Callable[[Param, str, list[str]], Q]
PREDICATES: dict[tuple[str, str], Predicate] = {
    ("token", ""): token,
    ("token", "not"): not_token,
    ("reference", ""): reference,
    ("reference", "identifier"): identifier,
    ("string", ""): string,
    ("string", "contains"): contains,
    ("string", "exact"): exact,
    ("date", ""): date,
    ("uri", ""): uri,
    ("quantity", ""): quantity,
}
ANY_KIND: dict[str, Predicate] = {"missing": missing}


def predicate_for(param: Param, modifier: str) -> Predicate | None:
    """The function for this kind and modifier; a reference also takes a target's type as modifier."""
    if isinstance(param, Reference) and modifier in (param.targets or TYPES):
        return typed_reference(modifier)
    return PREDICATES.get((param.kind, modifier)) or ANY_KIND.get(modifier)


def is_searchable(kind: str) -> bool:
    """Whether a kind of declaration can be searched at all (a test walks every declaration)."""
    return (kind, "") in PREDICATES
