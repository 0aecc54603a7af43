"""Dates as people type them, in the words of the page's language, turned into FHIR's; the day always comes first."""

import re
from datetime import date

from django.utils.dates import MONTHS, MONTHS_3, MONTHS_ALT

_TYPED = re.compile(r"(?<!\w)(\d{1,2})(?:[./]|\s+(?:de\s+)?)([^\W_]+)(?:[./]|[.,]?\s+(?:de\s+)?)(\d{4})(?!\w)")


def with_iso(text: str) -> str:
    """The text with each date that stands in it ("31 Jan 1980", "31 de enero de 1980", "31.1.1980") as 1980-01-31.

    What is no date of any calendar stays as it was typed.
    """
    return _TYPED.sub(_iso, text)


def _iso(found: re.Match[str]) -> str:
    day, month, year = found.groups()
    try:
        return date(int(year), _month(month), int(day)).isoformat()
    except ValueError:
        return found[0]


def _month(typed: str) -> int:
    """The number of a month that was typed as one, or by its name or at least three letters of it; 0 for none."""
    if typed.isascii() and typed.isdecimal():
        return int(typed[:3])
    word = typed.casefold()
    names = ((number, str(name)) for months in (MONTHS, MONTHS_ALT, MONTHS_3) for number, name in months.items())
    return next((number for number, name in names if len(word) > 2 and name.casefold().startswith(word)), 0)  # noqa: PLR2004
