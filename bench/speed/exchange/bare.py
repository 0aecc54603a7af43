"""The bare client: it says the same to the same server over as many connections, and checks, rewrites and keeps nothing."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPConnection
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

Body = dict[str, Any]
FHIR_JSON = "application/fhir+json"
HEADERS = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "Prefer": "return=representation"}
PATIENCE_SECONDS = 60.0


def entry(body: Body, conditions: Mapping[str, str]) -> Body:
    """A write of a Bundle: an update of what has an id, else a creation."""
    verb, url = ("PUT", f"{body['resourceType']}/{body['id']}") if "id" in body else ("POST", body["resourceType"])
    return {"resource": body, "request": {"method": verb, "url": url, **conditions}}


def write(base_url: str, entries: Iterable[Body], size: int, connections: int, kind: str = "transaction") -> list[Body]:
    """Send the entries, so many in a Bundle; give what the server has then."""
    rest = iter(entries)
    bundles = (
        {"resourceType": "Bundle", "type": kind, "entry": some} for some in iter(lambda: list(islice(rest, size)), [])
    )
    own = threading.local()

    def send(bundle: Body) -> list[Body]:
        if not hasattr(own, "line"):
            own.line = _line(base_url)
        answer = _ask(own.line, "POST", urlsplit(base_url).path, orjson.dumps(bundle))
        return [each["resource"] for each in answer["entry"]]

    with ThreadPoolExecutor(connections) as pool:
        return [resource for some in pool.map(send, bundles) for resource in some]


def read(base_url: str, type_: str, since: datetime, until: datetime, size: int) -> Iterator[list[Body]]:
    """Page after page of what was changed from ``since`` to before ``until``, each the first of what is left."""
    line, seen, lower = _line(base_url), set[tuple[str, str]](), since
    while True:
        bounds = [
            ("_lastUpdated", f"{prefix}{at:%Y-%m-%dT%H:%M:%S.%fZ}") for prefix, at in (("ge", lower), ("lt", until))
        ]
        query = urlencode([*bounds, ("_sort", "_lastUpdated"), ("_count", str(size))])
        bundle = _ask(line, "GET", f"{urlsplit(base_url).path}/{type_}?{query}")
        page = [each["resource"] for each in bundle.get("entry", [])]
        new = [each for each in page if (each["id"], each["meta"].get("versionId", "")) not in seen]
        yield new
        if not new or not any(link["relation"] == "next" for link in bundle.get("link", [])):
            return
        seen |= {(each["id"], each["meta"].get("versionId", "")) for each in new}
        lower = datetime.fromisoformat(page[-1]["meta"]["lastUpdated"])


def read_all(base_url: str, type_: str, window: tuple[datetime, datetime], size: int, connections: int) -> int:
    """Everything in a window, a part of its time over each connection; give how much that was."""
    since, until = window
    step = (until - since) / connections
    parts = [(since + number * step, since + (number + 1) * step) for number in range(connections)]

    def number_in(part: tuple[datetime, datetime]) -> int:
        return sum(len(page) for page in read(base_url, type_, *part, size))

    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(number_in, parts))


def _line(base_url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(base_url).netloc, timeout=PATIENCE_SECONDS)


def _ask(line: HTTPConnection, verb: str, path: str, content: bytes | None = None) -> Body:
    line.request(verb, path, content, HEADERS)
    response = line.getresponse()
    answer = response.read()
    if response.status >= 400:  # noqa: PLR2004
        raise RuntimeError(f"The partner answered {response.status} to a {verb}.")
    found: Body = orjson.loads(answer)
    return found
