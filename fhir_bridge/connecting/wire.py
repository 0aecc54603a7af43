"""One HTTP exchange with a server that we don't trust: no redirects, no surprises of this machine, and an end.

Proxies and ``.netrc`` of the machine are ignored; an answer stops at a size and at a deadline, however slowly it drips.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from fhir_bridge.connecting.retries import LONGEST_RETRY_AFTER_SECONDS, Unreachable, Unreadable
from records import clock, errors

CONNECT_SECONDS = 5.0
SMALL_BYTES = 64 * 1024
SMALL_SECONDS = 15.0

Origin = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long we wait to connect and for the next bytes, how long for all, and how many bytes we take."""

    time_outs: tuple[float, float]
    total_seconds: float
    bytes: int


class _Session(requests.Session):
    """A session that knows no redirects; `requests` would read one's whole body even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None."""


def session() -> requests.Session:
    """Connections to one server."""
    made = _Session()
    made.trust_env = False
    made.headers["User-Agent"] = "Baton"
    return made


def origin(url: str) -> Origin:
    """Scheme, host and port, with the default port written out; credentials in the URL make it nobody's."""
    parts = urlsplit(url)
    if "@" in parts.netloc or "\\" in url:
        return ("", "", None)
    try:
        port = parts.port
    except ValueError:
        return ("", "", None)
    return (parts.scheme, (parts.hostname or "").lower(), port or {"http": 80, "https": 443}.get(parts.scheme))


def send(
    connections: requests.Session,
    verb: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    limits: Limits,
    who: str = "The partner",
) -> tuple[requests.Response, bytes]:
    """One request: the answer's head and its decoded content.

    Raise `Unreachable` when the request certainly never arrived, `Unavailable` when it may have; ``who`` begins the words.
    """
    deadline = time.monotonic() + limits.total_seconds
    try:
        with connections.request(
            verb, url, data=body, headers=headers, timeout=limits.time_outs, allow_redirects=False, stream=True
        ) as response:
            return response, _content(response, deadline, limits.bytes, who)
    except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
        raise Unreachable(f"{who} can't be reached.") from error
    except requests.ConnectionError as error:
        raise _lost(error, who) from error
    except (requests.RequestException, OSError) as error:
        raise errors.Unavailable(f"{who}'s answer was lost.") from error


def retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 §10.2.3: a number or a date), at most a day; None when it is neither."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
    except (ValueError, TypeError):
        return None


def plain(content: bytes) -> dict[str, Any] | None:
    """A small JSON object that is no resource (an OAuth answer, a configuration); None for anything else."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _lost(error: requests.ConnectionError, who: str) -> errors.Unavailable:
    """Whether the connection was never made (nothing happened there), or broke (unknown)."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}:
        return Unreachable(f"{who} can't be reached.")
    return errors.Unavailable(f"{who}'s answer was lost.")


def _content(response: requests.Response, deadline: float, limit: int, who: str) -> bytes:
    """The body, decoded; stops at the limit and at the deadline, so that a slow drip or a bomb costs little."""
    pieces, size = [], 0
    for piece in response.iter_content(65_536):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise Unreadable(f"{who}'s answer is too big.")
        if time.monotonic() > deadline:
            raise errors.Unavailable(f"{who}'s answer took too long.")
    return b"".join(pieces)
