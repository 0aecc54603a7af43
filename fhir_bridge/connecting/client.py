"""HTTP to one partner: `fhirclient`'s FHIRServer with what it lacks.

`fhirclient` 4.4 has no time-out, follows any redirect and any ``next`` link with our token, and loses ``1.50``. Here
every exchange goes through `Server.exchange`: it speaks to the registered origin only, follows nothing, ignores
proxies and ``.netrc`` of the machine, stops at a size and at a deadline, and hands out bodies read by `records.store`
(guards, exact numbers). A failure is raised as the category that it means (see `fhir_bridge.connecting.retries`); its text is
the partner's OperationOutcome without values, since diagnostics repeat a patient's data.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode, urljoin

import requests
from fhirclient.server import FHIRJSONMimeType, FHIRServer

from fhir_bridge.connecting import wire
from fhir_bridge.connecting.credentials import Fixed, Signer
from fhir_bridge.connecting.limits import Gate
from fhir_bridge.connecting.retries import Failed, Unreadable
from records import errors, store
from records.json import Resource, dumps

MAX_BYTES = 20 * 1024 * 1024
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 60.0
PAGE = 200
MAX_PAGES = 10_000
UNSIGNED = Fixed()

CATEGORIES: Mapping[int, type[errors.BatonError]] = {
    400: errors.Malformed,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.Unsupported,
    406: errors.Unsupported,
    409: errors.Conflict,
    410: errors.Gone,
    412: errors.Stale,
    413: errors.Unsupported,
    415: errors.Unsupported,
    422: errors.Incorrect,
    501: errors.Unsupported,
    # of whoever stands before the server, which isn't there
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer. ``resource`` is None for an empty body; ``sent_at`` is the partner's Date header."""

    status: int
    headers: Mapping[str, str]
    resource: Resource | None
    sent_at: datetime | None


