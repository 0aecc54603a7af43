"""How the exchange with each partner stands, and the buttons to try again."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from fhir_bridge import operations, status
from fhir_bridge.status import PartnerStatus, Trouble
from records import clock
from records.errors import Conflict, NotFound
from referrals.vocabulary import Words
from web import dues, exchanges, told
from web.workplace import StaffRequest, page

LONGEST_REASON = 500
OPERATORS = frozenset({"coordinator", "supervisor", "administrator"})
STATES: dict[str, Words] = {
    "active": gettext_lazy("active"),
    "paused": gettext_lazy("paused"),
    "rewound": gettext_lazy("restored from a backup"),
    "unknown": gettext_lazy("outcome unknown"),
    "stuck": gettext_lazy("refused"),
    "conflict": gettext_lazy("conflict"),
    "gone": gettext_lazy("deleted there"),
    "held": gettext_lazy("held back by a consent"),
    "quarantined": gettext_lazy("quarantined"),
}


@page
def overview(request: StaffRequest) -> HttpResponse:
    """Each partner whose steward pool is this organisation's: counts, lag, last error, and what a person must look at."""
    organization = request.actor.organization
    partners = [_partner(one) for one in status.overview(organization)]
    troubles = [_trouble(one) for one in status.troubles(organization=organization)]
    more = max(status.number_of_troubles(organization=organization) - len(troubles), 0)
    may = bool(request.actor.roles & OPERATORS)
    context = {"partners": partners, "troubles": troubles, "more": more, "may": may}
    return render(request, "web/sync.html", context)


@page
@require_POST
def retry(request: StaffRequest) -> HttpResponse:
    """Try one thing again now (``key``), or all that is in trouble with one partner (``partner``)."""
    if not request.actor.roles & OPERATORS:
        raise NotFound("No such item.")
    key, partner = request.POST.get("key", ""), request.POST.get("partner", "")
    chosen = status.Filter(partner=partner)
    number = operations.retry_all(chosen, request.actor) if partner else operations.retry(key, request.actor)
    if partner and not number:
        raise NotFound("No such item.")
    again = ngettext("%(count)d will be tried again now.", "%(count)d will be tried again now.", number)
    messages.success(request, again % {"count": number})
    return redirect("sync")


@page
@require_POST
def steer(request: StaffRequest, partner: str, action: str) -> HttpResponse:
    """Pause the exchange with one of this organisation's partners, with a ``reason`` that its page shows, or go on with it."""
    if action not in ("pause", "resume") or not request.actor.roles & OPERATORS:
        raise NotFound("No such item.")
    found = operations.entrusted(partner, request.actor.organization)
    try:
        if action == "pause":
            operations.pause(found, request.actor, request.POST.get("reason", "").strip()[:LONGEST_REASON])
        else:
            operations.resume(found, request.actor)
    except Conflict as refused:
        messages.error(request, refused.message)
    return redirect("sync")


def _stopped(one: PartnerStatus) -> Words:
    """What it means that the exchange stands still, and what comes next; empty while it doesn't."""
    if one.state == "paused":
        return _("It was paused: nothing is sent or read until somebody resumes it.")
    if one.state != "rewound":
        return ""
    if any(run.scope == "rewound" and run.finished_at is None for run in status.reconciled(one.id)):
        return _("Nothing is sent until everything that is linked with it has been read again and somebody resumes it.")
    return _("Everything has been read again: look at the differences below, then resume it.")


def _partner(one: PartnerStatus) -> dict[str, Any]:
    now = clock.now()
    lag = dues.span(one.oldest_at, now) if one.oldest_at else _("none")
    heard = dues.span(one.last_success_at, now) if one.last_success_at else ""
    silent = one.silent_since is not None
    return {
        "id": one.id,
        "name": one.name,
        "address": one.base_url,
        "state": _("silent") if silent else STATES.get(one.state, one.state),
        "tone": "danger" if silent else "good" if one.state == "active" else "warn",
        "is_active": one.state == "active",
        "stopped": _stopped(one),
        "reason": one.state_reason,
        "unread": one.unread,
        "error": told.in_words(one.last_error),
        "failed_at": one.last_failure_at,
        "worked_at": _worked_since(one),
        "troubled": one.troubled,
        **exchanges.health(one),
        "counts": [
            (_("in step"), one.links.get("clean", 0), ""),
            (_("on the way"), one.waiting, "warn" if one.waiting else ""),
            (_("to look at"), one.troubled, "danger" if one.troubled else ""),
            (_("to be applied"), one.inbox.get("pending", 0) + one.inbox.get("waiting", 0), ""),
            (_("waiting since"), lag, "warn" if one.oldest_at else ""),
            (
                _("last heard of"),
                _("%(span)s ago") % {"span": heard} if heard else _("never"),
                "danger" if silent else "",
            ),
        ],
    }


def _worked_since(one: PartnerStatus) -> datetime | None:
    """When the partner last answered, if that was after its last error: what went wrong then is over."""
    if one.last_success_at is None or (one.last_failure_at is not None and one.last_success_at <= one.last_failure_at):
        return None
    return one.last_success_at


def _trouble(one: Trouble) -> dict[str, Any]:
    return {
        "key": one.key,
        "kind": one.key.partition("/")[0],
        "number": one.key.partition("/")[2],
        "partner": one.partner,
        "what": f"{one.type}/{one.local_id or one.remote_id}",
        "state": STATES.get(one.state, one.state),
        "text": told.in_words(one.text),
        "since": one.since,
        "attempts": one.attempts,
        "due_at": one.due_at,
        "loop_id": one.loop_id,
    }
