"""Leaving: who works here goes only when nothing is left with them; of who has left elsewhere the pool takes it over.

PATHWAYS §7 "practitioner leaves": deactivation here is refused, listing what is still theirs, until it is given away.
A partner doesn't ask: the work moves to the pools behind it, and the supervisors are told.
"""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from records import audit, clock, store
from records.access import SYSTEM, Actor
from records.deadlocks import tried_again
from records.errors import Conflict, Forbidden, Issue
from referrals import escalation, people, reassigning
from referrals.models import Escalation, Handoff, Loop, Membership, Owner, Pool, PoolMember, User
from referrals.parties import held
from referrals.pathways import HANDOFFS, STAGES
from referrals.people import pools
from referrals.people.reading import OVERSEERS, WORKERS

SHOWN = 200


def left_with(user: User, organization: str) -> list[Issue]:
    """What still hangs on this user there: one issue each, the reference of what it is as its expression."""
    return [*_theirs(user, organization), *_unread(user, organization), *_overseen(user, organization)]


@tried_again
def leave(user: User, organization: str, actor: Actor) -> None:
    """End somebody's work for an organisation; without any other to work for they can't sign in any more.

    Sessions end with the next request, since nobody inactive is anybody (`people.actor_for`). Raises `Forbidden` for who
    doesn't manage the organisation's people, and `Conflict` with what is still theirs.
    """
    if not people.may_manage(actor, organization):
        raise Forbidden(_("Only the organisation's supervisors and administrators can do this."))
    with transaction.atomic():
        pools.hold_house(organization)
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        _close_lists(user, organization)
        if found := left_with(user, organization):
            text = _("%(name)s can't leave yet: open work is theirs. Hand it over first.")
            raise Conflict(text % {"name": user.get_full_name() or user.username}, *found)
        _end(user, organization, actor)
    about = f"Practitioner/{user.practitioner}"
    audit.record(actor, "U", "leaver", organization=organization, about=about, said="Works here no more.")


def heard_inactive(practitioner: str, actor: Actor) -> None:
    """A Practitioner is said to be inactive: by their own house they leave, or are refused to (`Conflict`).

    Who works here stays, whatever others say; of anybody else the work moves.
    """
    working = User.objects.filter(practitioner=practitioner, is_active=True, memberships__isnull=False)
    ours = working.filter(memberships__organization=actor.organization).first()
    if ours is not None and actor.kind != "partner":
        leave(ours, actor.organization, actor)
    elif not working.exists():
        move_to_pools(practitioner)


def move_to_pools(practitioner: str) -> list[str]:
    """Give the open work of a practitioner who is gone to the pools behind it; gives the ids of what moved."""
    person = Owner.objects.filter(kind=Owner.Kind.PERSON, key=practitioner).first()
    if person is None:
        return []
    note = _("%(name)s is no longer active.") % {"name": person.name}
    with transaction.atomic():
        done = reassigning.hand_over(person, SYSTEM, note=note)
        moved = [one.handoff for one in done if not one.refused]
        _tell_supervisors(moved)
    return moved


def _tell_supervisors(handoffs: list[str]) -> None:
    """The supervisor of each pool hears of it now, as of what is overdue."""
    now = clock.now()
    found = Handoff.objects.filter(id__in=handoffs).select_related("pool__pool")
    Escalation.objects.bulk_create(
        [
            Escalation(
                handoff=one,
                due_at=one.due_at,
                level=escalation.SUPERVISOR,
                owner_id=one.pool.pool.supervisor_id or one.pool_id,
                recorded_at=now,
            )
            for one in found
            if one.pool.kind == Owner.Kind.POOL
        ],
        ignore_conflicts=True,
    )


