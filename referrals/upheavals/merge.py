"""Two Patients that are one: what is derived follows to the surviving record, the bodies stay, and it can be undone.

Only a statement merges: the Patient that is replaced says so (``link.type`` replaced-by, ``active`` false; FHIR R4 §8.1.2),
or a person here (`referrals.upheavals.duplicates`). What merely looks alike is flagged and never merged by guess.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from records import clock, store
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import Conflict
from records.json import Resource, loads
from records.models import Audience
from records.types import TYPES, OtherResource, row_class
from referrals import evidence, following, locking, mortality, workflow
from referrals.models import Handoff, Loop, Merge
from referrals.parties import held, local, merged_along
from referrals.upheavals import death

LOOP = "Loop"
LATELY = timedelta(days=1)


def replaced_by(patient: Resource) -> str:
    """The id of the Patient here that replaces this one; empty while it counts itself."""
    links = (one.get("other") for one in patient.get("link", ()) if one.get("type") == "replaced-by")
    found = next((key for type_, key in map(local, links) if type_ == "Patient"), "")
    return found if patient.get("active") is False else ""


@tried_again
@transaction.atomic
def merge(source: str, target: str, actor: Actor) -> Merge | None:
    """Let everything of ``source`` count as of ``target``; None where that is so already, or would lead in a circle.

    A death that is said of either is asked about once for both (`death.join`).
    """
    mortality.hold_merging()
    known = Merge.objects.filter(source=source, undone_at=None).first()
    if not held("Patient", target) or source in merged_along(target) or (known and known.target == target):
        return None
    if known is not None:
        _undo(known, actor)
    locking.hold_loops_of(source)
    mortality.hold(source)
    survivor = mortality.hold(target)
    is_said = any(map(death.is_said_of, (source, survivor)))
    loops = locking.hold_loops_of(source)  # those opened meanwhile, too
    moved = [[type_, key] for type_, key, _patient in _rows_of([source])]
    _follow(moved, source, survivor)
    workflow.change_loops(loops, actor, "merge-patient", patient_id=survivor)
    readers = Audience.objects.filter(type="Patient", row=source).values_list("organization", flat=True)
    for one in {target, survivor}:
        store.share("Patient", one, list(readers))
    moved += [[LOOP, key] for key in loops]
    for later in following.passed(target):
        following.remember(later, moved)
    merged = Merge.objects.create(
        source=source, target=target, moved=moved, merged_at=clock.now(), merged_by=actor.display
    )
    death.join(survivor, loops, actor, is_said=is_said)
    return merged


def gather(target: str, actor: Actor) -> None:
    """Merge into a Patient that has just come those that said before that it replaces them."""
    rows = row_class("Patient").rows("Patient").filter(link__contains=[f"Patient/{target}"], deleted=False)
    for row in rows.order_by("id"):
        if replaced_by(loads(row.body)) == target:
            merge(row.id, target, actor)


@tried_again
@transaction.atomic
def undo(source: str, actor: Actor) -> None:
    """Let what followed go back to ``source``. `Conflict` while the surviving record is merged itself."""
    mortality.hold_merging()
    known = Merge.objects.filter(source=source, undone_at=None).first()
    if known is not None:
        _undo(known, actor)


def sweep(now: datetime) -> int:
    """Let what was being written while its patient was merged follow; gives how much did.

    Its writer saw no merge yet, and the merge no such row. No transaction lasts as long as `LATELY`.
    """
    lately = Merge.objects.filter(undone_at=None, merged_at__gte=now - LATELY)
    left = list(_rows_of(list(lately.values_list("source", flat=True))))
    for row in left:
        with transaction.atomic():
            following.bring(*row)
    return len(left)


def _undo(known: Merge, actor: Actor) -> None:
    if Merge.objects.filter(source=known.target, undone_at=None).exists():
        raise Conflict(_("The record that it was merged into has been merged itself: undo that first."))
    locking.hold_loops_of(known.target)
    mortality.hold(known.source)
    known = Merge.objects.select_for_update().get(pk=known.pk)
    loops = _loops_to_go_back(known)
    _follow([*(pair for pair in known.moved if pair[0] != LOOP), *_tasks_of(loops)], known.target, known.source)
    workflow.change_loops(loops, actor, "unmerge-patient", patient_id=known.source)
    known.undone_at, known.undone_by = clock.now(), actor.display
    known.save(update_fields=["undone_at", "undone_by"])
    evidence.sort_out({known.source, known.target}, known.merged_at, actor)
    death.part((known.source, known.target), actor)


def _loops_to_go_back(known: Merge) -> list[str]:
    """The loops that followed, and those of the requests that did, whenever they were opened: later ones, and what came after an end."""
    requests = [key for type_, key in known.moved if type_ == "ServiceRequest"]
    of_requests = Q(request_id__in=requests) | Q(about__in=[f"ServiceRequest/{key}" for key in requests])
    followed = Q(id__in=[key for type_, key in known.moved if type_ == LOOP])
    return list(Loop.objects.filter(of_requests | followed, patient_id=known.target).values_list("id", flat=True))


def _tasks_of(loops: Sequence[str]) -> Iterator[list[str]]:
    """The Tasks of these loops, and those about their requests: Baton has written some of them since the merge."""
    handoffs = Handoff.objects.filter(loop__in=loops).values_list("id", flat=True)
    requests = {loop.request_reference for loop in Loop.objects.filter(pk__in=loops)} - {""}
    about = row_class("Task").rows("Task").filter(based_on__overlap=list(requests)).values_list("id", flat=True)
    yield from (["Task", key] for key in {*loops, *handoffs, *about})


def _rows_of(patients: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Everything in these patients' compartments but the Patients: its type, its id, and whose it is."""
    if not patients:
        return
    for type_, row in TYPES.items():
        if type_ != "Patient":
            rows = row.rows(type_).filter(patient__in=patients)
            yield from ((type_, key, patient) for key, patient in rows.values_list("id", "patient"))
    yield from OtherResource.objects.filter(patient__in=patients).values_list("type", "id", "patient")


def _follow(pairs: list[list[str]], source: str, target: str) -> None:
    by_type: dict[str, list[str]] = defaultdict(list)
    for type_, key in pairs:
        by_type[type_].append(key)
    for type_, keys in by_type.items():
        moving = Q(id__in=keys, patient=source)
        row_class(type_).rows(type_).filter(moving).update(patient=target)
