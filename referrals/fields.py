"""What an action carries, checked against its fields: from anything (form, JSON, evidence) to plain Python values."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from records.errors import Incorrect, Issue
from referrals.calendars import EARLIEST, LATEST
from referrals.vocabulary import AgreedElsewhere, Data, Field

LONGEST_TEXT = 5_000
MOST_OWNERS = 20
_EMPTY: tuple[Any, ...] = (None, "", [], ())
Day = TypeVar("Day", bound=date)


def clean(fields: Sequence[Field], data: Mapping[str, Any], required: Collection[str] = ()) -> Data:
    """The values of ``fields`` in ``data``, empty ones left out; ``required`` names those required just now.

    Raises `Incorrect` with one `Issue` per field, its name as the expression: missing, unknown, or wrongly filled.
    """
    known = {field.name: field for field in fields}
    issues = [Issue(_("This action has no such field."), name) for name in data if name not in known]
    values: Data = {}
    for field in fields:
        raw = data.get(field.name)
        if raw in _EMPTY:
            if field.required or field.name in required:
                issues.append(Issue(_("This is required."), field.name, "required"))
            continue
        try:
            values[field.name] = _READERS[field.kind](field, raw)
        except (ValueError, TypeError) as error:
            issues.append(Issue(str(error), field.name, "value"))
    if issues:
        names = ", ".join(issue.expression for issue in issues)
        raise Incorrect(_("Please look again at: %(fields)s.") % {"fields": names}, *issues)
    return values


def as_details(values: Mapping[str, Any]) -> Data:
    """The values as JSON holds them, for the journal."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def _text(_field: Field, raw: Any) -> str:
    text = raw.strip() if isinstance(raw, str) else ""
    if not text or len(text) > LONGEST_TEXT:
        raise ValueError(_("Please write between 1 and %(most)d characters.") % {"most": LONGEST_TEXT})
    return text


def _code(field: Field, raw: Any) -> str:
    if raw not in dict(field.codes):
        raise ValueError(_("Please choose one of: %(codes)s.") % {"codes": ", ".join(code for code, _ in field.codes)})
    return str(raw)


def _datetime(_field: Field, raw: Any) -> datetime:
    value = raw if isinstance(raw, datetime) else _iso(raw)
    if value.tzinfo is None:
        raise ValueError(_("A time needs its time zone."))
    return within_reach(value)


def _iso(raw: Any) -> datetime:
    try:
        return datetime.fromisoformat(raw)
    except (ValueError, TypeError) as error:
        raise ValueError(_("Please give a time such as 2026-05-04T09:30:00+02:00.")) from error


def _date(_field: Field, raw: Any) -> date:
    try:
        value = raw if isinstance(raw, date) else date.fromisoformat(raw)
    except (ValueError, TypeError) as error:
        raise ValueError(_("Please give a date such as 2026-05-04.")) from error
    return within_reach(value)


def within_reach(value: Day) -> Day:
    """The day or moment itself; `ValueError` for one that no clock here reaches."""
    if not EARLIEST.year <= value.year < LATEST.year:
        years = {"first": EARLIEST.year, "last": LATEST.year - 1}
        raise ValueError(_("Please give a year between %(first)d and %(last)d.") % years)
    return value


def _reference(field: Field, raw: Any) -> str:
    kind, _slash, key = raw.partition("/") if isinstance(raw, str) else ("", "", "")
    if not key or "/" in key or (field.types and kind not in field.types):
        raise ValueError(_("Please give a reference to: %(types)s.") % {"types": ", ".join(field.types)})
    return f"{kind}/{key}"


def _boolean(_field: Field, raw: Any) -> bool:
    answer = {"True": True, "true": True, "on": True, "False": False, "false": False}.get(str(raw))
    if answer is None:
        raise ValueError(_("Please answer yes or no."))
    return answer


def _owner(_field: Field, raw: Any) -> int | str:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise TypeError(_("Please name whoever takes it over."))
    return raw


def _owners(field: Field, raw: Any) -> list[int | str]:
    """Each of them once; a single one needs no list."""
    named = [_owner(field, one) for one in (raw if isinstance(raw, list | tuple) else [raw])]
    if len(named) > MOST_OWNERS:
        raise ValueError(_("Please name no more than %(most)d.") % {"most": MOST_OWNERS})
    return list(dict.fromkeys(named))


def _second_person(_field: Field, raw: Any) -> str:
    """A reference to a Practitioner; who that is the database knows (`people.agrees`)."""
    if isinstance(raw, AgreedElsewhere):
        return raw
    if not isinstance(raw, str) or not raw.removeprefix("Practitioner/") or not raw.startswith("Practitioner/"):
        raise ValueError(_("Please choose a person, as Practitioner/id."))
    return raw


_READERS: dict[str, Callable[[Field, Any], Any]] = {
    "text": _text,
    "code": _code,
    "datetime": _datetime,
    "date": _date,
    "reference": _reference,
    "boolean": _boolean,
    "owner": _owner,
    "owners": _owners,
    "colleague": _owner,
    "second-person": _second_person,
}
