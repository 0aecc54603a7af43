"""People, the lists that they work on, and what they may be in a loop.

Everything that a handoff may belong to is one `Owner` row, made at first use. A person's list counts as a list only
when somebody signs in for that Practitioner here; everybody else's work stands on a pool's list (PATHWAYS §1).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from records import access, clock, store
from records.access import SYSTEM, Actor
from records.errors import Forbidden, Gone, Incorrect, Issue, NotFound
from records.json import Resource
from records.types import row_class
from referrals.models import Handoff, Loop, Membership, Owner, Pool, PoolMember, User
from referrals.parties import organization_of, practitioner_of
from referrals.vocabulary import Role

ROLES: dict[str, str | Promise] = {
    "practitioner": _("practitioner"),
    "coordinator": _("coordinator"),
    "supervisor": _("supervisor"),
    "administrator": _("administrator"),
}
WORKING = frozenset({"practitioner", "coordinator", "supervisor"})
_LONGEST_NUMBER = 19
PERFORMED = frozenset({"fulfil", "request-cancellation", "recollect"})
SERVICE = "HealthcareService"
TYPES = {
    "Practitioner": Owner.Kind.PERSON,
    "PractitionerRole": Owner.Kind.ROLE,
    "CareTeam": Owner.Kind.POOL,
    "Organization": Owner.Kind.ORGANISATION,
}


def actor_for(user: User, organization: str | None = None) -> Actor:
    """Who ``user`` is while working for that root Organization (default: the first membership).

    Raises `Forbidden` when the user is no member of it; a user without any membership sees and may do nothing.
    """
    memberships = user.memberships.order_by("pk")
    membership: Membership | None = (
        memberships.first() if organization is None else memberships.filter(organization=organization).first()
    )
    if organization is not None and membership is None:
        raise Forbidden("You do not work for that organisation.")
    return Actor(
        id=f"user:{user.pk}",
        kind="person",
        display=user.get_full_name() or user.username,
        organization=membership.organization if membership else "",
        roles=frozenset(membership.roles) if membership else frozenset(),
        practitioner=user.practitioner,
    )


def owner_for(kind: str, key: str, *, organization: str = "", name: str = "") -> Owner:
    """The Owner row of that kind and key, made when it is new; see `Owner` for what the key is.

    ``organization`` (any Organization id) and ``name`` spare looking into the records, and are needed for a partner.
    """
    owner = Owner.objects.filter(kind=kind, key=key).first()
    if owner is None:
        owner = _new_owner(kind, key, organization, name)
    elif kind == Owner.Kind.PERSON and not owner.internal and _signs_in(key, owner.organization):
        owner.internal = True
        owner.save(update_fields=["internal"])
    return owner


def owner_of_reference(reference: str) -> Owner:
    """The Owner of a local FHIR reference; a PractitionerRole stands for its practitioner, else its organisation."""
    type_, _slash, key = reference.partition("/")
    if type_ not in TYPES or not key:
        raise Incorrect(f"A {type_ or 'missing reference'} can't own a handoff.")
    if type_ != "PractitionerRole":
        return owner_for(TYPES[type_], key)
    role = store.get(type_, key)
    organization = key_of(role.get("organization"), "Organization")
    if practitioner := key_of(role.get("practitioner"), "Practitioner"):
        return owner_for(Owner.Kind.PERSON, practitioner, organization=organization)
    if not organization:
        raise _nobody()
    return owner_for(Owner.Kind.ORGANISATION, organization)


def named_performer(named: int | str, organization: str) -> Owner:
    """Whoever somebody of ``organization`` chose to perform: a reference into the directory, or an Owner's number.

    A number leads to no person of another organisation. Raises `Incorrect` naming the field ``performer``.
    """
    reference = named if isinstance(named, str) and "/" in named else _reference_of(str(named), organization)
    type_, _slash, key = reference.partition("/")
    known = type_ in (*TYPES, SERVICE) and row_class(type_).rows(type_).filter(id=key, deleted=False).exists()
    if type_ == SERVICE and known:
        type_, key = "Organization", key_of(store.get(type_, key).get("providedBy"), "Organization")
    if not known or not key:
        raise _nobody()
    return performing_owner(key) if type_ == "Organization" else owner_of_reference(reference)


def _reference_of(number: str, organization: str) -> str:
    owner = (
        Owner.objects.filter(pk=int(number)).first() if number.isdecimal() and len(number) < _LONGEST_NUMBER else None
    )
    if owner is None or (owner.kind == Owner.Kind.PERSON and owner.organization != organization):
        raise _nobody()
    return f"{_type_of(owner.kind)}/{owner.key}"


def claimant(reference: str, actor: Actor, organization: str) -> Owner:
    """Who takes over what a pool of that organisation holds: the one who is named, else the person who acts.

    Raises `Incorrect` for anybody who doesn't work there.
    """
    named = reference or (f"Practitioner/{actor.practitioner}" if actor.practitioner else "")
    works_at = organization_of({"reference": named}, actor) if reference else actor.organization
    if not named or not works_at or access.root(works_at) != organization:
        text = gettext("Only somebody who works there can take it over.")
        raise Incorrect(text, Issue(text, "claimant", "value"))
    if person := practitioner_of({"reference": named}):
        return owner_for(Owner.Kind.PERSON, person, organization=organization)
    return owner_for(Owner.Kind.ORGANISATION, organization)


def pool_of(handoff: Handoff) -> Owner:
    """The pool that a handoff goes back to: the one that it was sent to, or the one that answers for its loop."""
    here, loop = handoff.owner.organization, handoff.loop
    asked = loop.performer_owner if handoff.kind in PERFORMED else loop.accountable
    if asked is not None and asked.kind == Owner.Kind.POOL and asked.organization == here:
        return asked
    return default_pool(here)


def nobody_new() -> Incorrect:
    """The refusal to ask somebody who has been asked already."""
    text = gettext("It is with this performer already.")
    return Incorrect(text, Issue(text, "performer", "business-rule"))


def _nobody() -> Incorrect:
    text = gettext("Nobody is known by that name.")
    return Incorrect(text, Issue(text, "performer", "value"))


def performing_owner(organization: str) -> Owner:
    """Who has to fulfil what is sent to that organisation: its intake pool when it works here, else itself."""
    if access.is_tenant(access.root(organization)):
        return default_pool(organization)
    return owner_for(Owner.Kind.ORGANISATION, organization)


def key_of(reference: Any, type_: str) -> str:
    """The id in a literal relative reference to that type, else an empty text."""
    literal = reference.get("reference", "") if isinstance(reference, dict) else ""
    head, _slash, key = literal.partition("/")
    return key.partition("/")[0] if head == type_ else ""


def default_pool(organization: str) -> Owner:
    """The coordination pool of the organisation's root, made when there is none: nothing may be without a list."""
    root = access.root(organization)
    pool = Pool.objects.select_related("owner").filter(organization=root, is_default=True).first()
    if pool is not None:
        return pool.owner
    try:
        with transaction.atomic():
            return create_pool(root, f"{_name('Organization', root)} – coordination", is_default=True).owner
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
    """A new pool of that root Organization with its Owner, its members and the CareTeam of the same id."""
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


