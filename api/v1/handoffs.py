"""One handoff: what it is, what this caller may do with it now, and doing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import filters, inputs, shapes
from api.v1.base import Endpoint, Needs
from api.v1.lists import HandoffFilterSet, WorklistPage, worklist_page
from records import access, clock
from records.access import Actor
from records.errors import NotFound
from referrals import reassigning, workflow
from referrals.models import Handoff, Owner
from referrals.pathways import STAGES
from referrals.plausible import validate_happened, validate_reach
from referrals.reassigning import Handed
from referrals.vocabulary import Words
from referrals.worklists import Filters


@dataclass(frozen=True, slots=True)
class Party:
    """Whoever holds something: a person, role, pool, organisation or partner; ``id`` is that of their FHIR resource."""

    kind: str
    id: str
    name: str
    organization: str


@dataclass(frozen=True, slots=True)
class HandoffState:
    """A responsibility as it stands now. Times are UTC; an open one that is past ``due_at`` is overdue."""

    id: str
    loop: str
    loop_kind: str
    kind: str
    stage: str
    stage_label: Words
    version: int
    owner: Party
    list: Party
    opened_at: datetime
    stage_since: datetime
    due_at: datetime
    needed_by: datetime | None
    closed_at: datetime | None
    is_overdue: bool
    focus: str
    reason_code: str
    reason_text: str


@dataclass(frozen=True, slots=True)
class ActionField:
    """One thing that an action needs to know; ``codes`` are [code, label] pairs, ``types`` the FHIR types of a reference."""

    name: str
    kind: str
    label: Words
    required: bool
    codes: tuple[tuple[str, Words], ...]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AvailableAction:
    """An action that the caller may take now, with what it needs to know.

    ``attested``: it is the performer's, entered by staff who were told of it; to be sent with ``attested`` true.
    """

    action: str
    label: Words
    is_primary: bool
    attested: bool
    fields: tuple[ActionField, ...]


@dataclass(frozen=True, slots=True)
class AvailableActions:
    """What is possible now, for the version that an action has to name."""

    handoff: str
    version: int
    actions: tuple[AvailableAction, ...]


@dataclass(frozen=True, slots=True)
class Performed:
    """What an action led to: the handoff, its loop's stage, and the handoffs that it opened."""

    handoff: HandoffState
    loop: str
    loop_stage: str
    opened: tuple[HandoffState, ...]


@dataclass(frozen=True, slots=True)
class HandedList:
    """What became of each handoff; ``refused`` says why one stayed where it is."""

    done: tuple[Handed, ...]


class ReassignBody(serializers.Serializer[Any]):
    """To whom: a Practitioner, PractitionerRole or CareTeam of the own organisation; and which, by id."""

    owner = serializers.CharField(max_length=200)
    handoffs = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=reassigning.MOST
    )
    note = serializers.CharField(max_length=2000, required=False)


