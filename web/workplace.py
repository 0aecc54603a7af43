"""Who works in this browser, for which organisation, in which language and time zone; and what every page may rely on.

`page` is the one door of all staff pages: it signs in, chooses the membership, speaks the user's language, and turns
the house's error categories (`records.errors`) into pages that hold nobody's data.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from records.access import Actor
from records.errors import BatonError, NotFound
from referrals import people
from referrals.models import Calendar, Membership, User
from web.errors import error_page

CHOSEN = "organization"


class StaffRequest(HttpRequest):
    """A request of somebody who is signed in and works for one organisation at this moment."""

    user: User
    actor: Actor
    memberships: list[str]


View = Callable[..., HttpResponse]


def page(view: View) -> Callable[..., HttpResponse]:
    """Wrap a view that takes a `StaffRequest`: nobody else reaches it."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect_to_login(request.get_full_path(), reverse("sign-in"))
        staff = cast("StaffRequest", request)
        with translation.override(staff.user.language or "en"), timezone.override(_zone(staff.user)):
            try:
                _refuse_nul(kwargs)
                return enter(staff) or view(staff, *args, **kwargs)
            except BatonError as error:
                return error_page(staff, error)

    return wrapped


def _refuse_nul(arguments: Mapping[str, str]) -> None:
    """No id has a NUL in it, and PostgreSQL takes no text with one."""
    if any("\0" in value for value in arguments.values()):
        raise NotFound(_("There is no such resource."))


def enter(request: StaffRequest) -> HttpResponse | None:
    """Set ``request.actor`` by the chosen membership; a redirect to the chooser when several are possible."""
    held = Membership.objects.filter(user=request.user).order_by("organization")
    request.memberships = list(held.values_list("organization", flat=True))
    chosen = request.session.get(CHOSEN, "")
    if chosen not in request.memberships:
        if len(request.memberships) > 1:
            return redirect("workplace")
        chosen = request.memberships[0] if request.memberships else None
    request.actor = people.actor_for(request.user, chosen)
    return None


def _zone(user: User) -> ZoneInfo:
    """The user's own time zone, else their organisation's, else UTC."""
    name = user.time_zone or _organisation_zone(user)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _organisation_zone(user: User) -> str:
    organizations = Membership.objects.filter(user=user).values("organization")
    return Calendar.objects.filter(organization__in=organizations).values_list("time_zone", flat=True).first() or "UTC"
