"""What else happens in the same transaction when a resource has changed.

Higher rooms register a function in their ``AppConfig.ready``; the functions run in the order of registration, do no
I/O beyond the database, and an error in one undoes the write. With an empty registry the house still works.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from records.access import Actor
from records.json import Resource


@dataclass(frozen=True, slots=True)
class Change:
    """One new version of a resource; ``body`` is None for a deletion, ``previous`` is None for a creation."""

    type: str
    id: str
    version: int
    body: Resource | None
    previous: Resource | None
    patient: str
    actor: Actor
    at: datetime


Reaction = Callable[[Sequence[Change]], None]
_registered: list[Reaction] = []


def register(reaction: Reaction) -> None:
    """Add a reaction; registering the same one again changes nothing."""
    if reaction not in _registered:
        _registered.append(reaction)


def announce(changes: Sequence[Change]) -> None:
    """Tell every reaction of the versions that this transaction has just written."""
    for reaction in _registered if changes else ():
        reaction(changes)
