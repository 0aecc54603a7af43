"""Where each room's addresses hang."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from config.health import healthz

MOUNTS = (("fhir/", "api.fhir.urls"), ("api/v1/", "api.v1.urls"), ("api/", "api.docs.urls"), ("", "web.urls"))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


urlpatterns: list[URLPattern | URLResolver] = [path("healthz", healthz)]
urlpatterns += [path(route, include(module)) for route, module in MOUNTS if _is_there(module)]

handler400, handler403 = "web.errors.bad_request", "web.errors.forbidden"
handler404, handler500 = "web.errors.not_found", "web.errors.failed"
