"""The one door for a resource from outside: a person's composer, an API client and a partner's EHR all come in here.

`receive` keeps the resource and lets it do to the loops what it means, in one transaction (DESIGN §5).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from records import store
from records.access import Actor
from records.json import Resource
from records.store import Written


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a resource: what was written (or was there already), and the id of the loop it is part of."""

    written: Written
    loop_id: str | None


def receive(resource: Resource, actor: Actor, *, if_match: int | None = None, audience: Iterable[str] = ()) -> Received:
    """Take one resource in; ``if_match`` and ``audience`` as in `store.write`.

    Raises what `store.write` raises, `Forbidden` for what only another may write, and `Incorrect` for a difference
    that is no legal step; nothing is kept then.
    """
    with transaction.atomic():
        written = store.write(resource, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    return Received(written, None)
