"""A partner's resources onto our disk, to be loaded from there: by ``$export`` where it has it, else by searching.

Kick-off, polling and download as in https://hl7.org/fhir/uv/bulkdata/STU2/export.html. What the partner names is fetched only
from its own origin, with our token, or from origins that the administrator has named for it, without one. What was
fetched stays until the load is through, so that a fetch that was stopped goes on.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from fhir_bridge.capabilities.choices import Load
from fhir_bridge.connecting import partners, wire
from fhir_bridge.connecting.client import MAX_BYTES, Server
from fhir_bridge.inbound import windows
from fhir_bridge.models import Partner
from fhir_bridge.sharing import relevance
from records import clock, errors
from records.json import dumps

TYPES = ("Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", *relevance.POLLED)
LONGEST_WAIT = 120.0
POLLS = 10_000
PIECE = 256 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The files of an export, or the export itself, are not there any more; of the export a plain error is its end too
# (429, 502, 503 and 504 say that it can't be asked now)
EXPIRED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
FAILED = EXPIRED | {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_IMPLEMENTED}
# What keeps one type from being read, and says nothing of the others
HIDDEN = (errors.Forbidden, errors.NotFound, errors.Gone, errors.Unsupported, errors.Incorrect)
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")

Wait = Callable[[float], None]
Told = Callable[[str], None]


def fetch(
    partner: Partner, folder: Path, *, origins: Iterable[str] = (), wait: Wait = time.sleep, tell: Told = lambda _: None
) -> dict[str, str]:
    """Put what the partner has into ``folder`` as NDJSON, one file or more per type. Raises what an exchange raises.

    Gives the types that the partner doesn't show, each with what it says; the others are there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = partners.connect(partner)
    if partner.ways("Patient").load.way == Load.EXPORT:
        _export(server, folder, [wire.origin(each) for each in origins], wait, tell)
        return {}
    return _search(server, folder, tell)


def fetch_file(partner: Partner, url: str, folder: Path) -> Path:
    """Fetch one file of the partner's own origin; its name keeps the ending."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / (re.sub(r"[^A-Za-z0-9._-]", "_", url.rsplit("/", 1)[-1])[-100:] or "file.ndjson")
    _download(partners.connect(partner), url, target, [], needs_token=True)
    return target


def _export(server: Server, folder: Path, origins: list[wire.Origin], wait: Wait, tell: Told) -> None:
    """What is there in whole is not asked for again; what is gone there is forgotten, to be asked for anew."""
    whole = folder / ".whole"
    if whole.exists():
        return
    try:
        manifest = _manifest(server, folder, wait, tell)
        _download_all(server, manifest, folder, origins, tell)
    except errors.Gone:
        _forget(folder)
        raise
    whole.touch()


def _download_all(
    server: Server, manifest: Mapping[str, Any], folder: Path, origins: list[wire.Origin], tell: Told
) -> None:
    needs_token = manifest.get("requiresAccessToken") is True
    for number, each in enumerate(_files(manifest)):
        name = f"{each['type']}.{number:05}.ndjson"
        if not (folder / name).exists():
            tell(name)
            _download(server, each["url"], folder / name, origins, needs_token=needs_token)


def _forget(folder: Path) -> None:
    """Files of one export are none of another's: it may number them otherwise."""
    for each in (folder / ".status", *folder.glob("*.ndjson")):
        each.unlink(missing_ok=True)


