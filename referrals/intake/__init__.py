"""The one door for a resource from outside: a person's composer, an API client and a partner's EHR all come in here.

`receive` keeps the resource and lets it do to the loops what it means, in one transaction (DESIGN §5). The versions of
one resource are ordered by whoever fetched them (the bridge by its Link, an API client by If-Match); what a Task says
is also ordered here (law 7).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction

from records import store
from records.access import Actor
from records.json import Resource
from records.store import Written
from referrals import evidence, sharing
from referrals.intake import persons, requests, tasks
from referrals.models import Loop
from referrals.parties import held

Handler = Callable[[Resource, Actor, int | None, Iterable[str]], tuple[Written, str | None]]


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
    handler = HANDLERS.get(resource.get("resourceType", ""), _keep)
    with transaction.atomic():
        return Received(*handler(resource, actor, if_match, audience))


def _keep(
    resource: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """A plain record."""
    return store.write(resource, actor=actor, if_match=if_match, audience={*audience, actor.organization}), None


def _prove(
    resource: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """A record that may belong to a loop and prove a step of it; whoever sees the loop may then see its evidence."""
    previous = held(resource["resourceType"], resource.get("id", ""))
    written, _none = _keep(resource, actor, if_match, audience)
    if not written.changed:
        return written, None
    loop_id = evidence.apply({**resource, "id": written.id}, previous, actor)
    if loop_id is not None:
        loop = Loop.objects.select_related("accountable").get(pk=loop_id)
        sharing.share(loop, {**resource, "id": written.id}, actor)
    return written, loop_id


HANDLERS: dict[str, Handler] = {
    "ServiceRequest": requests.receive,
    "Task": tasks.receive,
    "Patient": persons.receive,
    **dict.fromkeys(evidence.TYPES | evidence.RECORDED, _prove),
}
