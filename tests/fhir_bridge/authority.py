"""An authorisation server on a real socket: it knows our key set or our secret, and answers as it is told to."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bench.fake_ehr import FakeEhr
from fhir_bridge.connecting import partners
from fhir_bridge.models import Partner

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a token."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """What goes back: an object as JSON, or the bytes themselves."""

    body: Told | bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


class Authority:
    """The server; ``says`` replaces its honest answer. Tokens are ``token-1``, ``token-2`` …"""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.says: Callable[[Asked], Said] = self.honest
        self.key_set: Told = {"keys": []}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"authority": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its token endpoint."""
        return f"http://127.0.0.1:{self._server.server_port}/token"

    def honest(self, asked: Asked) -> Said:
        """A token for five minutes to whoever proves who it is."""
        assertion = asked.form.get("client_assertion")
        if assertion is not None and not self._is_ours(assertion):
            return Said({"error": "invalid_client"}, 400)
        return Said(granted(f"token-{len(self.asked)}", scope=asked.form.get("scope", "")))

    def claims(self, number: int = -1) -> Told:
        """What an assertion says, its signature checked by the key set that it knows."""
        token = self._decoded(self.asked[number].form["client_assertion"])
        return dict(token.claims)

    def _decoded(self, assertion: str) -> Any:
        keys = KeySet.import_key_set(self.key_set)  # type: ignore[arg-type]
        return jwt.decode(assertion, keys, algorithms=["RS384", "ES384"])

    def _is_ours(self, assertion: str) -> bool:
        try:
            return bool(self._decoded(assertion).claims["aud"] == self.url)
        except JoseError:
            return False


def granted(token: str, **more: object) -> Told:
    return {"access_token": token, "token_type": "bearer", "expires_in": 300, **more}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    authority: Authority

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path, headers, dict(parse_qsl(form)))
        self.authority.asked.append(asked)
        said = self.authority.says(asked)
        if said.hold:
            said.hold.wait(30)
        content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        self.send_response_only(said.status)
        for name, value in {
            "Content-Type": "application/json",
            **said.headers,
            "Content-Length": str(len(content)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:  # whoever asked may have given up
            self.close_connection = True

    def log_message(self, *_args: object) -> None:
        """Nothing: what arrived is in ``authority.asked``."""


def read_task(partner: Partner, ehr: FakeEhr) -> str:
    """What the EHR saw as authorisation of one read."""
    ehr.put({"resourceType": "Task", "id": "1", "status": "requested"})
    partners.connect(partner).read("Task", "1")
    return ehr.requests[-1].headers.get("authorization", "")
