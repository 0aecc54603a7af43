"""The wire of the fake EHR: a request as it arrived, an answer as it goes back, and the connection between."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

Body = dict[str, Any]
Ending = Literal["", "dropped", "reset", "truncated"]
_RESET_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends RST
_DRIP_BYTES = 64


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; ``path`` below the base, without its query; ``headers`` by lower-case names."""

    verb: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None

    @property
    def kind(self) -> str:
        """The resource type that it is about; empty for a Bundle of requests."""
        return self.path.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``text`` replaces the JSON of ``body``.

    ``is_dropped`` closes the connection without a word; ``ending`` may be that, a reset, or half of the body.
    ``drip_seconds`` is the pause after every 64 bytes; ``hold`` is waited for, 30 s at most.
    """

    status: int = 200
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    is_dropped: bool = False
    hold: threading.Event | None = None
    ending: Ending = ""
    drip_seconds: float = 0.0


class Handler(BaseHTTPRequestHandler):
    """One connection; a subclass per server has ``respond`` and ``present``, the server's clock."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    respond: Callable[[Request], Answer]
    present: Callable[[], datetime]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        request = Request(
            self.command,
            parts.path.removeprefix("/fhir").strip("/"),
            tuple(parse_qsl(parts.query)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(self.rfile.read(size)) if size else None,
        )
        with suppress(OSError):  # whoever asked may have given up
            self._send(type(self).respond(request))

    def _send(self, answer: Answer) -> None:
        if answer.hold:
            answer.hold.wait(30)
        if answer.is_dropped or answer.ending in {"dropped", "reset"}:
            self._hang_up(answer.ending)
            return
        content = (json.dumps(answer.body) if answer.text is None else answer.text).encode()
        self.send_response_only(answer.status)
        headers = {
            "Date": format_datetime(type(self).present(), usegmt=True),
            "Content-Type": "application/fhir+json",
            "Content-Length": str(len(content)),
        }
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._send_content(content, answer)

    def _send_content(self, content: bytes, answer: Answer) -> None:
        if answer.ending == "truncated":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif answer.drip_seconds:
            for start in range(0, len(content), _DRIP_BYTES):
                self.wfile.write(content[start : start + _DRIP_BYTES])
                time.sleep(answer.drip_seconds)
        else:
            self.wfile.write(content)

    def _hang_up(self, ending: Ending) -> None:
        self.close_connection = True
        if ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
            self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the names that http.server calls)

    def log_message(self, *_args: object) -> None:
        """Nothing: what arrived is in the server's ``requests``."""


def outcome(status: int, code: str) -> Answer:
    """An error with its OperationOutcome."""
    return Answer(status, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]})
