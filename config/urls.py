"""Where each room's addresses hang."""

from django.urls import URLPattern, URLResolver, include, path

from api.keys import jwks
from config.health import healthz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path(".well-known/jwks.json", jwks),
    path("fhir/", include("api.fhir.urls")),
    path("api/v1/", include("api.v1.urls")),
    path("api/", include("api.docs.urls")),
    path("notify/", include("api.notify.urls")),
    path("", include("web.urls")),
]

handler400, handler403 = "web.errors.bad_request", "web.errors.forbidden"
handler404, handler500 = "web.errors.not_found", "web.errors.failed"