def care_team(pool: Pool, members: Iterable[User]) -> Resource:
    """The CareTeam that stands for a pool."""
    team: Resource = {
        "resourceType": "CareTeam",
        "id": pool.id,
        "status": "active",
        "name": pool.name,
        "managingOrganization": [{"reference": f"Organization/{pool.organization}"}],
    }
    people = [{"member": {"reference": f"Practitioner/{one.practitioner}"}} for one in members if one.practitioner]
    return team | ({"participant": people} if people else {})


def lists_of(actor: Actor) -> list[int]:
    """Ids of the Owner rows whose lists are this actor's: their own, and the pools that they work in.

    Coordinators, supervisors and clients also have what stands on the organisation's own name, so that no list is
    without a reader.
    """
    here = Q(organization=actor.organization, internal=True)
    pools = here & Q(kind=Owner.Kind.POOL)
    shared = here & ~Q(kind__in=[Owner.Kind.PERSON, Owner.Kind.POOL])
    lists = Q(kind=Owner.Kind.PERSON, key=actor.practitioner) if actor.practitioner else Q(pk__in=[])
    if actor.kind == "client":
        lists |= pools
    elif actor.id.startswith("user:"):
        lists |= pools & Q(pool__members__user=int(actor.id.removeprefix("user:")))
    if actor.kind == "client" or actor.roles & {"coordinator", "supervisor"}:
        lists |= shared
    return sorted(Owner.objects.filter(lists).values_list("pk", flat=True).distinct())


