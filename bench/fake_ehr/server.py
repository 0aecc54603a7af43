"""The fake EHR when it is well: FHIR R4 create, read, update, delete, search, history, batch and transaction in memory."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from itertools import islice
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from bench.fake_ehr import bundles, moods
from bench.fake_ehr.shelf import Key, Shelf
from bench.fake_ehr.wire import Answer, Body, Handler, Request, outcome

Fault = Callable[[Request, Answer], Answer]
"""Sees each request with the honest answer to it, after the store has changed; gives the answer that is sent."""

Refusal = Callable[[Request], Answer | None]
"""Sees each request before anything is done; an answer is sent instead of doing it."""

PATIENTS = ("for", "subject", "patient")
MOST_READINGS = 32


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """As ever, but for a client that has hung up: it was killed, which is its own affair."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Reading:
    """What one search has found, in an order that stays, gone through no further than somebody has asked."""

    def __init__(self, shelf: Shelf, found: Iterator[Body]) -> None:
        self.shelf, self.found = shelf, found
        self.keys: list[Key] = []

    def page(self, start: int, size: int) -> list[Body | None]:
        """The present versions, and one more that tells that there is a next page."""
        missing = start + size + 1 - len(self.keys)
        self.keys += [(each["resourceType"], each["id"]) for each in islice(self.found, max(missing, 0))]
        return [self.shelf.found(key) for key in self.keys[start : start + size + 1]]


