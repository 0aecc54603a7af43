"""Our public keys, for the authorisation servers of partners: ``/.well-known/jwks.json`` (RFC 7517 §5), open to everybody."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from fhir_bridge.connecting import keys


@require_safe
def jwks(_request: HttpRequest) -> JsonResponse:
    """The key set; it may be kept for less time than a new key is in it before it signs."""
    cached = f"public, max-age={keys.CACHED_SECONDS}"
    return JsonResponse({"keys": keys.published()}, headers={"Cache-Control": cached})
