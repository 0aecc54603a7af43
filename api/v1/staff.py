"""Who works in the caller's organisation: who is away and who stands in, giving all of somebody's work away, leaving."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import inputs, shapes
from api.v1.base import Endpoint, Needs
from api.v1.handoffs import HandedList, Party, party
from records.errors import NotFound
from referrals import leaving, people, reassigning
from referrals.models import Absence, Membership, Owner, User
from referrals.plausible import validate_reach

PROBLEM = shapes.Problem
READS: Needs = (("Practitioner", "s"),)
CHANGES: Needs = (("Practitioner", "u"),)


@dataclass(frozen=True, slots=True)
class Employee:
    """Somebody who works here; ``surrogate`` stands in when they stay away without a word."""

    id: str
    name: str
    roles: tuple[str, ...]
    surrogate: Party | None


@dataclass(frozen=True, slots=True)
class EmployeeList:
    """Everybody with a Practitioner, by name."""

    people: tuple[Employee, ...]


@dataclass(frozen=True, slots=True)
class AbsenceState:
    """Somebody is away from then to then (UTC). Without a surrogate the pool reads their list."""

    id: int
    person: Party
    surrogate: Party | None
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class AbsenceList:
    """The absences that aren't over, the next first."""

    absences: tuple[AbsenceState, ...]


class AbsenceBody(serializers.Serializer[Any]):
    """``person`` and ``surrogate`` are Practitioner references; without a surrogate the standing one stands in."""

    person = serializers.CharField(max_length=200)
    surrogate = serializers.CharField(max_length=200, required=False)
    starts_at = serializers.DateTimeField(validators=[validate_reach])
    ends_at = serializers.DateTimeField(validators=[validate_reach])


class SurrogateBody(serializers.Serializer[Any]):
    """A Practitioner reference; empty for nobody."""

    surrogate = serializers.CharField(max_length=200, allow_blank=True)


class HandOverBody(serializers.Serializer[Any]):
    """``to`` is a Practitioner, PractitionerRole or CareTeam; without it all goes to the pool behind it."""

    to = serializers.CharField(max_length=200, required=False)
    note = serializers.CharField(max_length=2000, required=False)


class Absences(Endpoint):
    """When people of the caller's organisation are away, and who stands in."""

    needs: ClassVar[dict[str, Needs]] = {"list": READS, "create": CHANGES, "destroy": CHANGES}

    @extend_schema(responses={200: shapes.of(AbsenceList)})
    def list(self, _request: Request) -> Response:
        """List the absences that aren't over."""
        return Response(AbsenceList(tuple(_absence(one) for one in people.absences_of(self.actor))))

    @extend_schema(request=AbsenceBody, responses={201: shapes.of(AbsenceState), 403: PROBLEM, 422: PROBLEM})
    def create(self, request: Request) -> Response:
        """Announce an absence: from its first moment the surrogate sees the list of who is away beside their own."""
        body = inputs.read(AbsenceBody, request)
        here = self.actor.organization
        person = people.colleague(body["person"], here, field="person")
        surrogate = people.colleague(body["surrogate"], here, field="surrogate") if body.get("surrogate") else None
        made = people.announce(person, surrogate, body["starts_at"], body["ends_at"], self.actor)
        return Response(_absence(made), status=201)

    @extend_schema(responses={204: None, 403: PROBLEM, 404: PROBLEM})
    def destroy(self, _request: Request, pk: str) -> Response:
        """End an absence now; one that has not begun never was."""
        people.end(people.find_absence(self.actor, pk), self.actor)
        return Response(status=204)


class Staff(Endpoint):
    """Who works in the caller's organisation; each is known by the id of their Practitioner."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": READS,
        "surrogate": CHANGES,
        "hand_over": (*CHANGES, ("Task", "u")),
        "deactivate": CHANGES,
    }

    @extend_schema(responses={200: shapes.of(EmployeeList)})
    def list(self, _request: Request) -> Response:
        """List who works here."""
        here = self.actor.organization
        staff = Membership.objects.filter(organization=here, user__is_active=True).exclude(user__practitioner="")
        owners = Owner.objects.filter(kind=Owner.Kind.PERSON, organization=here).select_related("surrogate")
        by_key = {owner.key: owner for owner in owners}
        ordered = staff.select_related("user").order_by("user__last_name", "user__first_name", "user__username")
        return Response(EmployeeList(tuple(_employee(one, by_key) for one in ordered)))

    @extend_schema(request=SurrogateBody, responses={200: shapes.of(Employee), 404: PROBLEM, 422: PROBLEM})
    @action(detail=True, methods=["post"])
    def surrogate(self, request: Request, pk: str) -> Response:
        """Say who stands in for somebody who stays away without a word."""
        body = inputs.read(SurrogateBody, request)
        membership, person = self._person(pk)
        named = body["surrogate"]
        chosen = people.colleague(named, self.actor.organization, field="surrogate") if named else None
        people.set_surrogate(person, chosen, self.actor)
        return Response(_employee(membership, {person.key: person}))

    @extend_schema(request=HandOverBody, responses={200: shapes.of(HandedList), 404: PROBLEM, 422: PROBLEM})
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: Request, pk: str) -> Response:
        """Give all open work of somebody away, and the loops that they are responsible for. Clocks run on."""
        body = inputs.read(HandOverBody, request)
        _membership, person = self._person(pk)
        to = people.colleague(body["to"], self.actor.organization, field="to") if body.get("to") else None
        done = reassigning.hand_over(person, self.actor, to=to, note=body.get("note", ""))
        return Response(HandedList(tuple(done)))

    @extend_schema(request=None, responses={204: None, 403: PROBLEM, 404: PROBLEM, 409: PROBLEM})
    @action(detail=True, methods=["post"])
    def deactivate(self, _request: Request, pk: str) -> Response:
        """Let somebody leave. 409 with one issue for each open task, loop or list that is still theirs."""
        membership, _person = self._person(pk)
        leaving.leave(membership.user, self.actor.organization, self.actor)
        return Response(status=204)

    def _person(self, practitioner: str) -> tuple[Membership, Owner]:
        here = self.actor.organization
        users = User.objects.filter(practitioner=practitioner, is_active=True)
        found = Membership.objects.filter(organization=here, user__in=users).select_related("user").first()
        if found is None:
            raise NotFound(_("Nobody of that name works here."))
        name = found.user.get_full_name() or found.user.username
        return found, people.owner_for(Owner.Kind.PERSON, practitioner, organization=here, name=name)


def _employee(membership: Membership, owners: dict[str, Owner]) -> Employee:
    user = membership.user
    owner = owners.get(user.practitioner)
    surrogate = party(owner.surrogate) if owner is not None and owner.surrogate is not None else None
    return Employee(user.practitioner, user.get_full_name() or user.username, tuple(membership.roles), surrogate)


def _absence(one: Absence) -> AbsenceState:
    surrogate = party(one.surrogate) if one.surrogate else None
    return AbsenceState(one.pk, party(one.owner), surrogate, one.starts_at, one.ends_at)
