"""The attachments of a report or document: what is read on its page, what is opened by itself, what isn't held here.

The bytes come from whoever sent the document, so a browser may only show them: nothing of them runs, nothing of them
becomes a page of ours, and no cache keeps them. FHIR R4, https://hl7.org/fhir/R4/datatypes.html#Attachment.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.utils.translation import gettext as _

from records import access, references
from records.access import Actor
from records.json import Resource, loads
from web import reading

LONGEST_TEXT = 150_000
# What a browser shows by itself, and the ends of names of what people open with a program; of others we name none.
SHOWN = {
    "application/pdf": "pdf",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
}
OPENED = {
    "application/dicom": "dcm",
    "application/msword": "doc",
    "application/rtf": "rtf",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/xml": "xml",
    "application/zip": "zip",
    "image/tiff": "tif",
}
ISOLATED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment; ``number`` is its place in the resource, ``host`` who keeps what isn't held here.

    ``text`` is None unless it is text; what is neither held here nor elsewhere has no ``data`` and no ``host``.
    """

    number: str
    title: str
    media: str
    data: bytes
    text: str | None
    host: str

    @property
    def is_readable(self) -> bool:
        """Whether it is text that fits on a page."""
        return bool(self.text) and len(self.data) <= LONGEST_TEXT


def of(actor: Actor, body: Resource) -> list[Attachment]:
    """The attachments of a resource; a Binary that one points to only where the actor may see it."""
    return [_attachment(actor, str(number), one) for number, one in enumerate(_named(body), start=1)]


def answer(one: Attachment) -> HttpResponse:
    """The attachment as a browser gets it: text as plain text, PDF and pictures as they are, all else to be saved."""
    name = f"document-{one.number}"
    if one.text is not None:
        return _isolated(one.text.encode(), "text/plain; charset=utf-8", "inline", f"{name}.txt")
    if one.media in SHOWN:
        return _isolated(one.data, one.media, "inline", f"{name}.{SHOWN[one.media]}")
    return _isolated(one.data, "application/octet-stream", "attachment", f"{name}.{OPENED.get(one.media, 'bin')}")


def _isolated(data: bytes, media: str, disposition: str, name: str) -> HttpResponse:
    headers = {
        "Content-Disposition": f'{disposition}; filename="{name}"',
        "Content-Security-Policy": ISOLATED,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(data, content_type=media, headers=headers)


def _named(body: Resource) -> Iterator[dict[str, Any]]:
    if body.get("resourceType") == "Binary":
        yield body
    for content in body.get("content", []):
        yield content.get("attachment", {})
    yield from body.get("presentedForm", [])
    for part in body.get("payload", []):
        if "contentAttachment" in part:
            yield part["contentAttachment"]


def _attachment(actor: Actor, number: str, named: dict[str, Any]) -> Attachment:
    held = named if named.get("data") else _binary(actor, str(named.get("url", "")))
    media = str(named.get("contentType") or held.get("contentType", "")).partition(";")[0].strip().lower()
    data = _decoded(str(held.get("data", "")))
    return Attachment(
        number=number,
        title=str(named.get("title") or _("Attachment")),
        media=media,
        data=data,
        text=_text(data, media),
        host="" if data else _host(str(named.get("url", ""))),
    )


def _binary(actor: Actor, url: str) -> Resource:
    type_, key = references.split(url) or ("", "")
    if type_ != "Binary":
        return {}
    text = access.visible(actor, "Binary").filter(pk=key).values_list("body", flat=True).first()
    body: Resource = loads(text) if text else {}
    return body


def _host(url: str) -> str:
    """The name of the place that a URL points to, and no more of it: the rest may tell of the patient."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(data: bytes, media: str) -> str | None:
    if not media.startswith("text/"):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return reading.plain_text(text) if media == "text/html" else text
