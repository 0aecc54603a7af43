"""Several resources of one type through the door at once, in the statements of one: records that move no loop.

What moves one, or might, is left for `referrals.intake.receive`: another's order, evidence that a Task names as its output,
what is late, what is not valid, what names a loop of another patient. So everything here is kept, and shared with whoever sees
the loops that it names, as it would be one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from django.db import transaction
from django.db.models import Q

from records import references, store, validation
from records.access import Actor
from records.errors import BatonError
from records.json import Resource
from records.store import Written
from records.types import row_class
from referrals import evidence, following, locking, sharing
from referrals.intake import order
from referrals.models import Event, Handoff, Loop
from referrals.parties import local
from referrals.subjects import patient_of

Named = Mapping[str, Sequence[Loop]]
"""The loops that each resource names, by its id."""
Way = Literal["kept", "recorded", "proven"]
"""What becomes of such a type: it is kept, whatever it names; it may say something to a loop that it names anywhere; or it is
kept and shared with those who see the loop that it belongs to, as an output is.
"""


def receive(
    resources: Sequence[Resource], actor: Actor, way: Way, *, audience: Iterable[str] = ()
) -> dict[str, Written]:
    """Keep those of these resources of a partner (one type, each id once) that move nothing; gives what was written, by id.

    What is not among it has to come in alone. It takes as many statements for one resource as for a hundred.
    """
    with transaction.atomic():
        valid = [resource for resource in resources if _is_valid(resource)]
        named = _loops(valid) if way == "proven" else {}
        moving = {"kept": _none, "recorded": _naming, "proven": _moving}[way](valid)
        quiet = [one for one in valid if one["id"] not in moving and _is_of_its_patient(one, named)]
        late = order.late(quiet, actor)
        kept = [one for one in quiet if one["id"] not in late]
        written = store.write_many(kept, actor=actor, audience={*audience, actor.organization})
        changed = {each.id for each in written if each.changed}
        sharing.share_many(
            [(named[one["id"]][0], one) for one in kept if one["id"] in changed and named.get(one["id"])], actor
        )
        following.note_many(kept)
    return {each.id: each for each in written}


def _is_valid(resource: Resource) -> bool:
    try:
        validation.check(resource, lenient=True)
    except BatonError:
        return False
    return True


def _loops(resources: Sequence[Resource]) -> Named:
    """The loops whose request or Task each names, as `evidence.naming.named_loops` finds them for one."""
    said = {one["id"]: {local(each) for each in evidence.references_of(one)} for one in resources}
    requests = {key for keys in said.values() for type_, key in keys if type_ == "ServiceRequest"}
    tasks = {key for keys in said.values() for type_, key in keys if type_ == "Task"}
    if not requests | tasks:
        return {}
    focus = [f"ServiceRequest/{key}" for key in requests]
    rows = Handoff.objects.filter(Q(pk__in=tasks) | Q(focus__in=focus)).values_list("pk", "focus", "loop")
    by_name: dict[str, set[str]] = {}
    for task, about, loop in rows:
        by_name.setdefault(f"Task/{task}", set()).add(loop)
        by_name.setdefault(about, set()).add(loop)
    wanted = Q(request_id__in=requests) | Q(pk__in={loop for loops in by_name.values() for loop in loops})
    with_request = Loop.objects.select_related("accountable", "responsible").exclude(request_id=None, based_on=None)
    found = list(with_request.filter(wanted).order_by("id"))
    return {
        id_: [
            loop
            for loop in found
            if ("ServiceRequest", loop.request_id) in keys
            or any(loop.id in by_name.get("/".join(key), ()) for key in keys)
        ]
        for id_, keys in said.items()
    }


def _none(_resources: Sequence[Resource]) -> set[str]:
    return set()


def _moving(resources: Sequence[Resource]) -> set[str]:
    """Those that a Task names as its output, or a report as its result, or that have moved something."""
    known = {f"{one['resourceType']}/{one['id']}": one["id"] for one in resources}
    locking.hold_names(outputs=known)
    outputs = row_class("Task").rows("Task").filter(output__overlap=list(known)).values_list("output", flat=True)
    applied = Event.objects.filter(evidence__in=list(known)).values_list("evidence", flat=True)
    listed = [each for report in evidence.reports_with(known) for each in evidence.listed_by(report)]
    named = {*applied, *listed, *(each for output in outputs for each in output)}
    return {known[each] for each in named if each in known}


def _naming(resources: Sequence[Resource]) -> set[str]:
    """Those that name a loop of ours, in any element; an import may say something to it."""
    said = {one["id"]: {local(each) for _path, each in references.iter(one)} for one in resources}
    requests = {key for keys in said.values() for type_, key in keys if type_ == "ServiceRequest"}
    tasks = {key for keys in said.values() for type_, key in keys if type_ == "Task"} | {*said}
    known = Loop.objects.filter(Q(request_id__in=requests) | Q(pk__in=tasks)).values_list("pk", "request_id")
    ours = {key for row in known for key in row} | {*Handoff.objects.filter(pk__in=tasks).values_list("pk", flat=True)}
    return {id_ for id_, keys in said.items() if id_ in ours or ours & {key for _type, key in keys}}


def _is_of_its_patient(resource: Resource, named: Named) -> bool:
    """Whether it names no loop but its own patient's, by id: all else is looked at more closely."""
    return all(local(patient_of(resource)) == ("Patient", loop.patient_id) for loop in named.get(resource["id"], ()))
