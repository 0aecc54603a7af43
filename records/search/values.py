"""The grammar of FHIR search values: escapes, OR lists, prefixes (https://hl7.org/fhir/R4/search.html#escaping)."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

from records import dates
from records.errors import Malformed

MAX_ALTERNATIVES = 1000

_PREFIXED = re.compile(r"(eq|ne|gt|ge|lt|le|sa|eb|ap)?(.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, and the half-open range that it stands for: ``5.4`` is 5.35 to 5.45 (R4 §3.1.1.4.6)."""

    exact: Decimal
    low: Decimal
    high: Decimal


def alternatives(text: str) -> list[str]:
    """Split an OR list at its commas, the escapes of each value untouched; empty values are dropped."""
    found = [value for value in split(text, ",") if value]
    if not found:
        raise Malformed(_("A search parameter needs a value."))
    if len(found) > MAX_ALTERNATIVES:
        raise Malformed(_("A search parameter takes at most 1,000 values."))
    return found


def split(text: str, separator: str) -> list[str]:
    """Split at each separator that no backslash stands before."""
    parts, current, escaped = [], "", False
    for character in text:
        if character == separator and not escaped:
            parts.append(current)
            current = ""
        else:
            current += character
        escaped = character == "\\" and not escaped
    return [*parts, current]


def unescape(text: str) -> str:
    r"""Take away the backslash of ``\,``, ``\|``, ``\$`` and ``\\``."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def prefixed(text: str) -> tuple[str, str]:
    """Divide ``ge2026-01-01`` into its prefix (``eq`` without one) and the rest."""
    match = _PREFIXED.fullmatch(text)
    if match is None:
        raise Malformed(_("A search parameter needs a value."))
    return match[1] or "eq", match[2]


def span(text: str) -> dates.Range:
    """The range of a date of any precision; a ``+`` that a URL turned into a space is taken as meant."""
    found = dates.period_of(unescape(text).replace(" ", "+"))
    if found is None:
        raise Malformed(_("A date is written as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ."))
    return found


def amount(text: str) -> Amount:
    """The range of a number at the precision that it was written with."""
    if not _NUMBER.fullmatch(text):
        raise Malformed(_("This is no number."))
    try:
        number = Decimal(text)
        half = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
    except InvalidOperation as error:
        raise Malformed(_("This is no number.")) from error
    return Amount(number, number - half, number + half)


def boolean(text: str) -> bool:
    """``true`` or ``false``."""
    if text not in {"true", "false"}:
        raise Malformed(_("This takes true or false."))
    return text == "true"
