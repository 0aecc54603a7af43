"""Pools: teams that share a list. Each is a CareTeam of the same id, whose versions say who changed what in it."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from records import access, clock, store
from records.access import SYSTEM, Actor
from records.errors import Conflict, Forbidden, Incorrect, Issue, NotFound
from records.json import Resource
from records.models import Tenant
from referrals.models import Handoff, Membership, Owner, Pool, PoolMember, User
from referrals.people.owners import name_of
from referrals.people.reading import OVERSEERS, WORKERS
from referrals.people.roles import may_manage


def default_pool(organization: str) -> Owner:
    """The coordination pool of the organisation's root, made when there is none: nothing may be without a list."""
    root = access.root(organization)
    pool = Pool.objects.select_related("owner").filter(organization=root, is_default=True).first()
    if pool is not None:
        return pool.owner
    try:
        with transaction.atomic():
            return create_pool(root, f"{name_of('Organization', root)} – coordination", is_default=True).owner
    except IntegrityError:
        return Pool.objects.select_related("owner").get(organization=root, is_default=True).owner


def create_pool(
    organization: str,
    name: str,
    *,
    members: Iterable[User] = (),
    supervisor: Owner | None = None,
    is_default: bool = False,
    actor: Actor = SYSTEM,
) -> Pool:
    """A new pool of that root Organization with its Owner, its members and the CareTeam of the same id.

    Raises `Forbidden` for who doesn't manage the organisation's people.
    """
    _refuse_others(actor, organization)
    key, people = clock.new_id(), list(members)
    with transaction.atomic():
        owner = Owner.objects.create(
            kind=Owner.Kind.POOL,
            key=key,
            organization=organization,
            name=name,
            internal=access.is_tenant(organization),
        )
        pool = Pool.objects.create(
            id=key, organization=organization, name=name, owner=owner, supervisor=supervisor, is_default=is_default
        )
        PoolMember.objects.bulk_create(PoolMember(pool=pool, user=user) for user in people)
        store.write(care_team(pool, people), actor=actor, audience=[organization])
    return pool


def find_pool(pool_id: str, organization: str) -> Pool:
    """A pool of that organisation with its owner and supervisor; `NotFound` else."""
    found = Pool.objects.select_related("owner", "supervisor").filter(pk=pool_id, organization=organization).first()
    if found is None:
        raise NotFound(_("There is no such pool."))
    return found


def change_pool(
    pool: Pool,
    actor: Actor,
    *,
    name: str | None = None,
    members: Iterable[User] | None = None,
    supervisor: Owner | None = None,
) -> Pool:
    """Change what is given; ``members`` are all members from now on.

    Raises `Forbidden` for who doesn't manage the organisation's people, `Conflict` where work would be left on a list that nobody reads, and `Incorrect` for members or a supervisor
    who don't work there.
    """
    _refuse_others(actor, pool.organization)
    team = list(members) if members is not None else None
    with transaction.atomic():
        hold_house(pool.organization)
        pool = find_pool(pool.pk, pool.organization)
        if supervisor is not None:
            supervisor.refresh_from_db()
        _refuse_strangers(pool.organization, team or (), supervisor)
        if team is not None:
            pool.members.all().delete()
            PoolMember.objects.bulk_create(PoolMember(pool=pool, user=user) for user in team)
            _refuse_to_strand(pool)
        pool.name, pool.supervisor = name or pool.name, supervisor or pool.supervisor
        pool.save(update_fields=["name", "supervisor"])
        Owner.objects.filter(pk=pool.owner_id).update(name=pool.name)
        store.write(care_team(pool, members_of(pool)), actor=actor, audience=[pool.organization])
    return find_pool(pool.pk, pool.organization)


def hold_house(organization: str) -> None:
    """Change who reads which list one after the other: of two last readers only the first may go."""
    list(Tenant.objects.select_for_update(no_key=True).filter(organization=organization))


def members_of(pool: Pool) -> list[User]:
    """Who works on the pool's list, by name."""
    return list(User.objects.filter(pools__pool=pool).order_by("last_name", "first_name", "username"))


def colleague_named(named: str, organization: str, field: str) -> User:
    """The active user of that organisation behind a user name or a Practitioner reference; `Incorrect` at the field."""
    by_practitioner = Q(user__practitioner=named.removeprefix("Practitioner/")) if "/" in named else Q()
    wanted = by_practitioner or Q(user__username=named)
    found = Membership.objects.filter(wanted, organization=organization, user__is_active=True).select_related("user")
    membership = found.first()
    if membership is None:
        text = _("Nobody of that name works here.")
        raise Incorrect(text, Issue(text, field, "value"))
    return membership.user


def hold_lists(owners: Iterable[int]) -> None:
    """Wait for whoever is putting work on these lists (by owner), and let nobody do so until the transaction ends (docs/decisions/0117)."""
    list(Owner.objects.select_for_update().filter(pk__in=owners).order_by("pk"))


def has_work(owner_id: int) -> bool:
    """Whether anything open stands on the list of that owner or behind it."""
    on_it = Q(list=owner_id) | Q(pool=owner_id) | Q(accountable=owner_id)
    return Handoff.objects.filter(on_it, closed_at=None).exists()


def is_read(pool: Pool, *, without: User | None = None) -> bool:
    """Whether an active member who works, or else a coordinator or supervisor of the organisation, reads the pool's list."""
    staff = Membership.objects.filter(organization=pool.organization, user__is_active=True, roles__overlap=WORKERS)
    if without is not None:
        staff = staff.exclude(user=without)
    return staff.filter(Q(user__pools__pool=pool) | Q(roles__overlap=OVERSEERS)).exists()


def _refuse_others(actor: Actor, organization: str) -> None:
    if not may_manage(actor, organization):
        raise Forbidden(_("Only the organisation's supervisors and administrators can do this."))


def _refuse_to_strand(pool: Pool) -> None:
    if is_read(pool):
        return
    hold_lists([pool.owner_id])
    if has_work(pool.owner_id):
        raise Conflict(_("Nobody would read this pool's list any more, and open work stands on it."))


def _refuse_strangers(organization: str, members: Iterable[User], supervisor: Owner | None) -> None:
    staff = set(Membership.objects.filter(organization=organization).values_list("user", flat=True))
    if any(user.pk not in staff for user in members):
        text = _("Somebody who doesn't work here can't work on its list.")
        raise Incorrect(text, Issue(text, "members", "value"))
    if supervisor is not None and (supervisor.organization != organization or not supervisor.internal):
        text = _("Somebody who doesn't work here can't supervise its work.")
        raise Incorrect(text, Issue(text, "supervisor", "value"))


def care_team(pool: Pool, members: Iterable[User]) -> Resource:
    """The CareTeam that stands for a pool, its supervisor beside those who work in it."""
    team: Resource = {
        "resourceType": "CareTeam",
        "id": pool.id,
        "status": "active",
        "name": pool.name,
        "managingOrganization": [{"reference": f"Organization/{pool.organization}"}],
    }
    people = [{"member": {"reference": f"Practitioner/{one.practitioner}"}} for one in members if one.practitioner]
    if pool.supervisor is not None and pool.supervisor.kind == Owner.Kind.PERSON:
        member = {"reference": f"Practitioner/{pool.supervisor.key}"}
        people.append({"role": [{"text": "supervisor"}], "member": member})  # type: ignore[dict-item]
    return team | ({"participant": people} if people else {})
