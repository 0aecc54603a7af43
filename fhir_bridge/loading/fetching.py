"""A partner's resources onto our disk, to be loaded from there: by ``$export`` where it has it, else by searching.

Kick-off, polling and download as in https://hl7.org/fhir/uv/bulkdata/STU2/export.html. What the partner names is fetched only
from its own origin, with our token, or from origins that the administrator has named for it, without one. What was
fetched stays until the load is through, so that a fetch that was stopped goes on.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")

Wait = Callable[[float], None]
Told = Callable[[str], None]


def fetch(
    partner: Partner, folder: Path, *, origins: Iterable[str] = (), wait: Wait = time.sleep, tell: Told = lambda _: None
) -> None:
    """Put what the partner has into ``folder`` as NDJSON, one file or more per type. Raises what an exchange raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = partners.connect(partner)
    if partner.ways("Patient").load.way == Load.EXPORT:
        _export(server, folder, [wire.origin(each) for each in origins], wait, tell)
    else:
        _search(server, folder, tell)


def fetch_file(partner: Partner, url: str, folder: Path) -> Path:
    """Fetch one file of the partner's own origin; its name keeps the ending."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / (re.sub(r"[^A-Za-z0-9._-]", "_", url.rsplit("/", 1)[-1])[-100:] or "file.ndjson")
    _download(partners.connect(partner), url, target, [], needs_token=True)
    return target


def _export(server: Server, folder: Path, origins: list[wire.Origin], wait: Wait, tell: Told) -> None:
    manifest = _manifest(server, folder, wait, tell)
    needs_token = manifest.get("requiresAccessToken") is True
    for number, each in enumerate(_files(manifest)):
        name = f"{each['type']}.{number:05}.ndjson"
        if not (folder / name).exists():
            tell(name)
            _download(server, each["url"], folder / name, origins, needs_token=needs_token)


def _files(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    listed = manifest.get("output")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [
        {"type": each["type"], "url": each["url"]}
        for each in found
        if isinstance(each.get("url"), str) and _TYPE.fullmatch(str(each.get("type")))
    ]


def _manifest(server: Server, folder: Path, wait: Wait, tell: Told) -> Mapping[str, Any]:
    """What the export consists of; where it is asked for is kept, so that it is asked for once."""
    kept = folder / ".status"
    if not kept.exists():
        reply = server.exchange("GET", "$export", headers={"Prefer": "respond-async"})
        location = reply.headers.get("Content-Location", "")
        if reply.status != HTTPStatus.ACCEPTED or not location:
            raise errors.Unavailable("The partner has not taken the export on.")
        kept.write_text(location)
    for _poll in range(POLLS):
        response, content = _state(server, kept.read_text())
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
    _refuse(response)
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


def _refuse(response: requests.Response) -> None:
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise errors.Unavailable(f"The partner answered {response.status_code}.")


def _search(server: Server, folder: Path, tell: Told) -> None:
    """Every type by its changes since ever; a type that is there in whole is not read again."""
    upper = clock.now() + timedelta(days=1)
    for type_ in dict.fromkeys(TYPES):
        target = folder / f"{type_}.ndjson"
        if target.exists():
            continue
        tell(type_)
        half = target.with_suffix(".half")
        with half.open("w", encoding="utf-8") as file:
            for stretch in windows.read(server, windows.Window(type_, _EPOCH, upper)):
                file.writelines(f"{dumps(each)}\n" for each in stretch.resources)
                # cut off, so that what can't be read there is refused by its name and not taken for all there is
                file.writelines(f"{dumps(each)[:-1]}\n" for each in stretch.unreadable)
        half.rename(target)


def folder_of(base: Path, partner: Partner, source: str) -> Path:
    """Where what was fetched from there waits to be loaded."""
    return base / "loads" / hashlib.sha256(json.dumps([partner.pk, source]).encode()).hexdigest()[:24]
