"""One failed exchange in full, for the partner's stewards: both versions or what came, and what may be done about it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fhir_bridge import operations, status
from records.errors import Conflict, Forbidden, Incorrect, Malformed, NotFound, Stale
from referrals.pathways.reasons import codes
from web import told
from web.views.sync import STATES
from web.workplace import StaffRequest, page

_SAID = (Incorrect, Malformed, Stale, Conflict, Forbidden)


@page
def item(request: StaffRequest, kind: str, number: str) -> HttpResponse:
    """Both versions of a link, or what came, with the ways to mend it; that it was looked at is audited."""
    shown = operations.show(f"{kind}/{number}", request.actor)
    trouble = shown.trouble
    about: dict[str, Any] = {
        "kind": kind,
        "number": number,
        "shown": shown,
        "trouble": trouble,
        "why": told.in_words(trouble.text),
        "what": f"{trouble.type}/{trouble.local_id or trouble.remote_id}",
        "state": STATES.get(trouble.state, trouble.state),
        "clashes": shown.comparison is not None and any(row.is_clash for row in shown.comparison.rows),
        "reasons": codes("discard"),
    }
    return render(request, "web/sync_item.html", about)


@page
@require_POST
def mend(request: StaffRequest, kind: str, number: str, action: str) -> HttpResponse:
    """Do one of `ACTIONS` to it; what stands in the way is said on its page."""
    if action not in ACTIONS:
        raise NotFound("No such page.")
    try:
        ACTIONS[action](request, f"{kind}/{number}")
    except _SAID as error:
        messages.error(request, error.message)
        return redirect("sync-item", kind, number)
    messages.success(request, _("It is done."))
    return redirect("sync")


def _retry_all(request: StaffRequest, key: str) -> None:
    like = operations.show(key, request.actor).trouble
    operations.retry_all(status.Filter(like.partner, like.type, like.state, like.category), request.actor)


def _resolve(request: StaffRequest, key: str) -> None:
    named = {name.removeprefix("whose-"): side for name, side in request.POST.items() if name.startswith("whose-")}
    operations.resolve(key, request.actor, {name: str(side) for name, side in named.items()})


def _correct(request: StaffRequest, key: str) -> None:
    version = request.POST.get("version", "")
    number = int(version) if version.isascii() and version.isdigit() else 0
    operations.correct(key, request.actor, request.POST.get("text", ""), version=number)


def _discard(request: StaffRequest, key: str) -> None:
    said = request.POST
    operations.discard(key, request.actor, reason=said.get("reason", ""), text=said.get("words", ""))


ACTIONS: dict[str, Callable[[StaffRequest, str], object]] = {
    "retry": lambda request, key: operations.retry(key, request.actor),
    "retry-all": _retry_all,
    "resolve": _resolve,
    "correct": _correct,
    "recreate": lambda request, key: operations.recreate(key, request.actor),
    "discard": _discard,
}