class FakeEhr:
    """The server. ``mood``, ``refusal`` and ``fault`` bend its answers; the flags say what it can't do.

    ``requests`` are all that arrived. ``skew`` is its clock minus ours. Without ``tells``
    it answers ``metadata`` with an empty search, as some do; besides ``identifier`` and ``_lastUpdated`` it searches by what it
    ``understands``. ``page`` is the size of its largest page; with ``shifts`` a page is counted anew on what is there when it is asked for, so that others' changes shift it.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.skew = timedelta()
        self.shelf = Shelf(self.present)
        self.fault: Fault | None = None
        self.refusal: Refusal | None = None
        self.mood: moods.Mood | None = None
        self.between_pages: Callable[[], None] | None = None
        self.takes_if_match = True
        self.takes_if_none_exist = True
        self.takes_bundles = True
        self.rolls_back = True
        self.stale_status = 412
        self.gone_status = 410
        self.page = 100
        self.shifts = False
        self.tells = True
        self.understands = frozenset({"_id", "patient", "subject", "status"})
        self._readings: dict[str, _Reading] = {}
        self._read_last = 0
        self._lock = threading.RLock()
        handler = type("Own", (Handler,), {"respond": self.respond, "present": self.present})
        self._server = _Listener(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def present(self) -> datetime:
        """The instant by its own clock."""
        return datetime.now(UTC) + self.skew

    @property
    def base_url(self) -> str:
        """Its FHIR base."""
        return f"http://127.0.0.1:{self._server.server_port}/fhir"

    @property
    def store(self) -> dict[Key, list[Body]]:
        """(type, id) → every version."""
        return self.shelf.versions

    def all(self, type_: str) -> list[Body]:
        """The present version of every resource of a type."""
        return self.shelf.all(type_)

    def put(self, body: Body, late: timedelta = timedelta()) -> Body:
        """Write as somebody who works there does; a new version later than any other, unless it is committed ``late``."""
        with self._lock:
            return self.shelf.put(body, late)

    def remove(self, type_: str, id_: str) -> None:
        """Delete as somebody who works there does."""
        with self._lock:
            self.shelf.remove((type_, id_))

    def forget(self) -> None:
        """Be as at the beginning: empty, and asked for nothing yet."""
        self.requests.clear()
        self.shelf, self.skew = Shelf(self.present), timedelta()

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

    @contextmanager
    def moody(self, mood: moods.Mood) -> Iterator[None]:
        """Within, it misbehaves as ``mood`` says; see `bench.fake_ehr.moods`."""
        self.mood = mood
        try:
            yield
        finally:
            self.mood = None

    def respond(self, request: Request) -> Answer:
        """What goes back."""
        with self._lock:
            self.requests.append(request)
            refused = self.refusal(request) if self.refusal else None
            if refused:
                return refused
            name = self.mood(request) if self.mood else ""
            answer = moods.instead(name, request) or moods.afterwards(name, request, self.answer(request))
        return self.fault(request, answer) if self.fault else answer

    def answer(self, request: Request) -> Answer:
        """The honest answer."""
        body = request.body
        if request.verb == "POST" and body is not None:
            return (
                self._bundle(body)
                if body["resourceType"] == "Bundle" and not request.path
                else self._create(request, body)
            )
        if request.verb == "PUT" and body is not None:
            return self._update(request, body)
        kind, _slash, rest = request.path.partition("/")
        if request.verb == "DELETE":
            self.shelf.remove((kind, rest))
            return Answer(204, text="")
        if kind == "metadata" and self.tells:
            return Answer(200, bundles.capability(self))
        if rest == "_history":
            return self._page_of(request, self._changed(kind, request))
        return self._read((kind, rest)) if rest else self._page_of(request, self._matching(kind, request.query))

    def _bundle(self, bundle: Body) -> Answer:
        if not self.takes_bundles:
            return outcome(405, "not-supported")
        with self.shelf.transaction() as take_back:
            entries = bundles.requests(bundle)
            answers = [(self.refusal and self.refusal(each)) or self.answer(each) for each in entries]
            failed = next((each for each in answers if each.status >= 400), None)  # noqa: PLR2004
            if failed and bundle["type"] == "transaction":
                if self.rolls_back:
                    take_back()
                return failed
            return Answer(200, bundles.response(bundle["type"], answers))

    def _create(self, request: Request, body: Body) -> Answer:
        condition = request.headers.get("if-none-exist")
        if condition and self.takes_if_none_exist:
            found = list(self._matching(body["resourceType"], tuple(parse_qsl(condition))))
            if len(found) > 1:
                return outcome(412, "multiple-matches")
            if found:
                return _resource(found[0])
        return _resource(self.shelf.put({key: value for key, value in body.items() if key != "id"}), 201)

    def _update(self, request: Request, body: Body) -> Answer:
        kind, _slash, id_ = request.path.partition("/")
        held = self._read((kind, id_))
        if held.body is None or held.status != 200:  # noqa: PLR2004
            return held
        expected = request.headers.get("if-match", "").removeprefix("W/").strip('"')
        if self.takes_if_match and expected and expected != held.body["meta"].get("versionId"):
            return outcome(self.stale_status, "conflict")
        return _resource(self.shelf.put(body))

    def _read(self, key: Key) -> Answer:
        if key in self.shelf.gone:
            return outcome(self.gone_status, "deleted")
        found = self.shelf.found(key)
        return _resource(found) if found else outcome(404, "not-found")

    def _page_of(self, request: Request, found: Iterator[Body]) -> Answer:
        """The page that is asked for, of what was found now, or at the first page where pages don't shift."""
        query = dict(request.query)
        start, size = int(query.get("_offset", "0")), min(int(query.get("_count", self.page)), self.page)
        if query.get("_summary") == "count":
            return Answer(200, {**bundles.searchset([]), "total": sum(1 for _each in found)})
        if start and self.between_pages:
            self.between_pages()
        name = query.get("_page") or self._new_reading(found)
        if start and name not in self._readings and not self.shifts:
            return outcome(410, "not-found")
        shown = list(islice(found, start, start + size + 1)) if self.shifts else self._readings[name].page(start, size)
        bundle = bundles.searchset([each for each in shown[:size] if each])
        if len(shown) > size:
            rest = [(key, value) for key, value in request.query if key not in {"_offset", "_page"}]
            more = urlencode([*rest, ("_page", name), ("_offset", str(start + size))])
            bundle["link"] = [{"relation": "next", "url": f"{self.base_url}/{request.path}?{more}"}]
        return Answer(200, bundle)

    def _new_reading(self, found: Iterator[Body]) -> str:
        """Its name; what was begun long before has expired then."""
        self._read_last += 1
        self._readings[str(self._read_last)] = _Reading(self.shelf, iter(() if self.shifts else found))
        self._readings.pop(str(self._read_last - MOST_READINGS), None)
        return str(self._read_last)

    def _matching(self, kind: str, query: tuple[tuple[str, str], ...]) -> Iterator[Body]:
        if "_page" in dict(query) and not self.shifts:
            return iter(())
        names = [value for name, value in query if name == "identifier"]
        found = self.shelf.named(kind, names[0]) if names else self.shelf.between(kind, *_window(query))
        asked = [(name, value) for name, value in query if name in self.understands]
        return (each for each in found if all(_fits(each, name, value) for name, value in asked))

    def _changed(self, kind: str, request: Request) -> Iterator[Body]:
        since = dict(request.query).get("_since")
        yield from self.shelf.between(kind, datetime.fromisoformat(since) if since else None, None)


def _window(query: tuple[tuple[str, str], ...]) -> tuple[datetime | None, datetime | None]:
    bounds: dict[str, datetime] = {}
    for name, value in query:
        if name == "_lastUpdated":
            bounds[value[:2]] = datetime.fromisoformat(value[2:])
    return bounds.get("ge"), bounds.get("lt")


def _fits(body: Body, name: str, value: str) -> bool:
    """Whether a resource is what one search parameter asks for."""
    if name == "_id":
        return body["id"] in value.split(",")
    if name in {"patient", "subject"}:
        named = [body.get(element, {}).get("reference", "") for element in PATIENTS]
        named += [each.get("actor", {}).get("reference", "") for each in body.get("participant", [])]
        return any(each and each.removeprefix("Patient/") == value.removeprefix("Patient/") for each in named)
    return body.get(name) in value.split(",")


def _resource(body: Body, status: int = 200) -> Answer:
    location = f"{body['resourceType']}/{body['id']}"
    version = body["meta"].get("versionId")
    tagged = (
        {"ETag": f'W/"{version}"', "Location": f"{location}/_history/{version}"} if version else {"Location": location}
    )
    return Answer(status, body, tagged)
