"""The addresses of referrals, follow-ups and test orders, and how one is composed in plain JSON."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import filters, inputs, shapes
from api.v1.base import Endpoint, Needs
from api.v1.loops import LoopDetail, LoopFilters, LoopPage, detail, page
from records import clock
from records.access import Actor
from records.errors import NotFound
from records.json import Resource
from referrals import composer, worklists
from referrals.kinds import IMAGING, LABORATORY
from referrals.models import Loop
from referrals.models.loops import Priority
from referrals.plausible import validate_reach
from referrals.vocabulary import Words

CATEGORIES = {"laboratory": (LABORATORY, "Laboratory procedure"), "imaging": (IMAGING, "Imaging")}
LoopFilterSet = filters.filter_set(LoopFilters)
PROBLEM = shapes.Problem


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that the composer noticed and that did not stop it, such as an open request for the same service."""

    code: str
    text: Words
    expression: str


@dataclass(frozen=True, slots=True)
class Composed:
    """The loop that has been opened, and what the composer noticed."""

    loop: LoopDetail
    advice: tuple[Advice, ...]


class RequestBody(serializers.Serializer[Any]):
    """What every care request says. ``patient`` is the id of a Patient that the caller may see."""

    patient = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=2_000)
    priority = serializers.ChoiceField(Priority.values, default="routine")
    note = serializers.CharField(max_length=5_000, default="")


class ReferralBody(RequestBody):
    """A referral to a HealthcareService. ``send`` false keeps it on the own pool's list, to be sent later; ``advice``: no visit."""

    service = serializers.CharField(max_length=64)
    needed_by = serializers.DateField(default=None, validators=[validate_reach])
    advice = serializers.BooleanField(default=False)
    send = serializers.BooleanField(default=True)


class FollowUpBody(RequestBody):
    """A visit or call at the own organisation, within a window of which both days count."""

    window_start = serializers.DateField(default=None, validators=[validate_reach])
    window_end = serializers.DateField(validators=[validate_reach])


class TestOrderBody(RequestBody):
    """A test by its words and LOINC code, of a laboratory or imaging service or (empty) of none yet."""

    test = serializers.CharField(max_length=200)
    loinc = serializers.RegexField(r"^\d{1,7}-\d$", default="", max_length=9)
    category = serializers.ChoiceField([*CATEGORIES], default="laboratory")
    service = serializers.CharField(max_length=64, default="", allow_blank=True)
    needed_by = serializers.DateField(default=None, validators=[validate_reach])
    send = serializers.BooleanField(default=True)


class Requests(Endpoint):
    """What the three kinds share."""

    kind: ClassVar[str]
    body: ClassVar[type[serializers.Serializer[Any]]]
    needs: ClassVar[dict[str, Needs]] = {
        "list": (("Task", "s"), ("ServiceRequest", "s")),
        "retrieve": (("Task", "r"), ("ServiceRequest", "r")),
        "create": (("Task", "c"), ("ServiceRequest", "c")),
    }

    @extend_schema(parameters=filters.parameters(LoopFilterSet), responses={200: shapes.of(LoopPage), 400: PROBLEM})
    def list(self, request: Request) -> Response:
        """List the loops that the caller's organisation takes part in, the newest order first."""
        wanted = LoopFilters(**filters.given(filters.read(request, LoopFilterSet)))
        return Response(
            page(self.actor, self.kind, wanted, request.query_params.get("after", ""), filters.limit(request))
        )

    @extend_schema(responses={200: shapes.of(LoopDetail), 404: PROBLEM})
    def retrieve(self, _request: Request, pk: str) -> Response:
        """Read a loop with its handoffs and its journal."""
        return Response(self._detail(pk))

    def _detail(self, loop_id: str) -> LoopDetail:
        now = clock.now()
        view = worklists.loop_view(self.actor, loop_id, now)
        if view.row.kind != self.kind:
            raise NotFound(_("There is no such loop."))
        return detail(view, now)

    def _create(self, request: Request) -> Response:
        body = inputs.read(self.body, request)
        send = body.pop("send", True)
        draft = self.draft(self.actor, body.pop("patient"), body)
        advice = [one for one in composer.findings(draft, self.actor) if one.severity != "error"]
        loop: Loop = composer.submit(draft, self.actor, send=send)
        composed = Composed(
            self._detail(loop.id),
            tuple(Advice(one.code, one.text, one.expression) for one in advice),
        )
        headers = {"Location": f"{request.path}/{loop.id}"}
        return Response(composed, status=status.HTTP_201_CREATED, headers=headers)

    @abstractmethod
    def draft(self, actor: Actor, patient: str, body: dict[str, Any]) -> Resource:
        """The ServiceRequest that the body asks for."""


class Referrals(Requests):
    """Requests for another's care."""

    kind = "referral"
    body = ReferralBody

    @extend_schema(request=ReferralBody, responses={201: shapes.of(Composed), 422: PROBLEM})
    def create(self, request: Request) -> Response:
        """Compose a referral and send it; 422 says what is still missing."""
        return self._create(request)

    def draft(self, actor: Actor, patient: str, body: dict[str, Any]) -> Resource:
        """A referral by `composer.draft`."""
        return composer.draft(actor, patient, body.pop("service"), **body)


class FollowUps(Requests):
    """Visits and calls that must still happen."""

    kind = "follow-up"
    body = FollowUpBody

    @extend_schema(request=FollowUpBody, responses={201: shapes.of(Composed), 422: PROBLEM})
    def create(self, request: Request) -> Response:
        """Plan a follow-up at the own organisation."""
        return self._create(request)

    def draft(self, actor: Actor, patient: str, body: dict[str, Any]) -> Resource:
        """A follow-up by `composer.draft_follow_up`."""
        return composer.draft_follow_up(actor, patient, **body)


class TestOrders(Requests):
    """Laboratory, imaging and other diagnostic orders."""

    __test__ = False
    kind = "test-order"
    body = TestOrderBody

    @extend_schema(request=TestOrderBody, responses={201: shapes.of(Composed), 422: PROBLEM})
    def create(self, request: Request) -> Response:
        """Order a test and send the order; 422 says what is still missing."""
        return self._create(request)

    def draft(self, actor: Actor, patient: str, body: dict[str, Any]) -> Resource:
        """A test order by `composer.draft_test_order`."""
        category = CATEGORIES[body.pop("category")]
        return composer.draft_test_order(actor, patient, laboratory=body.pop("service"), category=category, **body)
