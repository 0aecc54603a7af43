"""Whom somebody may name: who is to perform, and who of the own house takes a piece of work over."""

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from records import access, store
from records.access import Actor
from records.errors import Incorrect, Issue
from records.types import row_class
from referrals.models import Handoff, Membership, Owner
from referrals.parties import organization_of, practitioner_of
from referrals.people.owners import (
    LONGEST_NUMBER,
    TYPES,
    key_of,
    name_of,
    nobody,
    owner_for,
    owner_of_reference,
    signs_in,
    type_of,
)
from referrals.people.pools import default_pool
from referrals.people.roles import PERFORMED, WORKING
from referrals.vocabulary import AgreedElsewhere

SERVICE = "HealthcareService"


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
        raise nobody()
    return performing_owner(key) if type_ == "Organization" else owner_of_reference(reference)


def _reference_of(number: str, organization: str, field: str = "performer") -> str:
    owner = (
        Owner.objects.filter(pk=int(number)).first() if number.isdecimal() and len(number) < LONGEST_NUMBER else None
    )
    if owner is None or (owner.kind == Owner.Kind.PERSON and owner.organization != organization):
        raise nobody(field)
    return f"{type_of(owner.kind)}/{owner.key}"


def claimant(reference: str, actor: Actor, organization: str) -> Owner:
    """Who takes over what a pool of that organisation holds: the one who is named, else the person who acts.

    Raises `Incorrect` for anybody who doesn't work there.
    """
    named = reference or (f"Practitioner/{actor.practitioner}" if actor.practitioner else "")
    works_at = organization_of({"reference": named}, actor) if reference else actor.organization
    if not named or not works_at or access.root(works_at) != organization:
        text = _("Only somebody who works there can take it over.")
        raise Incorrect(text, Issue(text, "claimant", "value"))
    if person := practitioner_of({"reference": named}):
        return owner_for(Owner.Kind.PERSON, person, organization=organization)
    return owner_for(Owner.Kind.ORGANISATION, organization)


def pool_of(handoff: Handoff) -> Owner:
    """The pool that a handoff goes back to: the one behind it, or the one that answers for its loop."""
    here = handoff.owner.organization
    asked = handoff.pool if handoff.kind in PERFORMED else handoff.loop.accountable
    return asked if asked.kind == Owner.Kind.POOL and asked.organization == here else default_pool(here)


def service_of(named: int | str) -> str:
    """The id of the HealthcareService that names a performer; empty where another thing does."""
    type_, _slash, key = str(named).partition("/")
    return key if type_ == SERVICE else ""


def reference_of(named: int | str) -> str:
    """What names a performer in a request: the reference, or what an Owner's number stands for."""
    if "/" in str(named):
        return str(named)
    owner = Owner.objects.get(pk=int(named))
    return f"{type_of(owner.kind)}/{owner.key}"


def nobody_new(named: int | str) -> Incorrect:
    """The refusal to ask somebody who has been asked already, perhaps by another name: as another of its services."""
    type_, _slash, key = reference_of(named).partition("/")
    words = {"name": name_of(type_, key)}
    text = _("Whoever performs it for %(name)s has been asked already: an organisation is asked once.") % words
    return Incorrect(text, Issue(text, "performer", "business-rule"))


def performing_owner(organization: str) -> Owner:
    """Who has to fulfil what is sent to that organisation: its intake pool when it works here, else itself."""
    if access.is_tenant(access.root(organization)):
        return default_pool(organization)
    return owner_for(Owner.Kind.ORGANISATION, organization)


def colleague(named: int | str, organization: str, *, field: str = "owner") -> Owner:
    """Whoever of that root organisation is to take something over: a person who signs in here, a role, a pool.

    Of an organisation that doesn't work here, anybody in its directory. Raises `Incorrect` naming the field.
    """
    reference = named if isinstance(named, str) and "/" in named else _reference_of(str(named), organization, field)
    type_, _slash, key = reference.partition("/")
    if type_ == "Practitioner" and signs_in(key, organization):
        owner = owner_for(Owner.Kind.PERSON, key, organization=organization)
    elif _is_known(type_, key):
        owner = performing_owner(key) if type_ == "Organization" else owner_of_reference(reference)
    else:
        raise nobody(field)
    if owner.organization != organization or not _may_hold(owner):
        text = _("%(name)s does not work for that organisation.") % {"name": owner.name}
        raise Incorrect(text, Issue(text, field, "value"))
    return owner


def _may_hold(owner: Owner) -> bool:
    """Whether its list has a reader: who works in an organisation of ours signs in here."""
    if not access.is_tenant(owner.organization):
        return True
    return signs_in(owner.key, owner.organization) if owner.kind == Owner.Kind.PERSON else owner.internal


def _is_known(type_: str, key: str) -> bool:
    return type_ in TYPES and row_class(type_).rows(type_).filter(id=key, deleted=False).exists()


def seconds(actor: Actor, roles: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(reference, name) of everybody else who works for the actor's organisation and may agree to what the actor does.

    With ``roles`` one of the two has one of them.
    """
    wanted = roles if roles and not actor.roles & set(roles) else WORKING
    staff = Membership.objects.filter(
        organization=actor.organization, user__is_active=True, roles__overlap=list(wanted)
    ).exclude(user__practitioner__in=("", actor.practitioner))
    users = (one.user for one in staff.select_related("user").order_by("user__last_name", "user__first_name"))
    return [(f"Practitioner/{user.practitioner}", user.get_full_name() or user.username) for user in users]


def check_second(named: str, actor: Actor, roles: Sequence[str]) -> None:
    """Raise `Incorrect`, naming the field ``second_person``, for who can't agree to what the actor does (see `seconds`)."""
    if isinstance(named, AgreedElsewhere) or named in dict(seconds(actor, roles)):
        return
    if named == f"Practitioner/{actor.practitioner}":
        text = _("The second person must be somebody else than you.")
    elif roles and named in dict(seconds(actor)):
        text = _("One of the two of you must be a supervisor.")
    else:
        text = _("The second person must be somebody who works in your organisation.")
    raise Incorrect(text, Issue(text, "second_person", "value"))


def colleagues(organization: str) -> Iterator[tuple[str, str]]:
    """(reference, name) of everybody there who may take something over: pools and roles, then people, by name."""
    shared = Owner.objects.filter(organization=organization, internal=True).exclude(kind=Owner.Kind.PERSON)
    for kind, key, name in shared.exclude(kind=Owner.Kind.PARTNER).order_by("name").values_list("kind", "key", "name"):
        yield f"{type_of(kind)}/{key}", name
    staff = Membership.objects.filter(organization=organization, user__is_active=True).exclude(user__practitioner="")
    for membership in staff.select_related("user").order_by("user__last_name", "user__first_name"):
        user = membership.user
        yield f"Practitioner/{user.practitioner}", user.get_full_name() or user.username
