"""One HTTP exchange with a server that we don't trust: no redirects, no surprises of this machine, and an end.

Proxies and ``.netrc`` of the machine are ignored; an answer, its head too, stops at a size and at a deadline, however slowly it drips.
A name that leads to an address where no server of an EHR can be is left alone, whatever it led to when it was registered.
"""

import io
import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from fhir_bridge.connecting.addresses import is_odd
from fhir_bridge.connecting.retries import LONGEST_RETRY_AFTER_SECONDS, Unreachable, Unreadable
from records import clock, errors

CONNECT_SECONDS = 5.0
PIECE_BYTES = 64 * 1024
SMALL_BYTES = 64 * 1024
SMALL_SECONDS = 15.0

Origin = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long we wait to connect and for the next bytes, how long for all, and how many bytes we take."""

    time_outs: tuple[float, float]
    total_seconds: float
    bytes: int


_deadline: ContextVar[float] = ContextVar("deadline")
"""Until when the present exchange may last, by the monotonic clock."""


class _Line(io.RawIOBase):
    """What comes over a socket until the deadline of this exchange: each read waits no longer than that."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket, self._until = connected, _deadline.get()
        self._raw = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        usual = self._socket.gettimeout()
        self._socket.settimeout(left if usual is None else min(usual, left))
        try:
            return self._raw.readinto(into)
        finally:
            with suppress(OSError):  # it may be closed by now
                self._socket.settimeout(usual)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _InTime:
    """A socket as `http.client` reads an answer from it."""

    def __init__(self, connected: socket.socket) -> None:
        self._line = _Line(connected)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._line)


class _Answer(HTTPResponse):
    def __init__(self, connected: Any, *args: Any, **options: Any) -> None:
        super().__init__(cast("socket.socket", _InTime(connected)), *args, **options)


class _Checked:
    """A connection that is not made, or ends before its first byte, where its name leads to an address for no server.

    Looked at twice: the name may lead elsewhere a moment later.
    """

    host: str
    port: int
    response_class: Any = _Answer

    def _new_conn(self) -> socket.socket:
        with suppress(OSError):  # a name that leads nowhere is told of by whoever connects
            found = socket.getaddrinfo(self.host.strip("[]"), self.port, type=socket.SOCK_STREAM)
            self._check(*(str(each[4][0]) for each in found))
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            self._check(str(made.getpeername()[0]))
        except BaseException:
            made.close()
            raise
        return made

    def _check(self, *addresses: str) -> None:
        if any(is_odd(ip_address(each.partition("%")[0])) for each in addresses):
            raise NewConnectionError(cast("HTTPConnection", self), "leads to an address for no server")


class _Plain(_Checked, HTTPConnection):
    pass


class _Private(_Checked, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _PrivatePool(HTTPSConnectionPool):
    ConnectionCls = _Private


class _Adapter(HTTPAdapter):
    """Connections that are checked."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _PrivatePool}


class _Session(requests.Session):
    """A session that knows no redirects; `requests` would read one's whole body even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None."""


def session() -> requests.Session:
    """Connections to one server."""
    made = _Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
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
    _deadline.set(deadline)
    try:
        with connections.request(
            verb, url, data=body, headers=headers, timeout=limits.time_outs, allow_redirects=False, stream=True
        ) as response:
            return response, _content(response, deadline, limits.bytes, who)
    except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
        raise Unreachable(f"{who} can't be reached.") from error
    except requests.ConnectionError as error:
        raise _lost(error, who) from error
    except (requests.RequestException, HTTPError, OSError) as error:
        if time.monotonic() >= deadline:
            raise errors.Unavailable(f"{who}'s answer took too long.") from error
        raise errors.Unavailable(f"{who}'s answer was lost.") from error


def retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 §10.2.3: a number or a date), at most a day; None when it is neither."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
    except (ValueError, TypeError, OverflowError):
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
    """The body, decoded; stops at the limit and at the deadline, so that a slow drip or a bomb costs little.

    Each piece is what is there by then: nothing waits for a whole one.
    """
    pieces, size = [], 0
    while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise Unreadable(f"{who}'s answer is too big.")
        if time.monotonic() > deadline:
            raise errors.Unavailable(f"{who}'s answer took too long.")
    return b"".join(pieces)