class Server(FHIRServer):
    """One partner's FHIR base, for one thread."""

    time_outs: ClassVar[tuple[float, float]] = (CONNECT_SECONDS, READ_SECONDS)

    def __init__(
        self,
        base_url: str,
        signer: Signer = UNSIGNED,
        *,
        gate: Gate = nullcontext,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        super().__init__(None, base_uri=base_url)
        self.base_url = base_url.rstrip("/")
        self.origin = wire.origin(self.base_url)
        self.total_seconds = total_seconds
        self.signer = signer  # and not the library's own `auth`, which would sign for any host
        self.gate = gate
        self.session = wire.session()
        self._before: Callable[[], None] | None = None

    @contextmanager
    def asking_first(self, may_go_on: Callable[[], None]) -> Iterator[None]:
        """Call ``may_go_on`` before each exchange meanwhile; what it raises stops the exchange."""
        self._before = may_go_on
        try:
            yield
        finally:
            self._before = None

    # The four verbs that we need, each one exchange

    def read(self, type_: str, remote_id: str) -> Reply:
        """Read one resource; it must be the one that was asked for."""
        reply = self.exchange("GET", f"{type_}/{remote_id}")
        found = reply.resource or {}
        if found.get("resourceType") != type_ or found.get("id") != remote_id:
            raise Unreadable("The partner answered a read with another resource.")
        return reply

    def create(self, resource: Resource, if_none_exist: str = "") -> Reply:
        """Create, on the condition that a search (``identifier=system|value``, encoded) finds nothing."""
        headers = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        return self.exchange("POST", resource["resourceType"], resource, headers)

    def update(self, resource: Resource, if_match: str = "") -> Reply:
        """Replace a resource by its id, on the condition that it still has this version."""
        headers = {"If-Match": f'W/"{if_match}"'} if if_match else {}
        return self.exchange("PUT", f"{resource['resourceType']}/{resource['id']}", resource, headers)

    def search(self, type_: str, params: list[tuple[str, str]]) -> Iterator[tuple[Reply, list[Resource]]]:
        """Page by page: the reply, and the matches in it. A ``next`` link of another origin is refused."""
        url, seen = f"{type_}?{urlencode(params)}", set[str]()
        for _page in range(MAX_PAGES):
            reply = self.exchange("GET", url, headers={"Cache-Control": "no-cache"})
            bundle = reply.resource or {}
            if bundle.get("resourceType") != "Bundle":
                raise Unreadable("The partner answered a search without a Bundle.")
            yield reply, _matches(bundle, type_)
            seen.add(url)
            url = next_link(bundle)
            if not url:
                return
            if url in seen:
                break
        raise Unreadable("The partner's pages have no end.")

    def exchange(
        self, verb: str, path: str, body: Resource | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request (to the base itself without a ``path``) and its answer, or the category of what went wrong."""
        url = urljoin(f"{self.base_url}/", path) if path else self.base_url
        if wire.origin(url) != self.origin:
            raise errors.Forbidden("The partner's link leads to another server; it was not followed.")
        response, content = self._signed(verb, url, body, headers or {})
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            raise Unreadable("The partner answered with a redirect; it was not followed.")
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise _failure(response, content)
        return Reply(response.status_code, response.headers, _resource(response, content), _date(response))

    def configuration(self, path: str) -> dict[str, Any]:
        """A small JSON document that is no resource, read without our credentials; it stands below the base."""
        url = f"{self.base_url}/{path}"
        limits = wire.Limits(self.time_outs, wire.SMALL_SECONDS, wire.SMALL_BYTES)
        response, content = wire.send(self.session, "GET", url, None, {"Accept": "application/json"}, limits)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise _failure(response, content)
        found = wire.plain(content) if response.status_code == HTTPStatus.OK else None
        if found is None:
            raise Unreadable("The partner's configuration can't be read.")
        return found

    def _signed(
        self, verb: str, url: str, body: Resource | None, headers: Mapping[str, str]
    ) -> tuple[requests.Response, bytes]:
        """With our header; once more with a new one when the first is refused, which means that nothing was done."""
        header = self.signer.header()
        answer = self._send(verb, url, body, _with(headers, header))
        if answer[0].status_code == HTTPStatus.UNAUTHORIZED and self.signer.is_renewable:
            answer = self._send(verb, url, body, _with(headers, self.signer.header(header)))
        return answer

    def _send(
        self, verb: str, url: str, body: Resource | None, headers: Mapping[str, str]
    ) -> tuple[requests.Response, bytes]:
        told = {"Accept": FHIRJSONMimeType, "Accept-Charset": "UTF-8", **headers}
        if body is not None:
            told |= {"Content-Type": f"{FHIRJSONMimeType}; charset=UTF-8", "Prefer": "return=representation"}
        content = dumps(body).encode() if body is not None else None
        limits = wire.Limits(self.time_outs, self.total_seconds, MAX_BYTES)
        with self.gate():
            if self._before is not None:
                self._before()
            return wire.send(self.session, verb, url, content, told, limits)


def _with(headers: Mapping[str, str], authorization: str) -> dict[str, str]:
    return {**headers, **({"Authorization": authorization} if authorization else {})}


def _resource(response: requests.Response, content: bytes) -> Resource | None:
    """The body as a resource; None where there is none. An OperationOutcome as an answer to a write is none."""
    if not content.strip():
        return None
    if "json" not in response.headers.get("Content-Type", "json"):
        raise Unreadable("The partner answered with something that is not FHIR JSON.")
    try:
        resource = store.parse(content)
    except errors.BatonError as error:
        raise Unreadable("The partner's answer can't be read.") from error
    if resource.get("resourceType") == "OperationOutcome":
        if any(severity in {"error", "fatal"} for severity, _code, _where in _issues(resource)):
            raise Unreadable("The partner answered success with an error in it.")
        return None
    return resource


def _failure(response: requests.Response, content: bytes) -> errors.BatonError:
    try:
        outcome = store.parse(content)
    except errors.BatonError:
        outcome = {}
    return refusal(response.status_code, outcome, wire.retry_after(response))


def refusal(status: int, outcome: Resource, retry_after: float | None = None) -> errors.BatonError:
    """The category of a status that is no success, of a whole answer or of one entry of a Bundle."""
    text = f"The partner answered {status}{_told(outcome)}."
    is_busy = status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None
    if is_busy or status == HTTPStatus.TOO_MANY_REQUESTS:
        return errors.Throttled(text, retry_after=retry_after or 30.0)
    unnamed = Failed if status >= HTTPStatus.INTERNAL_SERVER_ERROR else errors.Incorrect
    return CATEGORIES.get(status, unnamed)(text)


def _told(resource: Resource) -> str:
    """Codes and places of an OperationOutcome; never its diagnostics, which repeat what was sent."""
    told = [f"{code} {where}".strip() for _severity, code, where in _issues(resource)]
    return f": {', '.join(told[:5])}" if told else ""


def _issues(outcome: Resource) -> list[tuple[str, str, str]]:
    """(severity, code, expression) of each issue, as far as it is one, shortened to what is certainly no data."""
    issues = outcome.get("issue")
    found = []
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict):
            places = issue.get("expression") or issue.get("location") or [""]
            where = places[0] if isinstance(places, list) and places and isinstance(places[0], str) else ""
            found.append((str(issue.get("severity")), _code(issue.get("code")), _path(where)))
    return found


def _code(code: Any) -> str:
    """A code of http://hl7.org/fhir/issue-type, as far as it has the form of one."""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z-]{1,40}", code) else "?"


def _path(where: str) -> str:
    """A FHIRPath of names and indexes alone; anything else might quote a value."""
    return where[:120] if all(each.isalnum() or each in ".[]_-" for each in where) else ""


def _date(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):  # the last also at both ends of time
        return None


def _matches(bundle: Resource, type_: str) -> list[Resource]:
    """The resources of this type that matched, without included ones and outcomes."""
    entries = bundle.get("entry")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == type_:
            found.append(resource)
    return found


def next_link(bundle: Resource) -> str:
    """The address of a Bundle's next page, empty where there is none."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next":
            return str(link.get("url", ""))
    return ""


def condition(system: str, value: str) -> str:
    """The query ``identifier=system|value`` with FHIR's escapes (R4 search §3.1.1.4.0), ready for If-None-Exist."""
    return urlencode({"identifier": token(system, value)})


def token(system: str, value: str) -> str:
    r"""``system|value`` with FHIR's escapes for ``\ , $ |``."""
    return "|".join(_escaped(part) for part in (system, value))


def _escaped(text: str) -> str:
    for special in "\\,$|":
        text = text.replace(special, f"\\{special}")
    return text


__all__ = ["Reply", "Server", "condition", "next_link", "refusal", "token"]
