"""Who acts, and what they are in a loop: the words that `Transition.who` is written in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from records.access import Actor
from records.errors import Forbidden
from referrals.models import UNSENT, Handoff, Loop, Membership, Owner, User
from referrals.people.reading import in_stead_of
from referrals.vocabulary import Role

ROLES: dict[str, str | Promise] = {
    "practitioner": _("practitioner"),
    "coordinator": _("coordinator"),
    "supervisor": _("supervisor"),
    "administrator": _("administrator"),
}
WORKING = frozenset({"practitioner", "coordinator", "supervisor"})
OVERSEEING = frozenset({"coordinator", "supervisor"})
CLINICAL = frozenset({"practitioner"})
MANAGING = frozenset({"supervisor", "administrator"})
PERFORMED = frozenset({"fulfil", "request-cancellation", "recollect", "propose-change"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What an actor is in a loop, for one handoff; ``stead``: the absent person for whom they act on it."""

    roles: frozenset[Role]
    stead: Owner | None = None


def actor_for(user: User, organization: str | None = None) -> Actor:
    """Who ``user`` is while working for that root Organization (default: the first membership).

    Raises `Forbidden` when the user is no member of it; a user without any membership sees and may do nothing.
    """
    memberships = user.memberships.order_by("pk") if user.is_active else Membership.objects.none()
    membership: Membership | None = (
        memberships.first() if organization is None else memberships.filter(organization=organization).first()
    )
    if organization is not None and membership is None:
        raise Forbidden("You do not work for that organisation.")
    return actor_as(user, membership)


def actor_as(user: User, membership: Membership | None) -> Actor:
    """Who ``user`` is by that membership of theirs, which is loaded already."""
    return Actor(
        id=f"user:{user.pk}",
        kind="person",
        display=user.get_full_name() or user.username,
        organization=membership.organization if membership else "",
        roles=frozenset(membership.roles) if membership else frozenset(),
        practitioner=user.practitioner,
    )


def roles_in(actor: Actor, about: Handoff | Loop) -> set[Role]:
    """What the actor is in that loop (for that handoff); see `standing_in`."""
    return set(standing_in(actor, about).roles)


def standing_in(actor: Actor, about: Handoff | Loop) -> Standing:
    """What the actor is there: the words that `Transition.who` is written in, and in whose stead.

    A client acts for its whole organisation, and a clinician also for the colleague who ordered. Being a coordinator or
    supervisor counts in the organisation of the accountable pool; a performer is whoever works where the handoff is
    performed; its holder is its owner in person, and who oversees the work of the owner's organisation. Whoever reads an
    absent person's list also is what that person is, but being a clinician is not lent.
    """
    roles = _own_roles(actor, about)
    absent = in_stead_of(actor, about) if roles and isinstance(about, Handoff) else None
    if absent is None:
        return Standing(frozenset(roles))
    held = Membership.objects.filter(user__practitioner=absent.key, organization=absent.organization)
    theirs = {role for membership in held for role in membership.roles} - CLINICAL
    person = replace(actor, practitioner=absent.key, roles=actor.roles | theirs)
    return Standing(frozenset(roles | _own_roles(person, about)), absent)


def may_manage(actor: Actor, organization: str) -> bool:
    """Whether the actor sets up who works there: its supervisors and administrators, and its own systems."""
    if actor.kind == "system":
        return True
    return actor.organization == organization and (actor.kind == "client" or bool(actor.roles & MANAGING))


def _own_roles(actor: Actor, about: Handoff | Loop) -> set[Role]:
    loop = about.loop if isinstance(about, Handoff) else about
    roles: set[Role] = {"system", "holder"} if actor.kind == "system" else set()
    if actor.patient and actor.patient == loop.patient_id:
        roles.add("patient")
    is_at_placer = actor.organization in (loop.placer, loop.accountable.organization)
    if actor.practitioner and actor.practitioner == loop.requester and is_at_placer and _may_decide(actor):
        roles.add("requester")
    if actor.organization and (actor.kind != "person" or actor.roles & WORKING):
        roles |= _by_organization(actor, about, loop)
    return roles


def _by_organization(actor: Actor, about: Handoff | Loop, loop: Loop) -> set[Role]:
    roles: set[Role] = set()
    is_unsent = isinstance(about, Handoff) and about.is_unsent
    if not is_unsent and actor.organization in _performers(actor.organization, about, loop):
        roles |= {"performer", "partner"} if actor.kind == "partner" else {"performer"}
    if actor.organization in _referrers(about, loop) and _may_decide(actor):
        roles.add("requester")
    if actor.organization == loop.accountable.organization:
        roles |= _oversight(actor)
    if isinstance(about, Handoff) and not is_unsent and _holds(actor, about.owner):
        roles.add("holder")
    return roles


def _referrers(about: Handoff | Loop, loop: Loop) -> Sequence[str]:
    """The placer; after a discharge a clinician of another house reads what was still pending."""
    if isinstance(about, Handoff) and about.kind == "review-report":
        return [loop.placer, about.owner.organization]
    return [loop.placer]


def _may_decide(actor: Actor) -> bool:
    """Whether the actor may stand for whoever ordered: a clinician, or a system."""
    return actor.kind != "person" or bool(actor.roles & CLINICAL)


def _performers(organization: str, about: Handoff | Loop, loop: Loop) -> Sequence[str]:
    if isinstance(about, Handoff) and about.kind in PERFORMED:
        return [about.owner.organization]
    return [loop.performer, *_further_performers(organization, loop)]


def _further_performers(organization: str, loop: Loop) -> list[str]:
    """The organisation, if it isn't the one that the loop names and has been asked to perform it too."""
    if organization in (loop.performer, loop.placer, loop.accountable.organization):
        return []
    asked = Handoff.objects.filter(loop=loop.pk, kind="fulfil", owner__organization=organization)
    return [organization] if asked.exclude(UNSENT).exists() else []


def _oversight(actor: Actor) -> set[Role]:
    roles: set[Role] = set()
    if actor.kind == "client" or actor.roles & OVERSEEING:
        roles.add("coordinator")
    if "supervisor" in actor.roles:
        roles.add("supervisor")
    return roles


def _holds(actor: Actor, owner: Owner) -> bool:
    if owner.organization != actor.organization or actor.kind == "partner":
        return False
    is_theirs = owner.kind == Owner.Kind.PERSON and owner.key == actor.practitioner
    return is_theirs or actor.kind == "client" or bool(actor.roles & OVERSEEING)
