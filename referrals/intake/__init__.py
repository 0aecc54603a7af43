"""The one door for a resource from outside: a person's composer, an API client and a partner's EHR all come in here.

`receive` keeps the resource and lets it do to the loops what it means, in one transaction (DESIGN §5). What a partner
says of a resource after it has said something newer changes nothing (`order`, law 7); a Task has an order of its own.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from records import clock, references, store, validation
from records.access import Actor
from records.deadlocks import tried_again
from records.json import Resource
from records.store import Written
from records.types import R4_TYPES
from referrals import evidence, following, locking, sharing, upheavals
from referrals.intake import order, persons, requests, staff, tasks, together
from referrals.models import Handoff, Loop
from referrals.parties import held, local

Handler = Callable[[Resource, Actor, int | None, Iterable[str]], tuple[Written, str | None]]


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a resource: what was written (or was there already), and the id of the loop it is part of."""

    written: Written
    loop_id: str | None


@tried_again
def receive(
    resource: Resource, actor: Actor, *, if_match: int | None = None, audience: Collection[str] = (), opens: bool = True
) -> Received:
    """Take one resource in; ``if_match`` and ``audience`` as in `store.write`.

    ``opens`` False is an import's: it opens no loop. An order of ours is listed for a coordinator to adopt, what names
    a loop of ours does to it what it means, all else is only kept.

    Raises what `store.write` raises, `Forbidden` for what only another may write, and `Incorrect` for a difference
    that is no legal step; nothing is kept then.
    """
    handler = _handler(resource.get("resourceType", ""), opens=opens)
    with transaction.atomic():
        if handler is not tasks.receive and order.is_late(resource, actor):
            return Received(*_as_it_is(resource))
        written, loop_id = handler(resource, actor, if_match, audience)
        following.note(written.type, written.id, resource)
        return Received(written, loop_id)


def keep(resource: Resource, actor: Actor, *, audience: Iterable[str] = ()) -> str:
    """Keep a record that an action is about to name, in the same transaction; gives its reference.

    It moves no loop: what it means is what the action says. Raises what `store.write` raises.
    """
    written = store.write(resource, actor=actor, audience=audience)
    following.note(written.type, written.id, resource)
    return f"{written.type}/{written.id}"


def receive_together(
    resources: Sequence[Resource], actor: Actor, *, audience: Iterable[str] = (), opens: bool = True
) -> dict[str, Written]:
    """Take in at once those of a partner's resources (of one type, each id once) that only have to be kept.

    Gives what was written by id; what is not among it has to come in by `receive`.
    """
    type_ = resources[0]["resourceType"] if resources and actor.kind == "partner" else ""
    handler = _handler(type_, opens=opens)
    if type_ and handler is _keep:
        return together.receive(resources, actor, "kept", audience=audience)
    if type_ and handler is _record and type_ != "Task":
        return together.receive(resources, actor, "recorded", audience=audience)
    if handler is _prove and type_ in evidence.OUTPUTS:
        return together.receive(resources, actor, "proven", audience=audience)
    return {}


def _handler(type_: str, *, opens: bool) -> Handler:
    return (not opens and IMPORTED.get(type_)) or HANDLERS.get(type_, _keep)


def _as_it_is(resource: Resource) -> tuple[Written, None]:
    """What is here already, since what came is older."""
    stored = store.read(resource["resourceType"], resource["id"])
    told = (stored.type, stored.id, stored.version, stored.last_updated, stored.body)
    return Written(*told, created=False, changed=False), None


def _keep(
    resource: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """A plain record."""
    return store.write(resource, actor=actor, if_match=if_match, audience={*audience, actor.organization}), None


def _prove(
    resource: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """A record that may belong to a loop and prove a step of it; whoever sees the loop may then see its evidence."""
    resource = {**resource, "id": resource.get("id") or clock.new_id()}
    validation.check(resource, lenient=actor.kind == "partner")
    itself = f"{resource['resourceType']}/{resource['id']}"
    outputs = [itself, *evidence.listed_by(resource)]
    locking.hold_names(outputs=outputs, requests=evidence.requests_of(resource))
    listing = evidence.hold_reports_with(resource, actor)
    loops = evidence.named_loops(resource, actor)  # locked before the record is (docs/decisions/0124)
    previous = held(resource["resourceType"], resource["id"])
    readers = {*audience, actor.organization}
    written = store.write(resource, actor=actor, if_match=if_match, audience=readers, validate=False)
    if not written.changed:
        return written, None
    loop_id = evidence.apply(resource, previous, loops, actor)
    evidence.hear_again(listing, resource, actor)
    if loop_id is not None:
        loop = Loop.objects.select_related("accountable").get(pk=loop_id)
        sharing.share(loop, resource, actor)
    if resource["resourceType"] == "Encounter":
        upheavals.of_encounter(previous, resource, actor)
    return written, loop_id


def _record(
    resource: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """A record of an import: it says something to a loop only if it names one of ours."""
    named = [local(reference) for _path, reference in references.iter(resource)]
    requests_ = [key for type_, key in named if type_ == "ServiceRequest"]
    tasks_ = [resource.get("id", ""), *(key for type_, key in named if type_ == "Task")]
    is_known = (
        Loop.objects.filter(Q(request_id__in=requests_) | Q(pk__in=tasks_)).exists()
        or Handoff.objects.filter(pk__in=tasks_).exists()
    )
    handler = HANDLERS[resource["resourceType"]] if is_known else _keep
    return handler(resource, actor, if_match, audience)


HANDLERS: dict[str, Handler] = {
    "ServiceRequest": requests.receive,
    "Task": tasks.receive,
    "Patient": persons.receive,
    "Practitioner": staff.receive,
    **dict.fromkeys(upheavals.DIRECTORY, persons.receive_entry),
    **dict.fromkeys(evidence.TYPES | evidence.RECORDED, _prove),
}
# What an import's resources go through instead, as the usual way might open a loop.
IMPORTED: dict[str, Handler] = {
    "ServiceRequest": requests.record,
    **dict.fromkeys(evidence.TYPES | evidence.RECORDED | {"Task"}, _record),
}
# What may come in together with others of its type; see `receive_together`.
TOGETHER = frozenset(type_ for type_ in R4_TYPES if HANDLERS.get(type_, _keep) is _keep or type_ in evidence.OUTPUTS)
TOGETHER_OF_LOADS = frozenset(type_ for type_ in R4_TYPES if _handler(type_, opens=False) in (_keep, _record)) - {
    "Task"
}