def _theirs(user: User, organization: str) -> Iterator[Issue]:
    person = Owner.objects.filter(kind=Owner.Kind.PERSON, key=user.practitioner, organization=organization).first()
    if person is None or not user.practitioner:
        return
    on_list = Handoff.objects.filter(Q(owner=person) | Q(list=person), closed_at=None).order_by("due_at", "id")
    for one in on_list[:SHOWN]:
        stage = STAGES[one.kind, one.stage].label
        yield _issue(f"{HANDOFFS[one.kind].label}: {stage}", f"Task/{one.id}")
    for loop in Loop.objects.filter(responsible=person, closed_at=None).order_by("id")[:SHOWN]:
        yield _issue(_("Responsible for an open loop"), f"Task/{loop.id}")
    for pool in Pool.objects.filter(supervisor=person).order_by("name"):
        yield _issue(_("Supervises %(pool)s") % {"pool": pool.name}, f"CareTeam/{pool.id}")


def _unread(user: User, organization: str) -> Iterator[Issue]:
    """The lists with open work that nobody would read any more."""
    for one in _read_by_nobody_else(user, organization):
        if pools.has_work(one.pk):
            text = _("The only one who reads the list of %(pool)s") % {"pool": one.name}
            yield _issue(text, f"{people.type_of(one.kind)}/{one.key}")


def _overseen(user: User, organization: str) -> Iterator[Issue]:
    """The house itself, where others work on and nobody would read the lists that the next order comes to."""
    others = _others_of(user, organization)
    oversees = user.memberships.filter(organization=organization, roles__overlap=OVERSEERS).exists()
    if oversees and others.filter(roles__overlap=WORKERS).exists() and not _overseers(others).exists():
        yield _issue(_("The only one who reads the lists of the organisation"), f"Organization/{organization}")


def _others_of(user: User, organization: str) -> QuerySet[Membership]:
    return Membership.objects.filter(organization=organization, user__is_active=True).exclude(user=user)


def _overseers(staff: QuerySet[Membership]) -> QuerySet[Membership]:
    return staff.filter(roles__overlap=OVERSEERS)


def _read_by_nobody_else(user: User, organization: str) -> list[Owner]:
    """The lists there that only this user reads: of pools, and those that several share."""
    teams = Pool.objects.filter(organization=organization).select_related("owner").order_by("name")
    found = [pool.owner for pool in teams if not pools.is_read(pool, without=user)]
    if _overseers(_others_of(user, organization)).exists():
        return found
    return found + list(
        Owner.objects.filter(organization=organization, internal=True, kind__in=["role", "organisation"])
    )


def _close_lists(user: User, organization: str) -> None:
    """Wait for whoever is putting work where only this person would read it, and let nobody do so until the transaction ends.

    An owner who isn't known yet is made, so that nobody makes it meanwhile (docs/decisions/0117).
    """
    closing = [one.pk for one in _read_by_nobody_else(user, organization)]
    if user.practitioner:
        houses = user.memberships.order_by("pk").values_list("organization", flat=True)
        stays_at = next((one for one in houses if one != organization), organization)
        closing.append(people.owner_for(Owner.Kind.PERSON, user.practitioner, organization=stays_at).pk)
    pools.hold_lists(closing)


def _issue(text: str, reference: str) -> Issue:
    return Issue(text, reference, "business-rule")


def _end(user: User, organization: str, actor: Actor) -> None:
    """Take the membership and what hangs on it away."""
    teams = list(Pool.objects.filter(organization=organization, members__user=user).select_related("supervisor"))
    PoolMember.objects.filter(user=user, pool__in=teams).delete()
    for pool in teams:
        store.write(pools.care_team(pool, pools.members_of(pool)), actor=actor, audience=[organization])
    user.memberships.filter(organization=organization).delete()
    if user.practitioner:
        Owner.objects.filter(kind=Owner.Kind.PERSON, key=user.practitioner, organization=organization).update(
            internal=False
        )
    if not user.memberships.exists():
        user.is_active = False
        user.save(update_fields=["is_active"])
        body = held("Practitioner", user.practitioner)
        if body and body.get("active") is not False:
            store.write({**body, "active": False}, actor=actor)
