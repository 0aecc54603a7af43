"""Whoever a handoff may belong to, as `Owner` rows: made at first use, found by kind and key or by FHIR reference."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from records import access, store
from records.errors import Gone, Incorrect, Issue, NotFound
from records.json import Resource
from referrals.models import Membership, Owner
from referrals.people.reading import WORKERS

LONGEST_NUMBER = 19
TYPES = {
    "Practitioner": Owner.Kind.PERSON,
    "PractitionerRole": Owner.Kind.ROLE,
    "CareTeam": Owner.Kind.POOL,
    "Organization": Owner.Kind.ORGANISATION,
}


def owner_for(kind: str, key: str, *, organization: str = "", name: str = "") -> Owner:
    """The Owner row of that kind and key, made when it is new; see `Owner` for what the key is.

    ``organization`` (any Organization id) and ``name`` spare looking into the records, and are needed for a partner.
    """
    owner = Owner.objects.filter(kind=kind, key=key).first()
    if owner is None:
        owner = _new_owner(kind, key, organization, name)
    elif kind == Owner.Kind.PERSON and not owner.internal and signs_in(key, owner.organization):
        _give_list(owner)
    return owner


def _give_list(owner: Owner) -> None:
    """Somebody has come to sign in here; whoever leaves at this moment holds the row, and gets none (`leaving`)."""
    with transaction.atomic():
        Owner.objects.select_for_update(no_key=True).get(pk=owner.pk)
        owner.internal = signs_in(owner.key, owner.organization)
        owner.save(update_fields=["internal"])


def owner_of_reference(reference: str) -> Owner:
    """The Owner of a local FHIR reference; a PractitionerRole that names a practitioner stands for that person.

    One that names none is a function that several fill: an owner with a list of its own in an organisation that works
    here, elsewhere that organisation.
    """
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
        raise nobody()
    here = access.is_tenant(access.root(organization))
    return owner_for(Owner.Kind.ROLE, key) if here else owner_for(Owner.Kind.ORGANISATION, organization)


def nobody(field: str = "performer") -> Incorrect:
    """The refusal of a name behind which nobody stands, at that field."""
    text = gettext("Nobody is known by that name.")
    return Incorrect(text, Issue(text, field, "value"))


def key_of(reference: Any, type_: str) -> str:
    """The id in a literal relative reference to that type, else an empty text."""
    literal = reference.get("reference", "") if isinstance(reference, dict) else ""
    head, _slash, key = literal.partition("/")
    return key.partition("/")[0] if head == type_ else ""


def _new_owner(kind: str, key: str, organization: str, name: str) -> Owner:
    root = access.root(organization) if organization else _organization_of(kind, key)
    internal = bool(root) and access.is_tenant(root)
    if kind == Owner.Kind.PERSON:
        internal = internal and signs_in(key, root)
    owner, _created = Owner.objects.get_or_create(
        kind=kind,
        key=key,
        defaults={
            "organization": root,
            "name": name or name_of(type_of(kind), key),
            "internal": internal and kind != Owner.Kind.PARTNER,
        },
    )
    return owner


def type_of(kind: str) -> str:
    """The FHIR type that stands for a kind of owner; empty for a partner."""
    return next((type_ for type_, known in TYPES.items() if known == kind), "")


def _organization_of(kind: str, key: str) -> str:
    """The root Organization of an owner, from the records; empty when nothing tells."""
    if kind == Owner.Kind.ORGANISATION:
        return access.root(key)
    if kind == Owner.Kind.PERSON:
        membership = Membership.objects.filter(user__practitioner=key).order_by("pk").first()
        return membership.organization if membership else ""
    try:
        body = store.get(type_of(kind), key) if kind in (Owner.Kind.ROLE, Owner.Kind.POOL) else {}
    except (NotFound, Gone):
        return ""
    held = body.get("organization") or next(iter(body.get("managingOrganization", [])), None)
    found = key_of(held, "Organization")
    return access.root(found) if found else ""


def signs_in(practitioner: str, organization: str) -> bool:
    """Whether somebody signs in for that Practitioner and works for that root organisation."""
    return Membership.objects.filter(
        organization=organization, user__practitioner=practitioner, user__is_active=True
    ).exists()


def works(practitioner: str, organization: str) -> bool:
    """Whether somebody who signs in for that Practitioner may do work there; who only administers it may not."""
    return Membership.objects.filter(
        organization=organization, user__practitioner=practitioner, user__is_active=True, roles__overlap=WORKERS
    ).exists()


def name_of(type_: str, key: str) -> str:
    """How the resource calls itself, for a list; its reference when it has no name or is not here (yet)."""
    reference = f"{type_}/{key}" if type_ else key
    try:
        body = store.get(type_, key) if type_ else {}
    except (NotFound, Gone):
        return reference
    named = body.get("name") or _function(body)
    return human_name(named) or reference if isinstance(named, list) else str(named or reference)


def _function(role: Resource) -> str:
    """What somebody in that PractitionerRole does."""
    concepts = [*role.get("specialty", ()), *role.get("code", ())]
    words = [
        text for one in concepts for text in (one.get("text"), *(said.get("display") for said in one.get("coding", ())))
    ]
    return next(filter(None, words), "")


def human_name(names: Any) -> str:
    """How to write somebody's first HumanName, such as "Dr Ana Ruiz"; an empty text for none."""
    name: dict[str, Any] = next(iter(names or ()), {})
    parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]
    return str(name.get("text") or " ".join(part for part in parts if part))
