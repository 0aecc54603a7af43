"""The names of patients as lists show them, in one look-up for a whole page."""

from collections.abc import Collection
from typing import Any

from records import access
from records.access import Actor
from records.json import Resource, loads

# https://hl7.org/fhir/R4/valueset-name-use.html, the one to show first.
_USES = ("usual", "official", "nickname", "anonymous", "maiden", "temp", "old")


def display_names(actor: Actor, ids: Collection[str]) -> dict[str, str]:
    """The name of each Patient that the actor may see."""
    return {key: name for key, (name, _born) in identities(actor, ids).items()}


def identities(actor: Actor, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Name and date of birth (as the record writes it) of each Patient that the actor may see."""
    wanted = sorted(set(ids) - {""})
    if not wanted:
        return {}
    bodies = ((key, loads(body)) for key, body in access.bodies(actor, "Patient", wanted).items())
    return {key: (display_name(body), str(body.get("birthDate", ""))) for key, body in bodies}


def display_name(patient: Resource) -> str:
    """The patient's name as text: what the resource says, else its parts; empty when there is none."""
    names = sorted(patient.get("name", []), key=_rank)
    return next((text for name in names if (text := _text(name))), "")


def _rank(name: dict[str, Any]) -> int:
    use = name.get("use", "usual")
    return _USES.index(use) if use in _USES else len(_USES)


def _text(name: dict[str, Any]) -> str:
    parts = [*name.get("given", []), name.get("family", "")]
    return str(name.get("text") or " ".join(part for part in parts if part))
