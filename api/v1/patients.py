"""Patients: find them by their declared search parameters, and all that goes on around one."""

from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import cursors, filters, shapes
from api.v1.base import Endpoint, Needs
from api.v1.loops import LoopDetail, detail
from records import access, clock
from records.errors import NotFound
from records.json import Resource, loads
from referrals import worklists

PatientFilterSet = filters.search_filter_set("Patient")


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    """One identifier, as it is written in the Patient."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """A line of a patient search; ``birth_date`` as it is known: a day, a month or a year."""

    id: str
    name: str
    birth_date: str
    gender: str
    identifiers: tuple[PatientIdentifier, ...]


@dataclass(frozen=True, slots=True)
class PatientPage:
    """Patients in a stable order; ``next`` is the cursor of the page after, null on the last."""

    rows: tuple[PatientSummary, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The loops of a patient in which the caller's organisation has a part, the newest first, a hundred at most."""

    loops: tuple[LoopDetail, ...]


class Patients(Endpoint):
    """Patients whom the caller's organisation may see."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": (("Patient", "s"),),
        "timeline": (("Patient", "r"), ("Task", "r"), ("ServiceRequest", "r")),
    }

    @extend_schema(
        parameters=filters.parameters(PatientFilterSet),
        responses={200: shapes.of(PatientPage), 400: shapes.Problem},
    )
    def list(self, request: Request) -> Response:
        """Find patients by the search parameters of FHIR, with its prefixes and commas."""
        rows = filters.read(request, PatientFilterSet, access.visible(self.actor, "Patient")).qs
        if place := cursors.decode(request.query_params.get("after", ""), str):
            rows = rows.filter(id__gt=place[0])
        limit = filters.limit(request)
        bodies = [loads(body) for body in rows.order_by("id").values_list("body", flat=True)[: limit + 1]]
        key = cursors.encode((bodies[limit - 1]["id"],)) if len(bodies) > limit else None
        return Response(PatientPage(tuple(_summary(body) for body in bodies[:limit]), key))

    @extend_schema(responses={200: shapes.of(Timeline), 404: shapes.Problem})
    @action(detail=True)
    def timeline(self, _request: Request, pk: str) -> Response:
        """Everything that goes on around a patient: the loops with their handoffs and journals."""
        if not access.visible(self.actor, "Patient").filter(id=pk).exists():
            raise NotFound(_("There is no such patient."))
        now = clock.now()
        return Response(Timeline(tuple(detail(view, now) for view in worklists.timeline(self.actor, pk, now))))


def _summary(body: Resource) -> PatientSummary:
    identifiers = (PatientIdentifier(one.get("system", ""), one.get("value", "")) for one in body.get("identifier", ()))
    return PatientSummary(
        body["id"],
        worklists.display_name(body),
        body.get("birthDate", ""),
        body.get("gender", ""),
        tuple(identifiers),
    )
