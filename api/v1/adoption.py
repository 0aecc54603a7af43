"""Orders that came with an import and that nobody follows yet: list them, adopt them, dismiss them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import cursors, filters, inputs, shapes
from api.v1.base import Endpoint, Needs
from records import clock
from referrals import adoption
from referrals.adoption import Candidate, Done
from referrals.pathways import codes

PROBLEM = shapes.Problem


@dataclass(frozen=True, slots=True)
class AdoptionFilters:
    """Which orders: those that wait (the default), or those that were dismissed."""

    state: Literal["waiting", "dismissed", ""] = ""


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """Orders to adopt, the oldest first; ``next`` is the cursor of the page after, null on the last."""

    rows: list[Candidate]
    next: str | None


@dataclass(frozen=True, slots=True)
class DoneList:
    """What became of each order: ``loop`` is the loop that adopted it, ``refused`` why nothing was done."""

    done: list[Done]


class AdoptBody(serializers.Serializer[Any]):
    """Ids of the ServiceRequests."""

    requests = serializers.ListField(child=serializers.CharField(max_length=64), min_length=1, max_length=adoption.MOST)


class DismissBody(AdoptBody):
    """Why they need no loop; words are required for the reason "other"."""

    reason = serializers.ChoiceField([code for code, _label in codes("dismiss")])
    reason_text = serializers.CharField(max_length=2_000, default="", allow_blank=True)


AdoptionFilterSet = filters.filter_set(AdoptionFilters)


class Adoption(Endpoint):
    """The list to adopt of the caller's organisation."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": (("ServiceRequest", "s"), ("Patient", "s")),
        "adopt": (("Task", "c"), ("ServiceRequest", "r")),
        "dismiss": (("Task", "c"), ("ServiceRequest", "r")),
    }

    @extend_schema(
        parameters=filters.parameters(AdoptionFilterSet), responses={200: shapes.of(CandidatePage), 400: PROBLEM}
    )
    def list(self, request: Request) -> Response:
        """List active orders of an import that have no outcome and no loop, and are younger than twelve months."""
        wanted = filters.given(filters.read(request, AdoptionFilterSet))
        after = cursors.decode(request.query_params.get("after", ""), datetime, str)
        found = adoption.listed(
            self.actor,
            clock.now(),
            state=wanted.get("state", "waiting"),
            after=(after[0], after[1]) if after else None,
            limit=filters.limit(request),
        )
        return Response(CandidatePage(found.rows, cursors.encode(found.next) if found.next else None))

    @extend_schema(request=AdoptBody, responses={200: shapes.of(DoneList), 422: PROBLEM})
    @action(detail=False, methods=["post"])
    def adopt(self, request: Request) -> Response:
        """Open a loop for each order, each by itself; adopting one twice opens one loop."""
        body = inputs.read(AdoptBody, request)
        return Response(DoneList(adoption.adopt(self.actor, body["requests"])))

    @extend_schema(request=DismissBody, responses={200: shapes.of(DoneList), 422: PROBLEM})
    @action(detail=False, methods=["post"])
    def dismiss(self, request: Request) -> Response:
        """Take orders off the list for a reason; a dismissed one can still be adopted."""
        body = inputs.read(DismissBody, request)
        reason, text = body["reason"], body["reason_text"]
        return Response(DoneList(adoption.dismiss(self.actor, body["requests"], reason=reason, text=text)))