def roles_in(actor: Actor, about: Handoff | Loop) -> set[Role]:
    """What the actor is in that loop (for that handoff): the words that `Transition.who` is written in.

    A client acts for its whole organisation. Being a coordinator or supervisor counts in the organisation of the
    accountable pool; a performer is whoever works where the handoff is performed.
    """
    loop = about.loop if isinstance(about, Handoff) else about
    roles: set[Role] = {"system"} if actor.kind == "system" else set()
    if actor.patient and actor.patient == loop.patient_id:
        roles.add("patient")
    if actor.practitioner and actor.practitioner == loop.requester:
        roles.add("requester")
    if actor.organization and (actor.kind != "person" or actor.roles & WORKING):
        roles |= _by_organization(actor, about, loop)
    return roles


def _by_organization(actor: Actor, about: Handoff | Loop, loop: Loop) -> set[Role]:
    roles: set[Role] = set()
    if actor.organization in _performers(actor.organization, about, loop):
        roles |= {"performer", "partner"} if actor.kind == "partner" else {"performer"}
    if actor.organization == loop.placer:
        roles.add("requester")
    if actor.organization == loop.accountable.organization:
        roles |= _oversight(actor)
    return roles


def _performers(organization: str, about: Handoff | Loop, loop: Loop) -> Sequence[str]:
    if isinstance(about, Handoff) and about.kind in PERFORMED:
        return [about.owner.organization]
    return [loop.performer, *_further_performers(organization, loop)]


def _further_performers(organization: str, loop: Loop) -> list[str]:
    """The organisation, if it isn't the one that the loop names and has been asked to perform it too."""
    if organization in (loop.performer, loop.placer, loop.accountable.organization):
        return []
    asked = Handoff.objects.filter(loop=loop.pk, kind="fulfil", owner__organization=organization)
    return [organization] if asked.exists() else []


def _oversight(actor: Actor) -> set[Role]:
    roles: set[Role] = set()
    if actor.kind == "client" or "coordinator" in actor.roles or "supervisor" in actor.roles:
        roles.add("coordinator")
    if "supervisor" in actor.roles:
        roles.add("supervisor")
    return roles


def _new_owner(kind: str, key: str, organization: str, name: str) -> Owner:
    root = access.root(organization) if organization else _organization_of(kind, key)
    internal = bool(root) and access.is_tenant(root)
    if kind == Owner.Kind.PERSON:
        internal = internal and _signs_in(key, root)
    owner, _created = Owner.objects.get_or_create(
        kind=kind,
        key=key,
        defaults={
            "organization": root,
            "name": name or _name(_type_of(kind), key),
            "internal": internal and kind not in (Owner.Kind.ROLE, Owner.Kind.PARTNER),
        },
    )
    return owner


def _type_of(kind: str) -> str:
    return next((type_ for type_, known in TYPES.items() if known == kind), "")


def _organization_of(kind: str, key: str) -> str:
    """The root Organization of an owner, from the records; empty when nothing tells."""
    if kind == Owner.Kind.ORGANISATION:
        return access.root(key)
    if kind == Owner.Kind.PERSON:
        membership = Membership.objects.filter(user__practitioner=key).order_by("pk").first()
        return membership.organization if membership else ""
    try:
        body = store.get(_type_of(kind), key) if kind in (Owner.Kind.ROLE, Owner.Kind.POOL) else {}
    except (NotFound, Gone):
        return ""
    held = body.get("organization") or next(iter(body.get("managingOrganization", [])), None)
    found = key_of(held, "Organization")
    return access.root(found) if found else ""


def _signs_in(practitioner: str, organization: str) -> bool:
    return Membership.objects.filter(
        organization=organization, user__practitioner=practitioner, user__is_active=True
    ).exists()


def _name(type_: str, key: str) -> str:
    """How the resource calls itself, for a list; its reference when it has no name or is not here (yet)."""
    reference = f"{type_}/{key}" if type_ else key
    try:
        body = store.get(type_, key) if type_ else {}
    except (NotFound, Gone):
        return reference
    named = body.get("name")
    return human_name(named) or reference if isinstance(named, list) else str(named or reference)


def human_name(names: Any) -> str:
    """How to write somebody's first HumanName, such as "Dr Ana Ruiz"; an empty text for none."""
    name: dict[str, Any] = next(iter(names or ()), {})
    parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]
    return str(name.get("text") or " ".join(part for part in parts if part))
