"""JSON in and out: guarded when it comes, straight from dataclasses when it goes."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from records.errors import Malformed

MAX_BYTES = 1_000_000


class JSONParser(BaseParser):
    """Reads a JSON object of at most a megabyte; depth, numbers and surrogates are orjson's to refuse."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object; raise `Malformed` for anything else."""
        raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise Malformed(_("The body is too long; a megabyte is the most."))
        try:
            value = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError as error:
            raise Malformed(_("This is not valid JSON.")) from error
        if not isinstance(value, dict) or b"\\u0000" in raw:
            raise Malformed(_("The body must be a JSON object without NUL characters."))
        return value


class JSONRenderer(BaseRenderer):
    """Writes dataclasses, dates (RFC 3339, UTC) and translated words as JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The bytes of the body; none for an answer without one."""
        return b"" if data is None else orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: object) -> object:
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(type(value).__name__)
