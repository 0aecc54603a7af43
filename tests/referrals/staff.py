"""Colleagues for the stories of who works for whom: people who sign in, with a list of their own."""

from dataclasses import dataclass
from datetime import datetime

from records.access import Actor
from referrals import people, worklists
from referrals.models import Handoff, Loop, Membership, Owner, Pool, PoolMember, User
from referrals.worklists import Filters, Row
from tests.referrals.ward import Ward


@dataclass(frozen=True)
class Colleague:
    """Somebody with a user, a membership, and an Owner of their own."""

    user: User
    owner: Owner

    @property
    def actor(self) -> Actor:
        """Who they are at this moment."""
        return people.actor_for(User.objects.get(pk=self.user.pk))


def hire(name: str, *roles: str, at: str = "practice", pool: Owner | None = None) -> Colleague:
    """A colleague who works there, on that pool's list too."""
    user = User.objects.create(username=name, first_name="Dr", last_name=name.title(), practitioner=name)
    Membership.objects.create(user=user, organization=at, roles=list(roles or ("practitioner",)))
    if pool is not None:
        PoolMember.objects.create(pool=Pool.objects.get(owner=pool), user=user)
    owner = people.owner_for("person", name, organization=at, name=f"Dr {name.title()}")
    return Colleague(user, owner)


def review_for(ward: Ward, who: Colleague) -> tuple[Loop, Handoff]:
    """A report that this colleague has to review."""
    loop, fulfil = ward.sent(requester=who.user.practitioner, responsible=who.owner)
    ward.report(fulfil)
    return loop, ward.only(loop, "review-report")


def rows_of(actor: Actor, now: datetime, scope: str = "team", **filters: str) -> list[Row]:
    """What stands on an actor's list at an instant."""
    return worklists.rows(actor, Filters(scope=scope, **filters), now=now, limit=200).rows  # type: ignore[arg-type]


def sees(actor: Actor, handoff: Handoff, now: datetime, scope: str = "team") -> str | None:
    """Why that handoff is on the actor's list ("" where it is their own); None where it isn't. Never twice."""
    found = [row.via for row in rows_of(actor, now, scope) if row.handoff_id == handoff.id]
    assert len(found) <= 1, "a row comes once"
    return found[0] if found else None
