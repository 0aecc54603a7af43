"""The HTTP headers that FHIR gives a meaning to (https://hl7.org/fhir/R4/http.html)."""

import re
from datetime import datetime

from django.utils.http import http_date
from django.utils.translation import gettext as _
from rest_framework.request import Request

from records import clock
from records.errors import Malformed

_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})"?')
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")


def preferences(request: Request) -> dict[str, str]:
    """``Prefer: return=minimal, handling=strict`` as a dictionary (RFC 7240)."""
    parts = re.split(r"[,;]", request.headers.get("Prefer", ""))
    pairs = (part.strip().partition("=") for part in parts)
    return {name.lower(): value.strip('"') for name, _equals, value in pairs if name}


def expected_version(request: Request) -> int | None:
    """The version of ``If-Match``: ``W/"3"``, ``"3"`` or a bare ``3``; None without the header."""
    given = request.headers.get("If-Match")
    if given is None:
        return None
    match = _ETAG.fullmatch(given.strip())
    if match is None:
        raise Malformed(_('If-Match takes one version, such as W/"3".'))
    return int(match[1])


def is_known_version(request: Request, version: int) -> bool:
    """Whether ``If-None-Match`` says that the caller holds this version already."""
    tags = request.headers.get("If-None-Match", "").split(",")
    return any((match := _ETAG.fullmatch(tag.strip())) and int(match[1]) == version for tag in tags)


def request_id(request: Request) -> str:
    """The caller's ``X-Request-ID`` when it is harmless to echo, else one of ours."""
    given = request.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else clock.new_id()


def etag(version: int) -> str:
    """A weak entity tag of the version number."""
    return f'W/"{version}"'


def last_modified(instant: datetime) -> str:
    """The date in the form of HTTP."""
    return http_date(instant.timestamp())