def _files(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    listed = manifest.get("output")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [
        {"type": each["type"], "url": each["url"]}
        for each in found
        if isinstance(each.get("url"), str) and _TYPE.fullmatch(str(each.get("type")))
    ]


def _manifest(server: Server, folder: Path, wait: Wait, tell: Told) -> Mapping[str, Any]:
    """What the export consists of; where it is asked for is kept, so that it is asked for once, or once more if it is gone.

    Raises `Gone` when this very export has failed.
    """
    kept = folder / ".status"
    if kept.exists():
        try:
            return _awaited(server, kept.read_text(), wait, tell)
        except errors.Gone:
            _forget(folder)
    kept.write_text(_kick_off(server))
    return _awaited(server, kept.read_text(), wait, tell)


def _kick_off(server: Server) -> str:
    reply = server.exchange("GET", "$export", headers={"Prefer": "respond-async"})
    location = reply.headers.get("Content-Location", "")
    if reply.status != HTTPStatus.ACCEPTED or not location:
        raise errors.Unavailable("The partner has not taken the export on.")
    return location


def _awaited(server: Server, location: str, wait: Wait, tell: Told) -> Mapping[str, Any]:
    for _poll in range(POLLS):
        response, content = _state(server, location)
        if response.status_code != HTTPStatus.ACCEPTED:
            manifest = wire.plain(content)
            if manifest is None:
                raise errors.Unavailable("The partner's export can't be read.")
            return manifest
        tell(str(response.headers.get("X-Progress", ""))[:100])
        asked = response.headers.get("Retry-After", "")
        wait(min(max(float(asked), 1.0), LONGEST_WAIT) if asked.isascii() and asked.isdigit() else 5.0)
    raise errors.Unavailable("The partner's export has no end.")


def _download(server: Server, url: str, target: Path, origins: list[wire.Origin], *, needs_token: bool) -> None:
    """Stream one file to disk; it is there under its name only when it is whole."""
    whole = urljoin(f"{server.base_url}/", url)
    is_theirs = wire.origin(whole) == server.origin
    if not is_theirs and (needs_token or wire.origin(whole) not in origins):
        raise errors.Forbidden("The partner's file is on another server; it was not fetched.")
    half = target.with_suffix(".half")
    with half.open("wb") as file:
        for piece in _stream(server, whole, with_credentials=is_theirs):
            file.write(piece)
    half.rename(target)


def _state(server: Server, url: str) -> tuple[requests.Response, bytes]:
    """How the export stands, as its own address says."""
    whole = urljoin(f"{server.base_url}/", url)
    if wire.origin(whole) != server.origin:
        raise errors.Forbidden("The partner's link leads to another server; it was not followed.")
    limits = wire.Limits(server.time_outs, server.total_seconds, MAX_BYTES)
    headers = _headers(server, "application/json", with_credentials=True)
    response, content = wire.send(server.session, "GET", whole, None, headers, limits)
    _refuse(response, FAILED)
    return response, content


def _stream(server: Server, url: str, *, with_credentials: bool) -> Iterator[bytes]:
    """The pieces of a file of any length, as long as some come in time."""
    headers = _headers(server, "application/fhir+ndjson", with_credentials=with_credentials)
    try:
        with wire.session().get(
            url, headers=headers, timeout=server.time_outs, allow_redirects=False, stream=True
        ) as response:
            _refuse(response)
            yield from response.iter_content(PIECE)
    except requests.RequestException as error:
        raise errors.Unavailable("The partner's file was lost on the way.") from error


def _headers(server: Server, accept: str, *, with_credentials: bool) -> dict[str, str]:
    authorization = server.signer.header() if with_credentials else ""
    return {"Accept": accept, **({"Authorization": authorization} if authorization else {})}


def _refuse(response: requests.Response, gone: Collection[int] = EXPIRED) -> None:
    if response.status_code in gone:
        raise errors.Gone(f"The partner has given its export up (it answered {response.status_code}): begin anew.")
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise errors.Unavailable(f"The partner answered {response.status_code}.")


def _search(server: Server, folder: Path, tell: Told) -> dict[str, str]:
    """Every type by its changes since ever; a type that is there in whole is not read again. Gives those that are not shown."""
    hidden: dict[str, errors.BatonError] = {}
    for type_ in dict.fromkeys(TYPES):
        target = folder / f"{type_}.ndjson"
        if target.exists():
            continue
        tell(type_)
        try:
            _search_type(server, type_, target)
        except HIDDEN as error:
            hidden[type_] = error
    if len(hidden) == len(set(TYPES)):
        raise next(iter(hidden.values()))
    return {type_: str(error.message) for type_, error in hidden.items()}


def _search_type(server: Server, type_: str, target: Path) -> None:
    half, upper = target.with_suffix(".half"), clock.now() + timedelta(days=1)
    with half.open("w", encoding="utf-8") as file:
        for stretch in windows.read(server, windows.Window(type_, _EPOCH, upper)):
            file.writelines(f"{dumps(each)}\n" for each in stretch.resources)
            # cut off, so that what can't be read there is refused by its name and not taken for all there is
            file.writelines(f"{dumps(each)[:-1]}\n" for each in stretch.unreadable)
    half.rename(target)


def folder_of(base: Path, partner: Partner, source: str) -> Path:
    """Where what was fetched from there waits to be loaded."""
    return base / "loads" / hashlib.sha256(json.dumps([partner.pk, source]).encode()).hexdigest()[:24]
