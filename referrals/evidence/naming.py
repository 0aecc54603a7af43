"""What a piece of evidence names: the patient, and the loops by their request, their Task or an earlier version of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Q

from records.access import Actor
from records.json import Resource
from records.types import row_class
from referrals.models import Event, Handoff, Loop
from referrals.parties import local
from referrals.people import roles_in


def patient_of(resource: Resource) -> Mapping[str, Any]:
    """The reference to the patient that a resource is about; empty for none."""
    if resource.get("resourceType") == "Appointment":
        actors = (one.get("actor", {}) for one in resource.get("participant", ()))
        return next((one for one in actors if "Patient" in (one.get("type"), local(one)[0])), {})
    found: Mapping[str, Any] = resource.get("subject") or resource.get("patient") or {}
    return found


def named_loops(resource: Resource, actor: Actor) -> Iterator[tuple[Loop, bool]]:
    """The loops whose request or Task the resource names, or whose Task names it; True where it was applied before."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    keys = [local(one) for one in _references(resource)]
    tasks = [key for type_, key in keys if type_ == "Task"]
    tasks += row_class("Task").rows("Task").filter(output__contains=[reference]).values_list("id", flat=True)
    handoffs = Handoff.objects.filter(pk__in=tasks).values("loop")
    requests = [key for type_, key in keys if type_ == "ServiceRequest"]
    applied = set(Event.objects.filter(evidence=reference, handoff__kind="fulfil").values_list("loop", flat=True))
    wanted = Q(request_id__in=requests) | Q(pk__in=handoffs) | Q(pk__in=applied)
    with_request = Loop.objects.select_related("accountable").exclude(request_id=None)
    for loop in with_request.filter(wanted).order_by("id"):
        # Somebody who has no part in the loop learns nothing from naming it.
        if actor.kind in ("partner", "system") or roles_in(actor, loop):
            yield loop, loop.id in applied


def _references(resource: Resource) -> Iterable[Any]:
    request = resource.get("request", ())
    return (
        *resource.get("basedOn", ()),
        *resource.get("incomingReferral", ()),
        *(request if isinstance(request, list) else ()),
        *resource.get("context", {}).get("related", ()),
    )
