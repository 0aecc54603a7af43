"""The primitive types of FHIR R4 (https://hl7.org/fhir/R4/datatypes.html#primitive), each a question to a JSON value.

Numbers come as lexemes (see `records.json`), so nothing here converts a number that could take long.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import orjson

from records.json import lexeme

_MAX_INTEGER = 2**31
_MAX_STRING = 1024 * 1024
_DATE = r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_DAY = slice(0, 10)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,9})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")

Check = Callable[[Any], bool]


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_decimal(value: Any) -> bool:
    return isinstance(value, orjson.Fragment | int | float) and not isinstance(value, bool)


def _integer(low: int) -> Check:
    def check(value: Any) -> bool:
        if not _is_decimal(value):
            return False
        text = lexeme(value)
        return bool(_INTEGER.fullmatch(text)) and low <= int(text) < _MAX_INTEGER

    return check


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str) and 0 < len(value) <= _MAX_STRING and not value.isspace() and not _CONTROL.search(value)
    )


def _is_xhtml(value: Any) -> bool:
    # Scripts are kept, never run: narrative goes out as JSON text only, and no page of ours renders it.
    return isinstance(value, str) and value.lstrip().startswith("<div")


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    compact = "".join(value.split())
    return len(compact) % 4 == 0 and bool(_BASE64.fullmatch(compact))


def _pattern(text: str) -> Check:
    compiled = re.compile(text)

    def check(value: Any) -> bool:
        return isinstance(value, str) and bool(compiled.fullmatch(value))

    return check


def _moment(text: str) -> Check:
    """A pattern with a date at its beginning, which must be a day of the calendar."""
    matches = _pattern(text)

    def check(value: Any) -> bool:
        return matches(value) and (len(value) < _DAY.stop or _is_day(value[_DAY]))

    return check


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


PRIMITIVES: dict[str, Check] = {
    "Boolean": _is_boolean,
    "Decimal": _is_decimal,
    "Integer": _integer(-_MAX_INTEGER),
    "UnsignedInt": _integer(0),
    "PositiveInt": _integer(1),
    "String": _is_text,
    "Markdown": _is_text,
    "Xhtml": _is_xhtml,
    "Code": _pattern(r"\S+(?:\s\S+)*"),
    "Id": _pattern(r"[A-Za-z0-9\-.]{1,64}"),
    "Uri": _pattern(r"\S+"),
    "Url": _pattern(r"\S+"),
    "Canonical": _pattern(r"\S+"),
    "Oid": _pattern(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+"),
    "Uuid": _pattern(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "Base64Binary": _is_base64,
    "Date": _moment(_DATE),
    "DateTime": _moment(rf"{_DATE}(?:(?<=\d{{4}}-\d\d-\d\d)T{_TIME}{_ZONE})?"),
    "Instant": _moment(rf"\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}"),
    "Time": _pattern(_TIME),
}
