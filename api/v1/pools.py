"""Pools: the teams of the caller's organisation that share a list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import inputs, shapes
from api.v1.base import Endpoint, Needs
from api.v1.handoffs import Party, party
from referrals import people
from referrals.models import Owner, Pool, User

PROBLEM = shapes.Problem


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who works on the pool's list; ``practitioner`` is empty for who has no Practitioner."""

    username: str
    name: str
    practitioner: str


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool; `id` is also its CareTeam's, whose versions say who changed what."""

    id: str
    name: str
    is_default: bool
    supervisor: Party | None
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class PoolList:
    """The pools by name."""

    pools: tuple[PoolState, ...]


class PoolBody(serializers.Serializer[Any]):
    """``members`` are all members, by user name or Practitioner reference; ``supervisor`` a Practitioner reference."""

    name = serializers.CharField(max_length=200)
    members = serializers.ListField(child=serializers.CharField(max_length=200), max_length=500, required=False)
    supervisor = serializers.CharField(max_length=200, required=False)


class Pools(Endpoint):
    """The pools of the caller's organisation."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": (("CareTeam", "s"),),
        "retrieve": (("CareTeam", "r"),),
        "create": (("CareTeam", "c"),),
        "update": (("CareTeam", "u"),),
    }

    @extend_schema(responses={200: shapes.of(PoolList)})
    def list(self, _request: Request) -> Response:
        """List the pools, with who works in them and who supervises them."""
        held = Pool.objects.filter(organization=self.actor.organization).select_related("supervisor").order_by("name")
        return Response(PoolList(tuple(_state(pool) for pool in held)))

    @extend_schema(responses={200: shapes.of(PoolState), 404: PROBLEM})
    def retrieve(self, _request: Request, pk: str) -> Response:
        """Read one pool."""
        return Response(_state(people.find_pool(pk, self.actor.organization)))

    @extend_schema(request=PoolBody, responses={201: shapes.of(PoolState), 403: PROBLEM, 422: PROBLEM})
    def create(self, request: Request) -> Response:
        """Make a pool."""
        body = inputs.read(PoolBody, request)
        members, supervisor = self._named(body)
        made = people.create_pool(
            self.actor.organization, body["name"], members=members or (), supervisor=supervisor, actor=self.actor
        )
        return Response(_state(made), status=201)

    @extend_schema(request=PoolBody, responses={200: shapes.of(PoolState), 404: PROBLEM, 409: PROBLEM, 422: PROBLEM})
    def update(self, request: Request, pk: str) -> Response:
        """Rename a pool, or change its members or supervisor. 409 where nobody would read its open work any more."""
        pool = people.find_pool(pk, self.actor.organization)
        body = inputs.read(PoolBody, request)
        members, supervisor = self._named(body)
        changed = people.change_pool(pool, self.actor, name=body["name"], members=members, supervisor=supervisor)
        return Response(_state(changed))

    def _named(self, body: dict[str, Any]) -> tuple[Sequence[User] | None, Owner | None]:
        here = self.actor.organization
        names = body.get("members")
        members = [people.colleague_named(name, here, "members") for name in names] if names is not None else None
        named = body.get("supervisor")
        return members, people.colleague(named, here, field="supervisor") if named else None


def _state(pool: Pool) -> PoolState:
    members = (Member(one.username, one.get_full_name(), one.practitioner) for one in people.members_of(pool))
    supervisor = party(pool.supervisor) if pool.supervisor else None
    return PoolState(pool.id, pool.name, pool.is_default, supervisor, tuple(members))
