"""Whoever may see a loop may read what its resources refer to, as far as their sender may read that.

The audience of a record otherwise is its sender's organisation alone: without this the referrer would see that a report
came and not the results that it lists.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from records import access, references, store
from records.access import Actor
from records.json import Resource
from referrals.ledger import audience as audience_of
from referrals.models import UNSENT, Loop
from referrals.parties import held, local

# An order is shared by its own loop alone: a report may name the orders of two placers.
NEVER = frozenset({"ServiceRequest", "Task", "Patient"})


def welcome(loop: Loop, request: str, organization: str, actor: Actor) -> None:
    """Let an organisation that has just been asked to perform read what it is asked for (``request`` as a reference)."""
    body = held(*local({"reference": request}))
    if body:
        share(loop, body, actor, besides=frozenset({"Patient"}), organizations=frozenset({organization}))
    store.share_many([("Task", loop.id)], [organization])


def withhold(loop: Loop, request: str, organization: str) -> None:
    """Take from an organisation what it could read since the request named it: it is asked once the payer has agreed.

    Whoever was sent it before has read it, and keeps it.
    """
    sent = loop.handoffs.filter(kind="fulfil", owner__organization=organization).exclude(UNSENT)
    if not sent.exists():
        tasks = [("Task", key) for key in (loop.id, *loop.handoffs.values_list("id", flat=True))]
        store.withdraw_many([local({"reference": request}), *tasks], [organization])


def share(
    loop: Loop,
    resource: Resource,
    actor: Actor,
    *,
    besides: frozenset[str] = frozenset(),
    organizations: frozenset[str] = frozenset(),
) -> None:
    """Let organisations, by default the loop's, read a resource of the loop and what it refers to.

    ``besides`` adds types.
    """
    seen = [
        (type_, key)
        for type_, keys in sorted(_wanted(resource, NEVER - besides).items())
        for key in access.visible(actor, type_).filter(pk__in=keys).values_list("pk", flat=True)
    ]
    store.share_many([(resource["resourceType"], resource["id"]), *seen], organizations or audience_of(loop))


def share_many(belonging: Iterable[tuple[Loop, Resource]], actor: Actor) -> None:
    """Share each of these resources, of one type, with its loop's organisations; together what names nothing to be shared as well."""
    alone: dict[frozenset[str], list[tuple[str, str]]] = defaultdict(list)
    for loop, resource in belonging:
        if _wanted(resource, NEVER):
            share(loop, resource, actor)
        else:
            alone[audience_of(loop)].append((resource["resourceType"], resource["id"]))
    for organizations, resources in alone.items():
        store.share_many(resources, organizations)


def _wanted(resource: Resource, never: frozenset[str]) -> dict[str, set[str]]:
    """What a resource refers to and who may see it may see too, by type."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for type_, key in _named(resource):
        if type_ in access.POLICIES and access.POLICIES[type_] != "directory" and type_ not in never:
            wanted[type_].add(key)
    return wanted


def _named(resource: Resource) -> Iterator[tuple[str, str]]:
    """Type and id of everything here that the resource refers to, attachments by url included."""
    for _path, reference in references.iter(resource):
        yield local(reference)
    for content in resource.get("content", ()) if resource["resourceType"] == "DocumentReference" else ():
        yield local({"reference": content.get("attachment", {}).get("url")})
    for form in resource.get("presentedForm", ()):
        yield local({"reference": form.get("url")})
