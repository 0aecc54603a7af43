"""The loops that follow one request, and what is said there of its reports."""

from django.db.models import Q

from referrals.models import Loop

VOIDING = frozenset({"void", "withdraw-report"})


def line_of(loop: Loop) -> Q:
    """The rows of the loop and of those that follow the same request after its end."""
    request = loop.request_reference
    if not request:
        return Q(loop=loop)
    return Q(loop=loop) | Q(loop__about=request) | Q(loop__request_id=request.removeprefix("ServiceRequest/"))
