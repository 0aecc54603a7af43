"""Reading and writing ``application/fhir+json``, and choosing it (https://hl7.org/fhir/R4/http.html#mime-type)."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAcceptable, UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from records import json
from records.parse import MAX_BYTES, parse

FORMATS = {
    "json": "application/fhir+json",
    "application/fhir+json": "application/fhir+json",
    "application/fhir json": "application/fhir+json",
    "application/json": "application/json",
    "text/json": "application/json",
    "*/*": "application/fhir+json",
    "application/*": "application/fhir+json",
}


def django_request(request: Request) -> HttpRequest:
    """Django's own request inside that of Django REST framework, which knows neither charset nor accepted types."""
    inner: HttpRequest = request._request  # noqa: SLF001 (there is no public way)
    return inner


class FhirJsonParser(BaseParser):
    """Bytes of a request to a plain resource, through the guards of `records.parse`."""

    media_type = "application/fhir+json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> json.Resource:
        """Return the resource; raise `Malformed` for what can't be read, 415 for another charset or a compressed body."""
        request = django_request((parser_context or {})["request"])
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower().replace("-", "") != "utf8":
            raise UnsupportedMediaType(media_type or "", _("FHIR JSON is always UTF-8."))
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMediaType(media_type or "", _("Compressed requests are not supported."))
        return parse(stream.read(MAX_BYTES + 1))


class PlainJsonParser(FhirJsonParser):
    """The same under the general media type."""

    media_type = "application/json"


class FhirJsonRenderer(BaseRenderer):
    """A resource to bytes; text is taken for JSON that is ready, so that stored bodies leave unchanged."""

    media_type = "application/fhir+json"
    format = "json"
    charset = "utf-8"

    def render(
        self,
        data: json.Resource | str | None,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return UTF-8 bytes, none for None."""
        if data is None:
            return b""
        return (data if isinstance(data, str) else json.dumps(data)).encode()


class PlainJsonRenderer(FhirJsonRenderer):
    """The same under the general media type."""

    media_type = "application/json"


class Negotiation(DefaultContentNegotiation):
    """``_format`` first, then ``Accept`` by quality; a charset or fhirVersion parameter makes no difference."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type; raise `NotAcceptable` when only others (such as XML) are accepted."""
        offered = {renderer.media_type: renderer for renderer in renderers}
        for name in self._wanted(request):
            if renderer := offered.get(FORMATS.get(name, "")):
                return renderer, renderer.media_type
        raise NotAcceptable(_("Only FHIR JSON is offered: application/fhir+json or application/json."))

    def _wanted(self, request: Request) -> list[str]:
        given = request.query_params.get("_format", "").partition(";")[0].strip().lower()
        if given:
            return [given]
        accepted = django_request(request).accepted_types
        return [f"{kind.main_type}/{kind.sub_type}".lower() for kind in accepted] or ["*/*"]
