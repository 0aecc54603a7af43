"""The one fake EHR: a small FHIR server in memory, on a real socket, that misbehaves on demand.

It is for what a well-behaved server can't show: replies that get lost after the write, a stale version that is
overlooked, pages that lead elsewhere. ``with FakeEhr() as ehr:`` serves on a free port of 127.0.0.1 until the end; everything
that arrives is in ``ehr.requests``. Whatever is tested against a friendly partner is tested against a real one.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; ``path`` below the base, without its query."""

    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: Body | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``text`` replaces the JSON of ``body``; ``is_dropped`` closes the connection without a word."""

    status: int = 200
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    is_dropped: bool = False
    hold: threading.Event | None = None


Fault = Callable[[Request, Answer], Answer]
"""Sees each request with the honest answer to it, after the store has changed; gives the answer that is sent."""


Refusal = Callable[[Request], Answer | None]
"""Sees each request before anything is done; an answer is sent instead of doing it."""


class FakeEhr:
    """The server. ``refusal`` and ``fault`` bend its answers; the flags say what it can't do."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.store: dict[tuple[str, str], list[Body]] = {}
        self.fault: Fault | None = None
        self.refusal: Refusal | None = None
        self.takes_if_match = True
        self.takes_if_none_exist = True
        self.stale_status = 412
        self.page = 100
        self.at = datetime.now(UTC)
        self._lock = threading.RLock()
        self._number = 100
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ehr": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """Its FHIR base."""
        return f"http://127.0.0.1:{self._server.server_port}/fhir"

    def all(self, type_: str) -> list[Body]:
        """The present version of every resource of a type."""
        return [versions[-1] for (held, _id), versions in self.store.items() if held == type_]

    def put(self, body: Body) -> Body:
        """Write as somebody who works there does; a new version later than any other."""
        with self._lock:
            id_ = body.get("id") or self._new_id()
            versions = self.store.setdefault((body["resourceType"], id_), [])
            self.at = max(self.at + timedelta(milliseconds=5), datetime.now(UTC))
            meta = {
                **body.get("meta", {}),
                "versionId": str(len(versions) + 1),
                "lastUpdated": f"{self.at:%Y-%m-%dT%H:%M:%S}.{self.at.microsecond // 1000:03}Z",
            }
            versions.append({**body, "id": id_, "meta": meta})
            return versions[-1]

    @contextmanager
    def faulty(self, fault: Fault) -> Iterator[None]:
        """Within, every answer goes through ``fault``."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    @contextmanager
    def refusing(self, answer: Answer, verb: str = "", kind: str = "") -> Iterator[None]:
        """Within, requests of that verb and type (any by default) are not carried out, and answered with ``answer``."""
        self.refusal = lambda request: (
            answer if request.verb.startswith(verb) and request.path.startswith(kind) else None
        )
        try:
            yield
        finally:
            self.refusal = None

    def _new_id(self) -> str:
        self._number += 1
        return str(self._number)

    def answer(self, request: Request) -> Answer:
        """The honest answer."""
        with self._lock:
            self.requests.append(request)
            refused = self.refusal(request) if self.refusal else None
            if refused:
                return refused
            kind, _slash, rest = request.path.partition("/")
            if request.verb == "POST" and kind and request.body is not None:
                return self._create(request, request.body)
            if request.verb == "PUT" and request.body is not None:
                return self._update(request, (kind, rest), request.body)
            if rest:
                versions = self.store.get((kind, rest))
                return _resource(versions[-1]) if versions else _outcome(404, "not-found")
            return self._search(kind, request)

    def _create(self, request: Request, body: Body) -> Answer:
        condition = request.headers.get("if-none-exist")
        if condition and self.takes_if_none_exist:
            found = self._matching(body["resourceType"], tuple(parse_qsl(condition)))
            if len(found) > 1:
                return _outcome(412, "multiple-matches")
            if found:
                return _resource(found[0])
        return _resource(self.put({key: value for key, value in body.items() if key != "id"}), 201)

    def _update(self, request: Request, key: tuple[str, str], body: Body) -> Answer:
        versions = self.store.get(key)
        if not versions:
            return _outcome(404, "not-found")
        expected = request.headers.get("if-match", "").removeprefix("W/").strip('"')
        if self.takes_if_match and expected and expected != versions[-1]["meta"]["versionId"]:
            return _outcome(self.stale_status, "conflict")
        return _resource(self.put(body))

    def _search(self, kind: str, request: Request) -> Answer:
        found = self._matching(kind, request.query)
        query = dict(request.query)
        start, size = int(query.get("_offset", "0")), min(int(query.get("_count", self.page)), self.page)
        bundle: Body = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": each, "search": {"mode": "match"}} for each in found[start : start + size]],
        }
        if start + size < len(found):
            rest = "&".join(f"{key}={value}" for key, value in request.query if key != "_offset")
            url = f"{self.base_url}/{kind}?{rest}&_offset={start + size}"
            bundle["link"] = [{"relation": "next", "url": url}]
        return Answer(200, bundle)

    def _matching(self, kind: str, query: tuple[tuple[str, str], ...]) -> list[Body]:
        found = sorted(self.all(kind), key=lambda each: str(each["meta"]["lastUpdated"]))
        for name, value in query:
            if name == "identifier":
                found = [each for each in found if value in _tokens(each)]
            if name == "_lastUpdated":
                found = [each for each in found if _is_within(each, value)]
        return found


class _Handler(BaseHTTPRequestHandler):
    """One connection; a subclass per server knows its ``ehr``."""

    protocol_version = "HTTP/1.1"
    ehr: FakeEhr

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
        answer = self.ehr.answer(request)
        self._send(self.ehr.fault(request, answer) if self.ehr.fault else answer)

    def _send(self, answer: Answer) -> None:
        if answer.hold:
            answer.hold.wait(30)
        if answer.is_dropped:
            self.close_connection = True
            return
        content = (json.dumps(answer.body) if answer.text is None else answer.text).encode()
        self.send_response_only(answer.status)
        headers = {
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "Content-Type": "application/fhir+json",
            "Content-Length": str(len(content)),
        }
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # whoever asked may have given up
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 (the names that http.server calls)

    def log_message(self, *_args: object) -> None:
        """Nothing: what arrived is in ``ehr.requests``."""


def _resource(body: Body, status: int = 200) -> Answer:
    version = body["meta"]["versionId"]
    location = f"{body['resourceType']}/{body['id']}/_history/{version}"
    return Answer(status, body, {"ETag": f'W/"{version}"', "Location": location})


def _outcome(status: int, code: str) -> Answer:
    return Answer(status, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]})


def _tokens(body: Body) -> set[str]:
    return {f"{each.get('system')}|{each.get('value')}" for each in body.get("identifier", [])}


def _is_within(body: Body, bound: str) -> bool:
    at = datetime.fromisoformat(body["meta"]["lastUpdated"])
    limit = datetime.fromisoformat(bound[2:])
    return at >= limit if bound.startswith("ge") else at < limit
