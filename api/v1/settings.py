"""An organisation's own clocks and working days: read them, and change them for the clocks that start afterwards."""

from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import inputs, shapes
from api.v1.base import Endpoint, Needs
from referrals import policies
from referrals.calendars import Span
from referrals.models import Policy
from referrals.plausible import validate_reach
from referrals.policies import APPLIES_TO, Clock, Days
from referrals.vocabulary import Words

PROBLEM = shapes.Problem
READS: Needs = (("Organization", "r"),)
CHANGES: Needs = (("Organization", "u"),)


@dataclass(frozen=True, slots=True)
class Clocks:
    """How long everybody has, clock by clock; `level` is a priority, a severity, `own` or `action`; `*` stands for all."""

    clocks: tuple[Clock, ...]


@dataclass(frozen=True, slots=True)
class ClockSet:
    """What holds now (null: the next wider clock of the list), and for what."""

    clock: Clock | None
    applies_to: Words


@dataclass(frozen=True, slots=True)
class CalendarSet:
    """The working days that hold now, and for what."""

    calendar: Days
    applies_to: Words


class ClockBody(serializers.Serializer[Any]):
    """How long somebody has from now on."""

    amount = serializers.IntegerField(min_value=0, max_value=max(policies.MOST.values()))
    unit = serializers.ChoiceField(Policy.Unit.choices)


class CalendarBody(serializers.Serializer[Any]):
    """When the organisation works. ``country`` is ISO 3166-1, ``region`` ISO 3166-2 without the country."""

    time_zone = serializers.CharField(max_length=64)
    country = serializers.CharField(max_length=2, default="", allow_blank=True)
    region = serializers.CharField(max_length=8, default="", allow_blank=True)
    closed_on = serializers.ListField(
        child=serializers.DateField(validators=[validate_reach]), default=list, max_length=policies.MOST_CLOSED_DAYS
    )


class Policies(Endpoint):
    """The clocks of the caller's organisation."""

    needs: ClassVar[dict[str, Needs]] = {"list": READS, "update": CHANGES, "destroy": CHANGES}

    @extend_schema(responses={200: shapes.of(Clocks)})
    def list(self, _request: Request) -> Response:
        """List every clock with its default, own numbers marked."""
        return Response(Clocks(tuple(policies.clocks(self.actor.organization))))

    @extend_schema(request=ClockBody, responses={200: shapes.of(ClockSet), 403: PROBLEM, 422: PROBLEM})
    def update(self, request: Request, pk: str) -> Response:
        """Set an own number. It rules the clocks that start from now on."""
        body = inputs.read(ClockBody, request)
        clock = policies.set_clock(self.actor, self.actor.organization, pk, Span(body["amount"], body["unit"]))
        return Response(ClockSet(clock, APPLIES_TO))

    @extend_schema(responses={200: shapes.of(ClockSet), 403: PROBLEM, 404: PROBLEM, 422: PROBLEM})
    def destroy(self, _request: Request, pk: str) -> Response:
        """Go back to the default."""
        return Response(ClockSet(policies.unset_clock(self.actor, self.actor.organization, pk), APPLIES_TO))


class Calendar(Endpoint):
    """The working days of the caller's organisation."""

    needs: ClassVar[dict[str, Needs]] = {"retrieve": READS, "update": CHANGES}

    @extend_schema(responses={200: shapes.of(Days)})
    def retrieve(self, _request: Request) -> Response:
        """Read time zone, holidays and closed days."""
        return Response(policies.calendar(self.actor.organization))

    @extend_schema(request=CalendarBody, responses={200: shapes.of(CalendarSet), 403: PROBLEM, 422: PROBLEM})
    def update(self, request: Request) -> Response:
        """Set them all at once. They rule the clocks that start from now on."""
        body: dict[str, Any] = inputs.read(CalendarBody, request)
        days: list[date] = body.pop("closed_on")
        set_ = policies.set_calendar(self.actor, self.actor.organization, closed_on=days, **body)
        return Response(CalendarSet(set_, APPLIES_TO))
