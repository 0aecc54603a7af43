"""One table turns an error category into a page; none of them tells whether what may not be seen exists."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from records import errors
from referrals.vocabulary import Words

STATUS: dict[type[errors.BatonError], int] = {
    errors.Malformed: 400,
    errors.Incorrect: 400,
    errors.Unauthenticated: 403,
    errors.Forbidden: 404,
    errors.NotFound: 404,
    errors.Gone: 404,
    errors.Conflict: 409,
    errors.Stale: 409,
    errors.Unsupported: 404,
    errors.Throttled: 429,
    errors.Unavailable: 503,
}

WORDS: dict[int, tuple[Words, Words]] = {
    400: (_("This request can't be understood"), _("Go back, check what you entered and try again.")),
    403: (_("This can't be done from here"), _("Open the page again and try once more; sign in if you are asked to.")),
    404: (_("There is nothing here"), _("It may have been moved, or it is not for the organisation you work for now.")),
    409: (_("Somebody else was faster"), _("What you saw has changed meanwhile. Look at it again before you go on.")),
    429: (_("Too many tries"), _("For safety, signing in is paused. Wait a while, or ask your administrator.")),
    500: (
        _("Something went wrong"),
        _("Nothing that you had saved is lost. Try again; if it stays, tell your administrator."),
    ),
    503: (_("Not available just now"), _("A part that Baton needs doesn't answer. Try again in a minute.")),
}
BROKEN = frozenset({500, 503})


def error_page(request: HttpRequest, error: errors.BatonError) -> HttpResponse:
    """The page for an error of ours (500 for a category that the table lacks)."""
    return plain(request, STATUS.get(type(error), 500))


def plain(request: HttpRequest, status: int) -> HttpResponse:
    """A page for one status with fixed words, free of data; where something is broken, without asking the database."""
    title, advice = WORDS[status]
    context = {"status": status, "title": title, "advice": advice}
    if status in BROKEN:
        return HttpResponse(render_to_string("web/error.html", context), status=status)
    return render(request, "web/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return plain(request, 400)


def forbidden(
    request: HttpRequest,
    exception: Exception | None = None,
    reason: str = "",
) -> HttpResponse:
    """403, also Django's answer to a missing CSRF token (``settings.CSRF_FAILURE_VIEW``)."""
    return plain(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return plain(request, 404)


def failed(request: HttpRequest) -> HttpResponse:
    """500."""
    return plain(request, 500)
