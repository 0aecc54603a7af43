"""Which resources a caller may change: those that its own organisation keeps, whoever else may read them."""

from django.utils.translation import gettext as _

from records import access
from records.access import Actor
from records.errors import Forbidden, Issue, NotFound
from records.json import Resource
from records.types import row_class
from referrals import parties
from referrals.models import Pool

# Several organisations write these in turn: the one door (`referrals.intake`) tells who may write what in them.
BY_TURNS = frozenset({"ServiceRequest", "Task"})
PART_OF = parties.BELONGS_TO | {"Organization": "partOf"}


def refuse_foreign(actor: Actor, type_name: str, resource_id: str) -> None:
    """Raise unless there is no such resource yet, or the actor may change it.

    `Forbidden` for what the actor may only read; an id that is taken by something that it may not see is `NotFound`.
    """
    if _may_change(actor, type_name, resource_id):
        return
    readable = (access.visible(actor, type_name), access.shared(actor, type_name))
    if any(rows.filter(id=resource_id).exists() for rows in readable):
        raise Forbidden(_("Only the organisations that keep this resource may change it."))
    if row_class(type_name).rows(type_name).filter(id=resource_id).exists():
        raise NotFound(_("There is no such resource."))


def _may_change(actor: Actor, type_name: str, resource_id: str) -> bool:
    if type_name in BY_TURNS:
        return access.shared(actor, type_name).filter(id=resource_id).exists()
    if not actor.organization or (type_name == "CareTeam" and Pool.objects.filter(pk=resource_id).exists()):
        return False  # the team of a list changes with its list alone
    return actor.organization == _keeper(type_name, resource_id)


def _keeper(type_name: str, resource_id: str) -> str:
    """The root organisation that keeps a resource: its author, else the one that an entry of the directory is of."""
    author = access.author(type_name, resource_id)
    return author or parties.root_of({"reference": f"{type_name}/{resource_id}"})


def refuse_another_house(actor: Actor, resource: Resource) -> None:
    """Raise `Forbidden` for an entry of the directory that says to be part of another organisation that works here."""
    type_name = resource["resourceType"]
    element = PART_OF.get(type_name, "")
    named = resource.get(element)
    for reference in named if isinstance(named, list) else [named]:
        house = parties.root_of(reference)
        if house != actor.organization and access.is_tenant(house):
            text = _("Only that organisation itself says what is part of it.")
            raise Forbidden(text, Issue(text, f"{type_name}.{element}"))
