"""What every address of the FHIR interface has in common."""

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.permissions import IsAuthenticated
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

    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsAuthenticated,)
    parser_classes = (FhirJsonParser, PlainJsonParser)
    renderer_classes = (FhirJsonRenderer, PlainJsonRenderer)
    content_negotiation_class = Negotiation
    http_method_names = ["get", "head", "post", "put", "delete", "patch"]

    @property
    def actor(self) -> Actor:
        """Who calls."""
        found: Actor = self.request.auth
        return found

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a type that R4 doesn't know, once the caller is known."""
        super().initial(request, *args, **kwargs)
        if "type_name" in kwargs:
            known(kwargs["type_name"])

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Always the table of `api.fhir.errors`."""
        return errors.handle

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Give the request its id back."""
        finished: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)
        finished["X-Request-ID"] = headers.request_id(request)
        return finished


class NowhereView(FhirView):
    """Every address that means nothing."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A known caller is told so; an unknown one hears first that a token is needed."""
        super().initial(request, *args, **kwargs)
        raise NotFound("There is nothing at this address.")


def known(type_name: str) -> None:
    """Raise `NotFound` for a name that is no R4 type."""
    try:
        row_class(type_name)
    except Unsupported as error:
        raise NotFound(error.message, Issue(error.message, code="not-supported")) from error
