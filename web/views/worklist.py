"""The worklist: what must be done, by whom, by when; the counts above it; and its filters in the address."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from records import clock
from records.errors import Incorrect
from referrals import escalation, people, reassigning, worklists
from referrals.vocabulary import Words
from referrals.worklists import MOST_COUNTED, Filters
from web.forms import worklist as filtering
from web.forms.people import HandOverForm
from web.forms.worklist import DEFAULTS, FilterForm
from web.lines import lines
from web.views.people import tell
from web.workplace import StaffRequest, page

NOTHING = worklists.Page(rows=[], next="")
SCOPES: tuple[tuple[str, Words], ...] = (("mine", _("Me")), ("team", _("Team")), ("organisation", _("Organisation")))
FACES: dict[str, tuple[Words, str, str]] = {
    "overdue": (_("Overdue"), "danger", "alert"),
    "due-soon": (_("Due within a day"), "warn", "clock"),
    "chase": (_("To be chased"), "danger", "bell"),
    "waiting": (_("Waiting for others"), "info", "wait"),
    "decide": (_("To decide"), "warn", "referral"),
    "review": (_("Reports to review"), "accent", "document"),
    "tell": (_("Patients to tell"), "accent", "person"),
    "mend": (_("Exchanges to mend"), "warn", "sync"),
}


@page
def worklist(request: StaffRequest) -> HttpResponse:
    """GET shows the list that the address says; POST turns the form into such an address."""
    filters = filtering.read(request.GET, request.session)
    if request.method == "POST":
        return redirect(reverse("worklist") + filtering.address(_chosen(request, filters), request.session))
    if wrong := filtering.misunderstood(request.GET):
        said = _("Words of this address are not known here and don't narrow the list: %(filters)s.")
        messages.warning(request, said % {"filters": ", ".join(map(str, wrong))})
    now = clock.now()
    shown = worklists.tiles_of(filters.scope)
    lists = people.lists_at(request.actor, now)
    counts = worklists.tiles(request.actor, now, shown, lists)
    is_unknown = filtering.is_unknown(request.GET, request.session)
    after = request.GET.get("after", "")
    found = NOTHING if is_unknown else worklists.rows(request.actor, filters, now=now, after=after, lists=lists)
    if overdue := [row.handoff_id for row in found.rows if row.due_at <= now]:
        escalation.shown(overdue, lists)
    context = {
        "filters": filters,
        "tiles": _tiles(shown, counts, filters),
        "scopes": [
            (code, label, filtering.address(_scoped(filters, code), request.session), _count(counts.get(code)))
            for code, label in SCOPES
        ],
        "form": FilterForm(initial={name: getattr(filters, name) for name in FilterForm.base_fields}),
        "lines": lines(request.actor, found.rows, now),
        "is_unknown": is_unknown,
        "is_filtered": is_unknown or replace(filters, scope=DEFAULTS.scope) != DEFAULTS,
        "reset_url": filtering.address(Filters(scope=filters.scope)),
        "organisation_url": filtering.address(Filters(scope="organisation")),
        "reassign_form": _hand_over_form(request, found),
        "more_url": filtering.address(filters, request.session, after=found.next) if found.next else "",
    }
    return render(request, "web/worklist.html", context)


@page
@require_POST
def reassign(request: StaffRequest) -> HttpResponse:
    """Give the chosen rows to a colleague, a role or a pool; what could not be given is named."""
    form = HandOverForm([*people.colleagues(request.actor.organization)], request.POST)
    back = request.POST.get("next", "")
    answer = redirect(back if url_has_allowed_host_and_scheme(back, None) else reverse("worklist"))
    if not form.is_valid() or not form.cleaned_data["owner"]:
        messages.error(request, _("Choose who takes it over."))
        return answer
    said = form.cleaned_data
    try:
        done = reassigning.reassign(request.actor, request.POST.getlist("handoff"), said["owner"], note=said["note"])
    except Incorrect as error:
        messages.error(request, error.message)
        return answer
    tell(request, done)
    return answer


def _hand_over_form(request: StaffRequest, found: worklists.Page) -> HandOverForm | None:
    """Where there is anything that this person may give away; the rights are looked at again when it is done."""
    if not any(row.may_hand_over for row in found.rows):
        return None
    return HandOverForm([*people.colleagues(request.actor.organization)])


def _chosen(request: StaffRequest, filters: Filters) -> Filters:
    form = FilterForm(request.POST)
    form.is_valid()
    said = {name: form.cleaned_data.get(name, "") for name in FilterForm.base_fields}
    return replace(filters, **said)


def _scoped(filters: Filters, scope: str) -> Filters:
    return replace(filters, scope=filtering.SCOPES[scope])


def _count(number: int | None) -> str:
    if number is None:
        return ""
    return f"{MOST_COUNTED:,}+" if number > MOST_COUNTED else str(number)


def _tiles(shown: dict[str, Filters], counts: dict[str, int], current: Filters) -> list[dict[str, Any]]:
    """The tiles; behind each is exactly the list that its address shows."""
    return [
        {
            "label": label,
            "tone": tone if counts[code] else "calm",
            "sign": sign,
            "count": _count(counts[code]),
            "url": filtering.address(shown[code]),
            "current": shown[code] == current,
        }
        for code, (label, tone, sign) in FACES.items()
        if code in counts
    ]
