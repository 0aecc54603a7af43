"""How OpenAPI speaks of our bearer tokens. Loaded by `api.v1.base`, so that it is there whenever v1 is."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """``Authorization: Bearer …``."""

    target_class = "api.smart.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, _auto_schema: object) -> dict[str, str]:
        """The scheme of OpenAPI 3."""
        return {"type": "http", "scheme": "bearer"}
