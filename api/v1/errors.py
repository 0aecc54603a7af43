"""The one table that turns an error's category into HTTP, as a problem document (RFC 9457).

``{"type": "…", "title": "…", "status": 409, "category": "stale", "detail": "…", "issues": [{"text", "expression"}]}``.
Details name elements, rules and what is possible now; never a patient, a statement or a trace.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from api.fhir.errors import log_place
from records import errors
from records.errors import BatonError

PROBLEM_JSON = "application/problem+json"


class Answer(NamedTuple):
    """What an error becomes: the HTTP status, and the category that a program can rely on."""

    status: HTTPStatus
    category: str


ANSWERS: Mapping[type[Exception], Answer] = {
    errors.Malformed: Answer(HTTPStatus.BAD_REQUEST, "malformed"),
    errors.Incorrect: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "incorrect"),
    errors.Unauthenticated: Answer(HTTPStatus.UNAUTHORIZED, "unauthenticated"),
    errors.Forbidden: Answer(HTTPStatus.FORBIDDEN, "forbidden"),
    errors.NotFound: Answer(HTTPStatus.NOT_FOUND, "not-found"),
    errors.Gone: Answer(HTTPStatus.GONE, "gone"),
    errors.Conflict: Answer(HTTPStatus.CONFLICT, "conflict"),
    errors.Stale: Answer(HTTPStatus.CONFLICT, "stale"),
    errors.Unsupported: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "unsupported"),
    errors.Throttled: Answer(HTTPStatus.TOO_MANY_REQUESTS, "throttled"),
    errors.Unavailable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    exceptions.NotAuthenticated: Answer(HTTPStatus.UNAUTHORIZED, "unauthenticated"),
    exceptions.AuthenticationFailed: Answer(HTTPStatus.UNAUTHORIZED, "unauthenticated"),
    exceptions.PermissionDenied: Answer(HTTPStatus.FORBIDDEN, "forbidden"),
    exceptions.ParseError: Answer(HTTPStatus.BAD_REQUEST, "malformed"),
    exceptions.MethodNotAllowed: Answer(HTTPStatus.METHOD_NOT_ALLOWED, "unsupported"),
    exceptions.NotAcceptable: Answer(HTTPStatus.NOT_ACCEPTABLE, "unsupported"),
    exceptions.UnsupportedMediaType: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported"),
    exceptions.Throttled: Answer(HTTPStatus.TOO_MANY_REQUESTS, "throttled"),
    Http404: Answer(HTTPStatus.NOT_FOUND, "not-found"),
    PermissionDenied: Answer(HTTPStatus.FORBIDDEN, "forbidden"),
    RequestDataTooBig: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "malformed"),
    SuspiciousOperation: Answer(HTTPStatus.BAD_REQUEST, "malformed"),
    DataError: Answer(HTTPStatus.BAD_REQUEST, "malformed"),  # a value that no column can hold, such as a NUL
    OperationalError: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    InterfaceError: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
}
UNFORESEEN = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "unforeseen")


def handle(error: Exception, _context: Mapping[str, Any]) -> Response:
    """Turn any exception into a problem document."""
    set_rollback()
    answer = next((ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS), UNFORESEEN)
    if answer is UNFORESEEN:
        log_place(error)
    response = Response(_problem(error, answer), status=answer.status, content_type=PROBLEM_JSON)
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if isinstance(error, errors.Throttled):
        response["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _problem(error: Exception, answer: Answer) -> dict[str, Any]:
    issues = error.issues if isinstance(error, BatonError) else ()
    return {
        "type": f"urn:baton:error:{answer.category}",
        "title": answer.status.phrase,
        "status": answer.status.value,
        "category": answer.category,
        "detail": _words(error, answer),
        "issues": [{"text": str(issue.text), "expression": issue.expression} for issue in issues],
    }


def _words(error: Exception, answer: Answer) -> str:
    """Baton's errors and the framework's say what they mean; everybody else's get our words."""
    if isinstance(error, BatonError):
        return str(error.message)
    if isinstance(error, exceptions.APIException):
        return str(error.detail)
    if answer is UNFORESEEN:
        return _("An unexpected error occurred. It has been logged.")
    return _("The request can't be answered: %(reason)s.") % {"reason": answer.status.phrase.lower()}
