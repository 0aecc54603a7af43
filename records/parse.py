"""Bytes from outside → a resource, with every guard in front of the parser.

The guards stand on the raw bytes, before anything recurses or converts: size, encoding, depth, numbers
(https://hl7.org/fhir/R4/json.html; https://www.rfc-editor.org/rfc/rfc8259).
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson
from django.utils.translation import gettext as _

from records.errors import Malformed
from records.json import Resource

MAX_BYTES = 10_000_000
MAX_DEPTH = 100
MAX_DIGITS = 100  # of a number; FHIR R4 asks for 18 (§2.24.0.1), an exponent beyond ±400 is nobody's measurement
MAX_EXPONENT = 400

_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"


def parse(raw: bytes, *, limit: int = MAX_BYTES) -> Resource:
    """Parse one resource of at most ``limit`` bytes; `Malformed` says what can't be read, `Unsupported` is for types.

    Numbers stay the characters that were sent (see `records.json`).
    """
    if len(raw) > limit:
        raise Malformed(_("This is larger than %(limit)d bytes.") % {"limit": limit})
    if raw.startswith(_BOM):
        raise Malformed(_("JSON must not begin with a byte order mark."))
    _check_depth(raw)
    try:
        text = raw.decode()
        body = json.loads(
            text,
            parse_float=_number,
            parse_int=_number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise Malformed(_("This is not UTF-8.")) from None
    except (ValueError, RecursionError):
        raise Malformed(_("This is not valid JSON.")) from None
    if "\\u" in text or "\x00" in text:
        _check_characters(body)
    return _resource(body)


def _resource(body: Any) -> Resource:
    if not isinstance(body, dict):
        raise Malformed(_("This is not a FHIR resource: it must be an object."))
    if not isinstance(body.get("resourceType"), str):
        raise Malformed(_("This is not a FHIR resource: its resourceType is missing."))
    return body


def _check_depth(raw: bytes) -> None:
    """Take off the innermost brackets as often as they may be nested, all of a level at once: none may be left.

    What is no JSON may pass: the parser refuses it, and doesn't recurse without end.
    """
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    brackets, before = _outside_strings(raw).translate(_ONE_KIND, _NO_BRACKET), b""
    for _level in range(MAX_DEPTH):
        brackets, before = brackets.replace(b"{}", b""), brackets
        if len(brackets) == len(before):
            break
    if b"{}" in brackets or brackets.count(b"{") > MAX_DEPTH:
        raise Malformed(_("This is nested deeper than %(limit)d levels.") % {"limit": MAX_DEPTH})


def _outside_strings(raw: bytes) -> bytes:
    """JSON without the contents of its strings; a quote ends one unless a backslash that is none itself precedes it."""
    return b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _number(text: str) -> orjson.Fragment:
    mantissa, _mark, exponent = text.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or (exponent and abs(int(exponent)) > MAX_EXPONENT):  # noqa: PLR2004
        raise Malformed(_("This holds a number that is longer than any measurement."))
    return orjson.Fragment(text)


def _constant(_text: str) -> None:
    raise Malformed(_("NaN and Infinity are not JSON numbers."))


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed(_("This holds an object that names the same element twice."))
    return made


def _check_characters(value: Any) -> None:
    """PostgreSQL can't keep NUL, and UTF-8 has no lone surrogates; only an escape can bring either in."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)
    elif isinstance(value, str) and ("\x00" in value or _LONE_SURROGATE.search(value)):
        raise Malformed(_("This holds a character that no text may have (NUL or half a surrogate pair)."))
