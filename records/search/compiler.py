"""FHIR search parameters → one `Q`: every parameter a predicate, repetition is AND (R4 §3.1.1.3)."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_

from django.db.models import Q
from django.utils.translation import gettext as _

from records.errors import Issue, Malformed
from records.params import Param
from records.rows import ResourceRow
from records.search import values
from records.search.predicates import predicate_for
from records.types import row_class

Given = tuple[str, str]
MAX_PARAMETERS = 500
LATER = {"_include", "_revinclude", "_has"}


def compile(type_name: str, params: Sequence[Given]) -> Q:  # noqa: A001 (read as search.compile)
    """The condition for all of the parameters; raise `Malformed` for an unknown one, a bad modifier or a bad value."""
    row = row_class(type_name)
    if ignored := unknown(row, params):
        raise refusal(ignored)
    return reduce(and_, (_condition(row, type_name, name, value) for name, value in params), Q())


def guard(params: Sequence[Given]) -> None:
    """Refuse what no query may hold: too many parameters, or characters that PostgreSQL can't compare."""
    if len(params) > MAX_PARAMETERS:
        raise Malformed(_("A search takes at most 500 parameters."))
    for name, value in params:
        if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in name + value):
            raise Malformed(_("A search parameter holds a character that no text may hold."))


def unknown(row: type[ResourceRow], params: Iterable[Given]) -> list[str]:
    """The names that this type has no declaration for; raise `Malformed` for what R4 knows and we don't offer."""
    names = dict.fromkeys(name for name, _value in params)
    found = [name for name in names if _declared(row, name) is None]
    for name in found:
        head = name.partition(":")[0]
        if head in LATER or head.partition(".")[0] in row.search_params:
            raise Malformed(
                _("Not supported."), Issue(_("%(name)s is not supported.") % {"name": name[:64]}, code="not-supported")
            )
    return found


def refusal(names: Iterable[str]) -> Malformed:
    """The error for unknown parameters where the caller wants none ignored."""
    text = _("Unknown search parameter %(name)s.")
    issues = [Issue(text % {"name": name[:64]}, code="not-supported") for name in names]
    return Malformed(_("Unknown search parameter."), *issues)


def _declared(row: type[ResourceRow], name: str) -> Param | None:
    return row.search_params.get(name.partition(":")[0])


def _condition(row: type[ResourceRow], of_type: str, name: str, value: str) -> Q:
    bare, _colon, modifier = name.partition(":")
    predicate = predicate_for(row.search_params[bare], modifier)
    if predicate is None:
        text = _("%(name)s doesn't take the modifier %(modifier)s.") % {"name": bare, "modifier": modifier[:64]}
        raise Malformed(text, Issue(text, code="not-supported"))
    try:
        return predicate(row.search_params[bare], of_type, values.alternatives(value))
    except Malformed as error:
        raise Malformed(error.message, Issue(f"{bare}: {error.message}", code="value")) from error