class PerformBody(serializers.Serializer[Any]):
    """``data`` holds the fields that `available-actions` names.

    ``told_at`` (with a time zone) is when it happened, of what is entered for a performer: its clock starts then, not now.
    """

    action = serializers.CharField(max_length=64)
    version = serializers.IntegerField(min_value=1)
    data = serializers.DictField(required=False)  # type: ignore[assignment]  # a field is no attribute of the serializer
    attested = serializers.BooleanField(required=False)
    told_at = serializers.DateTimeField(required=False, validators=[validate_reach, validate_happened])

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Only what others were told of has another time than now."""
        if "told_at" in attrs and not attrs.get("attested"):
            raise serializers.ValidationError(
                {"told_at": [_("Only what is entered for a performer has a time of its own.")]}
            )
        return attrs


PROBLEM = shapes.Problem
ANSWERS = {404: PROBLEM, 409: PROBLEM, 422: PROBLEM}


class Handoffs(Endpoint):
    """Handoffs that the caller's organisation takes part in."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": (("Task", "s"), ("Patient", "s")),
        "retrieve": (("Task", "r"),),
        "available_actions": (("Task", "r"),),
        "perform": (("Task", "u"),),
        "reassign": (("Task", "u"),),
    }

    @extend_schema(
        parameters=filters.parameters(HandoffFilterSet), responses={200: shapes.of(WorklistPage), 400: PROBLEM}
    )
    def list(self, request: Request) -> Response:
        """List the open handoffs of the whole organisation, the most urgent first, then by due time."""
        return Response(worklist_page(self.actor, request, HandoffFilterSet, scope="organisation"))

    @extend_schema(responses={200: shapes.of(HandoffState), 404: PROBLEM})
    def retrieve(self, _request: Request, pk: str) -> Response:
        """Read a handoff, open or ended."""
        return Response(state(find(self.actor, pk), clock.now()))

    @extend_schema(responses={200: shapes.of(AvailableActions), 404: PROBLEM})
    @action(detail=True, url_path="available-actions")
    def available_actions(self, _request: Request, pk: str) -> Response:
        """List the actions that the caller may take now, with their fields."""
        handoff = find(self.actor, pk)
        offers = tuple(
            AvailableAction(offer.action, offer.label, offer.is_primary, offer.attested, tuple(_fields(offer.fields)))
            for offer in workflow.available(self.actor, handoff)
        )
        return Response(AvailableActions(handoff.id, handoff.version, offers))

    @extend_schema(request=PerformBody, responses={200: OpenApiResponse(shapes.of(Performed)), **ANSWERS})
    @action(detail=True, methods=["post"])
    def perform(self, request: Request, pk: str) -> Response:
        """Take an action. 409 when the handoff has changed since ``version``; 422 says what is possible instead."""
        body = inputs.read(PerformBody, request)
        handoff = find(self.actor, pk)
        outcome = workflow.perform(
            handoff.id,
            body["action"],
            self.actor,
            version=body["version"],
            data=body.get("data", {}),
            attested=body.get("attested", False),
            at=body.get("told_at"),
        )
        return Response(performed(outcome))

    @extend_schema(
        request=ReassignBody,
        parameters=filters.parameters(HandoffFilterSet),
        responses={200: shapes.of(HandedList), 400: PROBLEM, 422: PROBLEM},
    )
    @action(detail=False, methods=["post"])
    def reassign(self, request: Request) -> Response:
        """Give many handoffs to another: those named, or what the parameters (as of the list) find. Clocks run on."""
        body = inputs.read(ReassignBody, request)
        chosen = body.get("handoffs") or self._listed(request)
        return Response(
            HandedList(tuple(reassigning.reassign(self.actor, chosen, body["owner"], note=body.get("note", ""))))
        )

    def _listed(self, request: Request) -> Sequence[str]:
        """What the parameters of the address find; nothing without any."""
        asked = filters.given(filters.read(request, HandoffFilterSet))
        return reassigning.listed(self.actor, Filters(scope="organisation", **asked), clock.now()) if asked else []


def find(actor: Actor, handoff_id: str) -> Handoff:
    """The handoff, if the actor may see its Task; else `NotFound`, as for one that doesn't exist."""
    seen = access.visible(actor, "Task").filter(id=handoff_id)
    handoff = (
        Handoff.objects.select_related("loop__accountable", "owner", "list").filter(pk__in=seen.values("id")).first()
    )
    if handoff is None:
        raise NotFound("There is no such handoff.")
    return handoff


def state(handoff: Handoff, now: datetime) -> HandoffState:
    """What the API says of a handoff; its loop, owner and list are loaded."""
    return HandoffState(
        id=handoff.id,
        loop=handoff.loop_id,
        loop_kind=handoff.loop.kind,
        kind=handoff.kind,
        stage=handoff.stage,
        stage_label=STAGES[handoff.kind, handoff.stage].label,
        version=handoff.version,
        owner=party(handoff.owner),
        list=party(handoff.list),
        opened_at=handoff.opened_at,
        stage_since=handoff.stage_since,
        due_at=handoff.due_at,
        needed_by=handoff.needed_by,
        closed_at=handoff.closed_at,
        is_overdue=handoff.is_open and handoff.due_at < now,
        focus=handoff.focus,
        reason_code=handoff.reason_code,
        reason_text=handoff.reason_text,
    )


def party(owner: Owner) -> Party:
    """What the API says of whoever holds something."""
    return Party(owner.kind, owner.key, owner.name, owner.organization)


def performed(outcome: Any) -> Performed:
    """What the API says of an action's outcome."""
    now = clock.now()
    return Performed(
        state(outcome.handoff, now),
        outcome.loop.id,
        outcome.loop.stage,
        tuple(state(opened, now) for opened in outcome.opened),
    )


def _fields(fields: Any) -> Any:
    for field in fields:
        yield ActionField(field.name, field.kind, field.label, field.required, field.codes, field.types)
