"""Whose elements are whose in a shared Task, and how a Task from outside joins the one that we hold (PATHWAYS §1)."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from records.errors import Incorrect, Issue
from records.json import Resource, dumps

PERFORMERS = frozenset({"status", "businessStatus", "statusReason", "output", "executionPeriod"})
PLACERS = frozenset(
    {
        *("partOf", "basedOn", "intent", "priority", "code", "focus", "for", "requester", "owner", "authoredOn"),
        *("restriction", "input", "groupIdentifier", "instantiatesCanonical", "instantiatesUri"),
    }
)
SHARED = frozenset({"note", "identifier", "extension"})


def merge(held: Resource, said: Resource, own: frozenset[str]) -> Resource:
    """The held Task with what the sender may say: its ``own`` elements as sent, lists that both write by union.

    Elements that neither side owns are taken over where they were sent; the others stay as they are.
    """
    kept = {name: value for name, value in held.items() if name not in own}
    free = {name: value for name, value in said.items() if name not in PERFORMERS | PLACERS | SHARED}
    mine = {name: said[name] for name in own if name in said}
    shared = {name: union(held.get(name, ()), said.get(name, ())) for name in SHARED}
    merged = kept | free | mine | {name: items for name, items in shared.items() if items}
    return merged | {"id": held["id"], "meta": {**held.get("meta", {}), **said.get("meta", {})}}


def union(held: Iterable[Any], said: Iterable[Any]) -> list[Any]:
    """What is held, in its order, then what is new; the extensions and identifiers that are ours never change so."""
    items, known = list(held), {_key(item) for item in held}
    return items + [item for item in said if _key(item) not in known]


def refuse_foreign(held: Resource, said: Resource, own: frozenset[str], first: Resource) -> None:
    """Raise `Incorrect` naming each element that the sender changes although it is not the sender's to change here.

    ``first`` is the Task's first version: an EHR that repeats what it once sent changes nothing.
    """
    foreign = [
        name for name in sorted((PERFORMERS | PLACERS) - own) if name in said and _is_new(name, said, held, first)
    ]
    if foreign:
        text = _("These elements can't be changed here: %(elements)s.") % {"elements": ", ".join(foreign)}
        raise Incorrect(text, *(Issue(text, f"Task.{name}", "business-rule") for name in foreign))


def _is_new(name: str, said: Resource, *known: Resource) -> bool:
    return all(_said(said[name]) != _said(one.get(name)) for one in known)


def _said(value: Any) -> str:
    """The value as text; of a reference only where it leads, since each side adds a display of its own."""
    return str(value["reference"]) if isinstance(value, dict) and "reference" in value else dumps([value])


def _key(item: Any) -> str:
    """What makes an item of a shared list the same: an identifier's system and value, our extension's url, else all."""
    if isinstance(item, dict):
        if str(item.get("url", "")).startswith(f"{settings.BATON_BASE_URL}/StructureDefinition/"):
            return str(item["url"])
        if item.get("system") and item.get("value"):
            return f"{item['system']}|{item['value']}"
    return dumps([item])
