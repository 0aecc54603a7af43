"""FHIR JSON without loss: numbers stay the characters that were sent (``1.50``, ``1e2``, 20 digits).

``loads`` gives plain dicts and lists in which every number is an ``orjson.Fragment``; ``dumps`` writes them back as they
were and ``lexeme`` tells what one says. FHIR R4 §2.6.2: decimals keep their precision.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from records.errors import Malformed

Resource = dict[str, Any]


def loads(raw: bytes | str) -> Any:
    """Parse JSON text; raise `Malformed` for what is no JSON. Guards on size and depth stand before this call."""
    try:
        return json.loads(raw, parse_float=orjson.Fragment, parse_int=orjson.Fragment)
    except (ValueError, RecursionError) as error:
        raise Malformed("This is not valid JSON.") from error


def dumps(value: Mapping[str, Any] | list[Any]) -> str:
    """Serialise to compact JSON text in the order of the keys, numbers as they were read."""
    return orjson.dumps(value).decode()


def lexeme(number: Any) -> str:
    """The characters of a number: ``1.50`` for the Fragment, int or float that stands for it."""
    return orjson.dumps(number).decode()
