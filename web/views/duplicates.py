"""Records that may be one person's, side by side: somebody says that they are one, or two."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from records.errors import Conflict, NotFound
from records.json import Resource
from referrals.models import Merge
from referrals.upheavals import duplicates
from referrals.upheavals.duplicates import Pair
from web import persons, reading
from web.workplace import StaffRequest, page

SAME, DIFFERENT = "same", "different"


@page
def overview(request: StaffRequest) -> HttpResponse:
    """What waits for an answer, and what people have merged."""
    context = {
        "pairs": [_pair(one) for one in duplicates.waiting(request.actor)],
        "merged": [_merged(*one) for one in duplicates.merged(request.actor)],
        "may": duplicates.may_decide(request.actor),
        "here": "patients",
    }
    return render(request, "web/duplicates.html", context)


@page
@require_POST
def answer(request: StaffRequest, pair: str) -> HttpResponse:
    """``keep`` names the record that counts from now on; without it they are two people."""
    key, keep = int(pair) if pair.isascii() and pair.isdecimal() and len(pair) < 18 else 0, request.POST.get("keep", "")  # noqa: PLR2004 (a bigint)
    try:
        if keep:
            duplicates.unite(key, keep, request.actor)
            messages.success(request, _("From now on both records count as one person's. It can be undone below."))
        else:
            duplicates.part(key, request.actor)
            messages.success(request, _("They are two people. Nobody is asked about them again."))
    except Conflict as error:
        messages.error(request, error.message)
    return redirect("duplicates")


@page
@require_POST
def undo(request: StaffRequest) -> HttpResponse:
    """Take a merge back that a person has made."""
    source = request.POST.get("patient", "")
    if not source or "\0" in source:
        raise NotFound("No such patient.")
    try:
        duplicates.undo(source, request.actor)
    except Conflict as error:
        messages.error(request, error.message)
        return redirect("duplicates")
    messages.success(request, _("What had followed is back where it was, and the two are asked about again."))
    return redirect("duplicates")


def _pair(one: Pair) -> dict[str, Any]:
    first, second = _side(one.first), _side(one.second)
    if first["number"] == second["number"]:  # without numbers, or with one: they are told apart by their columns
        first["number"], second["number"] = "1", "2"
    sides = zip(persons.identity(one.first), persons.identity(one.second), strict=True)
    return {
        "id": one.id,
        "reasons": one.reasons,
        "first": first,
        "second": second,
        "rows": [
            {"label": label, "first": mine, "second": other, "verdict": _verdict(mine, other)}
            for (label, mine), (_label, other) in sides
        ],
    }


def _side(body: Resource) -> dict[str, str]:
    return {
        "id": body["id"],
        "name": reading.person_name(body) or _("Name not known"),
        "number": reading.identifier(body),
    }


def _verdict(first: str, second: str) -> str:
    if not first or not second:
        return ""
    return SAME if first.casefold() == second.casefold() else DIFFERENT


def _merged(one: Merge, source: Resource, target: Resource) -> dict[str, Any]:
    return {"source": _side(source), "target": _side(target), "at": one.merged_at, "by": one.merged_by}
