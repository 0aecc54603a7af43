"""What every address of the FHIR interface has in common."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.fhir import errors, headers
from api.fhir.media import FhirJsonParser, FhirJsonRenderer, Negotiation, PlainJsonParser, PlainJsonRenderer
from api.smart.authentication import BearerAuthentication
from records.access import Actor
from records.errors import Issue, NotFound, Unsupported
from records.types import row_class


class FhirView(APIView):
    """FHIR JSON in and out, a bearer token, and an OperationOutcome for every error."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (BearerAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated,)
    parser_classes: Sequence[type[BaseParser]] = (FhirJsonParser, PlainJsonParser)
    renderer_classes: Sequence[type[BaseRenderer]] = (FhirJsonRenderer, PlainJsonRenderer)
    content_negotiation_class = Negotiation
    schema = None  # FHIR tells its interactions in the CapabilityStatement, not in OpenAPI
    http_method_names = ["get", "head", "post", "put", "patch"]

    @property
    def actor(self) -> Actor:
        """Who calls."""
        return cast("Actor", self.request.auth)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a type that R4 doesn't know, once the caller is known."""
        super().initial(request, *args, **kwargs)
        if "type_name" in kwargs:
            known(kwargs["type_name"])

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Always the table of `api.fhir.errors`."""
        return errors.handle

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Give the request its id back."""
        finished = super().finalize_response(request, response, *args, **kwargs)
        finished["X-Request-ID"] = headers.request_id(request)
        return finished


class NowhereView(FhirView):
    """Every address that means nothing."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A known caller is told so; an unknown one hears first that a token is needed."""
        super().initial(request, *args, **kwargs)
        raise NotFound(_("There is nothing at this address."))


def known(type_name: str) -> None:
    """Raise `NotFound` for a name that is no R4 type."""
    try:
        row_class(type_name)
    except Unsupported as error:
        raise NotFound(error.message, Issue(error.message, code="not-supported")) from error
