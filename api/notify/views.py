"""A notification comes in: proved, noted as a hint, answered. Nothing of it is applied here, and nothing told to strangers."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from fhir_bridge.notifying import hints
from records.errors import NotFound


@csrf_exempt  # no cookie is looked at
@require_http_methods(["POST", "PUT"])
def notify(request: HttpRequest, key: str, path: str) -> HttpResponse:
    """200 once it is noted; 413 above `hints.MAX_BYTES`; 404 for whoever doesn't know the key and the secret.

    POST: https://hl7.org/fhir/R4/subscription.html#rest, the R4 backport, Medplum. PUT: HAPI, ``…/Type/id``.
    """
    if _length(request) > hints.MAX_BYTES:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    headers = request.headers
    try:
        hints.receive(
            key,
            request.body,
            path=path,
            secret=headers.get(hints.SECRET_HEADER, ""),
            signature=headers.get(hints.SIGNATURE_HEADER, ""),
        )
    except NotFound:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    return HttpResponse(status=HTTPStatus.OK)


def _length(request: HttpRequest) -> int:
    """The announced length; a body of unannounced length is not read."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
