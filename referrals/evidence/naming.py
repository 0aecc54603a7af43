"""What a piece of evidence names: the patient, and the loops by their request, their Task or an earlier version of it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from records import store
from records.access import Actor
from records.json import Resource
from records.types import row_class
from referrals import locking
from referrals.models import Event, Handoff, Loop
from referrals.parties import local, root_of
from referrals.people import roles_in
from referrals.reports import SUCCESSIONS


@dataclass(frozen=True, slots=True)
class Named:
    """A loop that a resource names. ``is_applied``: it has moved something there; ``is_output``: a Task of it names it."""

    loop: Loop
    is_applied: bool
    is_output: bool


def named_loops(resource: Resource, actor: Actor) -> Sequence[Named]:
    """The loops that a resource (with its id) names, as they are once they are locked (`locking.settled`)."""
    return locking.settled(lambda: list(_named(resource, actor)), lambda one: one.loop)


def _named(resource: Resource, actor: Actor) -> Iterator[Named]:
    """The loops whose request or Task the resource names, whose Task names it, or that hold what it replaces."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    keys = [_target(one) for one in references_of(resource)]
    requests = [key for type_, key in keys if type_ == "ServiceRequest"]
    given = _given_in(reference)
    tasks = Handoff.objects.filter(pk__in=[key for type_, key in keys if type_ == "Task"]).values("loop")
    later = Handoff.objects.filter(focus__in=[f"ServiceRequest/{key}" for key in requests]).values("loop")
    applied = _applied(reference)
    related = set().union(*(_applied(earlier) | _given_in(earlier) for earlier in succeeded(resource)))
    named = Q(request_id__in=requests) | Q(pk__in=later) | Q(pk__in=tasks)
    wanted = named | Q(pk__in={*given, *applied, *related})
    with_request = Loop.objects.select_related("accountable").exclude(request_id=None, based_on=None)
    for loop in with_request.filter(wanted).order_by("id"):
        # Somebody who has no part in the loop learns nothing from naming it.
        if actor.kind in ("partner", "system") or roles_in(actor, loop):
            yield Named(loop, loop.id in applied, loop.id in given)


def named_by(resource: Resource) -> list[str]:
    """The requests and Tasks that a resource names, as references."""
    return ["/".join(one) for one in map(_target, references_of(resource)) if one[0] in ("ServiceRequest", "Task")]


def requests_of(resource: Resource) -> list[str]:
    """The requests that a resource names, as references."""
    return [one for one in named_by(resource) if one.startswith("ServiceRequest/")]


def _target(named: Any) -> tuple[str, str]:
    """What a reference leads to; one that has an order number alone to the one request here that bears it."""
    number = named.get("identifier") if isinstance(named, dict) and "reference" not in named else None
    if not isinstance(number, dict) or named.get("type", "ServiceRequest") != "ServiceRequest":
        return local(named)
    system, value = number.get("system"), number.get("value")
    found = store.find_by_identifier("ServiceRequest", system, value) if system and value else []
    return ("ServiceRequest", found[0].id) if len(found) == 1 else ("", "")


def performers_of(resource: Resource) -> set[str]:
    """The root organisations that a resource says have done it; empty where it doesn't say, or nobody is known."""
    named = (
        *listed(resource.get("performer")),
        *listed(resource.get("author")),
        *listed(resource.get("custodian")),
        *listed(resource.get("serviceProvider")),
        *(one.get("actor") for one in resource.get("participant", ())),
    )
    flat = (one.get("actor", one) for one in named if one)
    return {root_of(one) for one in flat if local(one)[0] not in ("Patient", "RelatedPerson")} - {""}


def listed(value: Any) -> tuple[Any, ...]:
    """An element as a sequence, whether it may repeat or not."""
    return tuple(value) if isinstance(value, list) else (value,) if value else ()


def _applied(reference: str) -> set[str]:
    """The loops in which it has moved something."""
    return set(
        Event.objects.filter(evidence=reference, handoff__kind__in=["fulfil", "review-report"]).values_list(
            "loop", flat=True
        )
    )


def _given_in(reference: str) -> set[str]:
    """The loops in which a Task has it as an output, whoever has given it there."""
    outputs = row_class("Task").rows("Task").filter(output__contains=[reference]).values_list("id", flat=True)
    return set(Handoff.objects.filter(pk__in=outputs).values_list("loop", flat=True))


def succeeded(resource: Resource, codes: Collection[str] = tuple(SUCCESSIONS)) -> list[str]:
    """The documents that a document replaces or appends to."""
    return [
        "/".join(local(one.get("target")))
        for one in resource.get("relatesTo", ())
        if resource["resourceType"] == "DocumentReference" and one.get("code") in codes
    ]


def references_of(resource: Resource) -> Iterable[Any]:
    """The reference elements in which a resource names the request or the Task that it belongs to."""
    return (
        *resource.get("basedOn", ()),
        *resource.get("incomingReferral", ()),
        *(resource.get("about", ()) if resource["resourceType"] == "Communication" else ()),
        *listed(resource.get("request") if resource["resourceType"] == "Specimen" else None),
        *resource.get("context", {}).get("related", ()),
    )
