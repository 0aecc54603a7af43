"""Where a page ended, as an opaque word: the key of its last row, so that the next page needs no OFFSET."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.utils.translation import gettext as _

from records.errors import Malformed

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def encode(key: Sequence[Any]) -> str:
    """The cursor that stands for the key of a row."""
    return base64.urlsafe_b64encode(orjson.dumps(list(key))).rstrip(b"=").decode()


def decode(cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """The key, each part of the given kind (datetime from its text); None for no cursor; `Malformed` for a wrong one."""
    if not cursor:
        return None
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(_part(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise Malformed(_("The cursor is none of ours; start again without it.")) from error


def _part(part: Any, kind: type) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if type(part) is not kind:
        raise ValueError
    return part
