"""Who works in this browser, for which organisation, in which language and time zone; and what every page may rely on.

`page` is the one door of all staff pages: it signs in, chooses the membership, speaks the user's language, and turns
the house's error categories (`records.errors`) into pages that hold nobody's data.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from records.access import Actor
from records.errors import BatonError, Malformed, NotFound
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

# The addresses that only take a form, by name: whoever opens one is led to the page that it belongs to.
FORM_ADDRESSES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "act": lambda of: reverse("loop", args=[of["loop_id"]]),
    "compose-for": lambda _of: reverse("new-referral"),
    "compose-discard": lambda of: reverse("compose", args=[of["kind"], "patient"]),
    "adopt-decide": lambda _of: reverse("adopt"),
    "reassign": lambda _of: reverse("worklist"),
    **dict.fromkeys(("surrogate", "absence-end", "hand-over"), lambda _of: reverse("people")),
    **dict.fromkeys(("patient-died", "patient-lives"), lambda of: reverse("patient", args=[of["patient_id"]])),
    **dict.fromkeys(("duplicate", "duplicate-undo"), lambda _of: reverse("duplicates")),
    "sync-retry": lambda _of: reverse("sync"),
}


def page(view: View) -> Callable[..., HttpResponse]:
    """Wrap a view that takes a `StaffRequest`: nobody else reaches it."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect_to_login(_asked_for(request), reverse("sign-in"))
        if _is_reading(request) and _page_behind(request.resolver_match):
            return redirect(_asked_for(request))
        staff = cast("StaffRequest", request)
        with translation.override(staff.user.language or "en"), timezone.override(_zone(staff.user)):
            try:
                _refuse_nul(staff, kwargs)
                return enter(staff) or view(staff, *args, **kwargs)
            except BatonError as error:
                return error_page(staff, error)

    return wrapped


def _asked_for(request: HttpRequest) -> str:
    """The page that somebody wants to see: of a form the one that it stands on, since its address can't be opened."""
    behind = _page_behind(request.resolver_match)
    if _is_reading(request):
        return behind or request.get_full_path()
    is_action = request.resolver_match is not None and request.resolver_match.url_name == "act"
    return behind if is_action else _came_from(request) or reverse("worklist")


def _came_from(request: HttpRequest) -> str:
    """Our own page that the browser says it comes from; empty for none."""
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}):
        return ""
    address = urlsplit(referer)
    try:
        behind = _page_behind(resolve(address.path))
    except Resolver404:
        return ""
    return behind or address._replace(scheme="", netloc="", fragment="").geturl()


def _page_behind(match: ResolverMatch | None) -> str:
    """The page that an address for forms belongs to; empty for every other address."""
    find = FORM_ADDRESSES.get(match.url_name or "") if match else None
    return find(match.kwargs) if match and find else ""


def _is_reading(request: HttpRequest) -> bool:
    return request.method in ("GET", "HEAD")


def _refuse_nul(request: HttpRequest, arguments: Mapping[str, str]) -> None:
    """No id and nothing that can be typed has a NUL in it, and PostgreSQL takes no text with one."""
    if any("\0" in value for value in arguments.values()):
        raise NotFound(_("There is no such resource."))
    if any("\0" in text for name, values in request.POST.lists() for text in (name, *values)):
        raise Malformed(_("A text can't hold the character NUL."))


def enter(request: StaffRequest) -> HttpResponse | None:
    """Set ``request.actor`` by the chosen membership; a redirect to the chooser when several are possible."""
    held = {one.organization: one for one in Membership.objects.filter(user=request.user).order_by("organization")}
    request.memberships = [*held]
    chosen = request.session.get(CHOSEN, "")
    if chosen not in request.memberships:
        if len(request.memberships) > 1:
            return redirect("workplace")
        chosen = request.memberships[0] if request.memberships else None
    request.actor = people.actor_as(request.user, held.get(chosen or ""))
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
