"""The one table from error category to HTTP and OperationOutcome, used as Django REST framework's exception handler.

An error that nobody foresaw answers 500 without any detail; its type and place go to the log, never its message, which
may hold a patient's data.
"""

import logging
import math
import traceback
from typing import Any, NamedTuple

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response

from api.fhir.outcomes import outcome
from records import errors
from records.errors import Issue

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a category becomes: the HTTP status, and the issue code where the issue itself names none."""

    status: int
    code: str


ANSWERS: dict[type[Exception], Answer] = {
    errors.Malformed: Answer(400, "structure"),
    errors.Incorrect: Answer(422, "invariant"),
    errors.Unauthenticated: Answer(401, "login"),
    errors.Forbidden: Answer(403, "forbidden"),
    errors.NotFound: Answer(404, "not-found"),
    errors.Gone: Answer(410, "deleted"),
    errors.Conflict: Answer(409, "conflict"),
    errors.Stale: Answer(412, "conflict"),
    errors.Unsupported: Answer(422, "not-supported"),
    errors.Throttled: Answer(429, "throttled"),
    errors.Unavailable: Answer(503, "transient"),
    exceptions.NotAuthenticated: Answer(401, "login"),
    exceptions.AuthenticationFailed: Answer(401, "login"),
    exceptions.PermissionDenied: Answer(403, "forbidden"),
    exceptions.ParseError: Answer(400, "structure"),
    exceptions.MethodNotAllowed: Answer(405, "not-supported"),
    exceptions.NotAcceptable: Answer(406, "not-supported"),
    exceptions.UnsupportedMediaType: Answer(415, "not-supported"),
    exceptions.Throttled: Answer(429, "throttled"),
    RequestDataTooBig: Answer(413, "too-long"),
    SuspiciousOperation: Answer(400, "structure"),
    OperationalError: Answer(503, "transient"),
    InterfaceError: Answer(503, "transient"),
}
UNFORESEEN = Answer(500, "exception")
UNSPECIFIC = "invalid"


def handle(error: Exception, _context: dict[str, Any]) -> Response:
    """Turn any exception into a response that carries an OperationOutcome."""
    answer = _answer_for(error)
    if answer is UNFORESEEN:
        log_place(error)
    response = Response(outcome(_issues(error, answer)), status=answer.status)
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if isinstance(error, errors.Throttled):
        response["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _answer_for(error: Exception) -> Answer:
    for category in type(error).__mro__:
        if category in ANSWERS:
            return ANSWERS[category]
    return UNFORESEEN


def _issues(error: Exception, answer: Answer) -> list[Issue]:
    """The error's own findings; Baton's errors say what they mean, everybody else's get our words."""
    if isinstance(error, errors.BatonError):
        return [
            Issue(issue.text, issue.expression, answer.code if issue.code == UNSPECIFIC else issue.code, issue.severity)
            for issue in error.issues
        ]
    return [Issue(_words(error), code=answer.code)]


def _words(error: Exception) -> str:
    if isinstance(error, exceptions.APIException):
        return str(error.detail)
    if isinstance(error, RequestDataTooBig):
        return _("The request is too big.")
    if isinstance(error, SuspiciousOperation):
        return _("The request can't be read.")
    if isinstance(error, OperationalError | InterfaceError):
        return _("The database doesn't answer now; try again later.")
    return _("An unexpected error occurred. It has been logged.")


def log_place(error: Exception) -> None:
    """Log which error nobody foresaw, and where; not its message."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("unforeseen %s at %s:%s", type(error).__name__, place.filename, place.lineno)
