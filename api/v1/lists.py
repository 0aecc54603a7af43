"""A page of a worklist as v1 gives it, for the addresses that do."""

from dataclasses import dataclass

import django_filters
from rest_framework.request import Request

from api.v1 import filters
from records import clock
from records.access import Actor
from referrals import worklists
from referrals.models import Loop
from referrals.models.loops import Priority
from referrals.pathways import HANDOFFS, STAGES
from referrals.worklists import LABELS, Filters, Row

WORDS = {
    "kind": Loop.Kind.values,
    "handoff": [*HANDOFFS],
    "stage": sorted({code for _kind, code in STAGES}),
    "priority": Priority.values,
    "label": [*LABELS],
}
WorklistFilterSet = filters.filter_set(Filters, words=WORDS)
HandoffFilterSet = filters.filter_set(Filters, words=WORDS, without=["scope"])


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Open handoffs, the most urgent first, then by due time; ``next`` is the cursor of the page after, null at the end."""

    rows: list[Row]
    next: str | None


def worklist_page(actor: Actor, request: Request, kind: type[django_filters.FilterSet], **fixed: str) -> WorklistPage:
    """The page that the query parameters ask for; ``fixed`` are filters that they can't change."""
    wanted = Filters(**filters.given(filters.read(request, kind)), **fixed)  # type: ignore[arg-type]
    found = worklists.rows(
        actor,
        wanted,
        now=clock.now(),
        after=request.query_params.get("after", ""),
        limit=filters.limit(request),
    )
    return WorklistPage(found.rows, found.next or None)
