"""Signing in and out, choosing the organisation to work for, and the language."""

import unicodedata

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from records.models import Tenant
from referrals.models import Membership, User
from web.errors import plain
from web.forms.account import SignInForm
from web.workplace import CHOSEN, StaffRequest

YEAR = 365 * 24 * 3600


class SignIn(LoginView):
    """Name and password; django-axes counts the failures."""

    template_name = "web/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: SignInForm) -> HttpResponse:  # type: ignore[override]
        """Sign in, and speak the user's language from the first page on."""
        response = super().form_valid(form)
        user = form.get_user()
        if isinstance(user, User):
            _remember_language(response, user.language)
        return response


class SignOut(LogoutView):
    """By POST alone."""

    next_page = "sign-in"


def locked_out(request: HttpRequest, *_told: object, **_named: object) -> HttpResponse:
    """What django-axes answers once the tries are used up (``settings.AXES_LOCKOUT_CALLABLE``)."""
    return plain(request, 429)


def username_for_counting(request: HttpRequest, credentials: dict[str, str] | None = None) -> str:
    """The name that tries are counted for, folded, so that spellings of one name share one count."""
    typed = (credentials or {}).get("username") or request.POST.get("username", "")
    return unicodedata.normalize("NFKC", typed).casefold()


@login_required
def workplace(request: StaffRequest) -> HttpResponse:
    """Which organisation somebody with several memberships works for now; kept in the session."""
    held = list(Membership.objects.filter(user=request.user))
    if request.method == "POST":
        chosen = request.POST.get("organization", "")
        if any(membership.organization == chosen for membership in held):
            request.session[CHOSEN] = chosen
            return redirect("worklist")
    names = dict(Tenant.objects.filter(pk__in=[m.organization for m in held]).values_list("pk", "name"))
    choices = [(m.organization, names.get(m.organization, m.organization), m.roles) for m in held]
    return render(request, "web/workplace.html", {"choices": choices, "chosen": request.session.get(CHOSEN)})


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language, for this browser and for the signed-in user; back to the page it was asked from."""
    code = request.POST.get("language", "")
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    response = redirect(back if safe else reverse("worklist"))
    if code in dict(settings.LANGUAGES):
        _remember_language(response, code)
        if isinstance(request.user, User):
            User.objects.filter(pk=request.user.pk).update(language=code)
    return response


@login_required
@require_POST
def mail(request: StaffRequest) -> HttpResponse:
    """Switch e-mail about overdue work on (``wants`` is "yes") or off for the signed-in user."""
    wants = request.POST.get("wants") == "yes"
    User.objects.filter(pk=request.user.pk).update(wants_mail=wants)
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if safe else reverse("worklist"))


def _remember_language(response: HttpResponse, code: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=YEAR,
        samesite="Lax",
        httponly=True,
        secure=settings.LANGUAGE_COOKIE_SECURE,
    )
