"""How long each step takes and what was late, for a period, kept apart by organisation, service and priority."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import django_filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import filters, shapes
from api.v1.base import Endpoint, Needs
from records import clock
from referrals import metrics, policies
from referrals.metrics import SIDES, USUAL, Figures, Wanted
from referrals.models.loops import Priority
from referrals.plausible import validate_reach
from referrals.worklists.progress import MILESTONES

LAST = timedelta(days=90)
DAY = timedelta(days=1)


def _choices(words: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(word, word) for word in words]


class MetricsFilterSet(django_filters.FilterSet):
    """Which loops, and what their figures are kept apart by (``by``, which may be repeated)."""

    kind = django_filters.ChoiceFilter(choices=_choices((*MILESTONES,)))
    since = django_filters.DateFilter(validators=[validate_reach])
    until = django_filters.DateFilter(validators=[validate_reach])
    direction = django_filters.ChoiceFilter(choices=_choices(("sent", "received")))
    placer = django_filters.CharFilter(max_length=64)
    performer = django_filters.CharFilter(max_length=64)
    service = django_filters.CharFilter(max_length=64)
    priority = django_filters.ChoiceFilter(choices=_choices((*Priority.values,)))
    by = django_filters.MultipleChoiceFilter(choices=_choices(SIDES))


PARAMETERS = [
    OpenApiParameter("kind", str, enum=[*MILESTONES], description="By default referral."),
    OpenApiParameter("since", date, description="Ordered on this day or later; by default 90 days before `until`."),
    OpenApiParameter("until", date, description="Ordered on this day or earlier; by default today."),
    OpenApiParameter("direction", str, enum=["sent", "received"], description="By default both."),
    OpenApiParameter("placer", str, description="Id of a root Organization."),
    OpenApiParameter("performer", str, description="Id of a root Organization."),
    OpenApiParameter("service", str, description="Id of a HealthcareService."),
    OpenApiParameter("priority", str, enum=Priority.values),
    OpenApiParameter("by", str, many=True, enum=[*SIDES], description="By default performer, service and priority."),
]


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """The figures of the loops that were ordered from ``since`` until before ``until``."""

    kind: str
    since: datetime
    until: datetime
    groups: list[Figures]


class Metrics(Endpoint):
    """Figures about the loops in which the caller's organisation is placer or performer."""

    needs: ClassVar[dict[str, Needs]] = {"list": (("Task", "s"), ("ServiceRequest", "s"))}

    @extend_schema(parameters=PARAMETERS, responses={200: shapes.of(MetricsAnswer), 400: shapes.Problem})
    def list(self, request: Request) -> Response:
        """Count, median and 90th percentile of every step's time; what is still on its way is counted apart."""
        asked = filters.given(filters.read(request, MetricsFilterSet))
        zone = ZoneInfo(policies.calendar(self.actor.organization).time_zone)
        now = clock.now()
        last: date = asked.pop("until", now.astimezone(zone).date())
        first: date = asked.pop("since", last - LAST)
        wanted = Wanted(
            kind=asked.pop("kind", "referral"),
            since=datetime.combine(first, time(), zone),
            until=datetime.combine(last + DAY, time(), zone),
            sides=tuple(asked.pop("by", None) or USUAL),
            **asked,
        )
        found = metrics.figures(self.actor, wanted, now)
        return Response(MetricsAnswer(wanted.kind, wanted.since, wanted.until, found))
