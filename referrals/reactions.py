"""What else happens in the same transaction when a loop's journal gets a line. See `records.reactions`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from referrals.models import Event

Reaction = Callable[[Sequence["Event"]], None]
_registered: list[Reaction] = []


def register(reaction: Reaction) -> None:
    """Add a reaction; registering the same one again changes nothing."""
    if reaction not in _registered:
        _registered.append(reaction)


def announce(events: Sequence["Event"]) -> None:
    """Tell every reaction of the events that this transaction has just recorded."""
    for reaction in _registered if events else ():
        reaction(events)
