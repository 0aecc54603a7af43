"""The list to adopt: orders of an import that no loop follows yet, to be taken up or dismissed, one or many."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from records import clock
from records.errors import Forbidden, Incorrect
from referrals import adoption
from referrals.adoption import Candidate, Done, Place
from referrals.pathways import REASONS, codes
from web import organisations, words
from web.workplace import StaffRequest, page


@page
def overview(request: StaffRequest) -> HttpResponse:
    """GET shows what waits (``state=dismissed``: what was dismissed), the oldest first."""
    return _page(request)


@page
@require_POST
def decide(request: StaffRequest) -> HttpResponse:
    """Adopt or dismiss the chosen orders; what failed is named, and what was typed stays."""
    chosen = request.POST.getlist("request")
    if not chosen:
        messages.error(request, _("Choose at least one order."))
        return _page(request, status=422)
    try:
        done = _do(request, chosen)
    except Incorrect as error:
        messages.error(request, error.message)
        return _page(request, status=422, chosen=chosen)
    except Forbidden as error:
        messages.error(request, error.message)
        return _page(request, status=403)
    _tell(request, done)
    return redirect("adopt")


def _do(request: StaffRequest, chosen: list[str]) -> list[Done]:
    if request.POST.get("do") == "dismiss":
        reason, text = request.POST.get("reason", ""), request.POST.get("reason_text", "")
        return adoption.dismiss(request.actor, chosen, reason=reason, text=text)
    return adoption.adopt(request.actor, chosen)


def _tell(request: StaffRequest, done: list[Done]) -> None:
    adopted = sum(bool(one.loop) for one in done)
    dismissed = sum(not one.loop and not one.refused for one in done)
    if adopted:
        told = ngettext(
            "%(count)d order is followed from now on.", "%(count)d orders are followed from now on.", adopted
        )
        messages.success(request, told % {"count": adopted})
    if dismissed:
        told = ngettext("%(count)d order was dismissed.", "%(count)d orders were dismissed.", dismissed)
        messages.success(request, told % {"count": dismissed})
    for one in done:
        if one.refused:
            messages.error(request, f"{one.request}: {one.refused}")


def _page(request: StaffRequest, *, status: int = 200, chosen: list[str] | None = None) -> HttpResponse:
    is_dismissed = request.GET.get("state") == "dismissed"
    state: adoption.State = "dismissed" if is_dismissed else "waiting"
    found = adoption.listed(request.actor, clock.now(), state=state, after=_place(request.GET.get("after", "")))
    names = organisations.names(request.actor, {row.performer for row in found.rows})
    context = {
        "rows": [_row(one, names, chosen or []) for one in found.rows],
        "is_dismissed": is_dismissed,
        "reasons": codes("dismiss"),
        "reason": request.POST.get("reason", ""),
        "reason_text": request.POST.get("reason_text", ""),
        "may": bool(request.actor.roles & adoption.MAY),
        "more_url": _more(found.next, state),
        "here": "adopt",
    }
    return render(request, "web/adopt.html", context, status=status)


def _row(one: Candidate, names: dict[str, str], chosen: list[str]) -> dict[str, Any]:
    return {
        "id": one.request,
        "title": one.title or words.KINDS.get(one.kind, one.kind),
        "kind": one.kind,
        "kind_label": words.KINDS.get(one.kind, one.kind),
        "way": _("to %(name)s") % {"name": names.get(one.performer, one.performer)} if one.performer else "",
        "patient_id": one.patient_id,
        "patient_name": one.patient_name or _("Not known"),
        "priority": one.priority,
        "priority_label": words.PRIORITIES.get(one.priority, one.priority),
        "priority_tone": words.PRIORITY_TONES.get(one.priority, ""),
        "ordered_at": one.ordered_at,
        "needed_by": one.needed_by,
        "reason": REASONS[one.reason_code].label if one.reason_code in REASONS else "",
        "reason_text": one.reason_text,
        "is_chosen": one.request in chosen,
    }


def _more(place: Place | None, state: str) -> str:
    if place is None:
        return ""
    after = f"{place[0].isoformat()}~{place[1]}"
    return f"{reverse('adopt')}?{urlencode({'state': state, 'after': after})}"


def _place(text: str) -> Place | None:
    """The key of the page before; one that makes no sense counts as none."""
    at, _tilde, key = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, key) if moment.tzinfo and "\0" not in key else None
