"""The machine interface described for machines (OpenAPI 3) and for people (Swagger UI), open to everybody."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, JsonResponse
from django.urls import include, path, reverse
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

# FHIR describes itself at /fhir/metadata.
DESCRIBED = [path("api/v1/", include("api.v1.urls"))]

# Swagger UI writes styles into the page; its scripts are files of ours.
swagger = csp_update({"style-src": [UNSAFE_INLINE], "img-src": [SELF, "data:"]})(
    SpectacularSwaggerSplitView.as_view(url_name="api-schema", authentication_classes=[], permission_classes=[])
)
schema = SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[], patterns=DESCRIBED)


def index(request: HttpRequest) -> JsonResponse:
    """Where the machine interfaces are, and what describes them."""
    found = {"docs": reverse("api-docs"), "schema": reverse("api-schema"), "fhir": "/fhir/metadata"}
    return JsonResponse({name: request.build_absolute_uri(address) for name, address in found.items()})


urlpatterns = [
    path("", index, name="api"),
    path("v1/", index, name="api-v1"),
    path("docs/", swagger, name="api-docs"),
    path("schema/", schema, name="api-schema"),
]
