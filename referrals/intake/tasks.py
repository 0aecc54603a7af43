"""A Task at the door: a performer's word on one of our handoffs, the order to perform itself, or a plain record.

The difference in the elements that the sender owns becomes actions along the legal path (`steps`); all else merges
(`merging`). A message older than the last one that we heard changes nothing (law 7).
"""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _

from records import clock, dates, references, store
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue, NotFound, Stale
from records.json import Resource, loads
from records.store import Stored, Written
from referrals import evidence, locking, sharing, workflow
from referrals.intake import outputs
from referrals.intake.merging import PERFORMERS, merge, refuse_foreign
from referrals.intake.steps import (
    DONE_ANYWAY,
    STARTED_ANYWAY,
    STOPPED_ANYWAY,
    Step,
    agreed_elsewhere,
    reason_in,
    steps_of,
    unreachable,
)
from referrals.models import Event, Handoff, Loop
from referrals.parties import held, local, root_of, same_patient
from referrals.pathways import RECIPIENT, transitions_from
from referrals.pathways.handoffs import HL7_TASK_CODE
from referrals.people import roles_in
from referrals.readings import line_of
from referrals.receipts import is_receipt
from referrals.subjects import patient_of
from referrals.workflow import Act

# What a placer's EHR says in its Task alone, and may change while it is performed.
TOLD_BESIDES = frozenset({"input", "groupIdentifier"})
# What the Task of an ended loop says while a new loop is opened for it: the Task hears it besides.
IN_A_NEW_LOOP = frozenset({"contradict", STARTED_ANYWAY, DONE_ANYWAY})


def receive(task: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]) -> tuple[Written, str | None]:
    """Take a Task in; gives what was written and the id of the loop that it is part of.

    Raises `Incorrect` for a difference that is no legal step, `Forbidden` for the Task of a loop itself.
    """
    locking.hold_names(outputs=_outputs(task))
    handoff = _handoff_of(task)
    if handoff is not None:
        return _hear(handoff, {**task, "id": handoff.id}, actor, if_match), handoff.loop_id
    if Loop.objects.filter(pk=task.get("id", "")).exists() or is_receipt(task):
        raise Forbidden(_("Only Baton writes the Task of a loop."))
    written = store.write(task, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    dispatch = _dispatch_of(task, actor) if written.created else None
    if dispatch is None:
        return written, None
    sent = {**task, "id": written.id}
    workflow.perform(dispatch.id, "send", actor, at=_said_at(task, dispatch.loop, actor), data=_sending(sent))
    return _written(store.read("Task", written.id), changed=True), dispatch.loop_id


def _outputs(task: Resource) -> list[str]:
    """What its outputs name here; it isn't validated yet."""
    named = (local(one) for _path, one in references.iter({"output": task.get("output")}))
    return ["/".join(one) for one in named if all(one)]


def _handoff_of(task: Resource) -> Handoff | None:
    """The handoff that a Task is: by its id, else by our identifier."""
    ours = f"{settings.BATON_BASE_URL}/id/task"
    named = [task.get("id"), *(one.get("value") for one in task.get("identifier", ()) if one.get("system") == ours)]
    found = Handoff.objects.select_related("loop__accountable", "owner").filter(pk__in=[key for key in named if key])
    return found.first()


def request_of(task: Resource) -> str:
    """The id of the request here that a Task is about: its focus, or without one what it is based on; empty for none."""
    named = [task["focus"]] if "focus" in task else task.get("basedOn", ())
    return next((key for type_, key in map(local, named) if type_ == "ServiceRequest"), "")


def stands_for(task: Resource, actor: Actor) -> str:
    """The id of the open `fulfil` that a `fulfill` Task of the placer's stands for, empty for none.

    A request for us to answer opens it before its Task has come.
    """
    found = _of_request(task, actor, kind="fulfil", loop__answer_only=True)
    return found.id if found else ""


def _dispatch_of(task: Resource, actor: Actor) -> Handoff | None:
    """The open `dispatch` that a `fulfill` Task of the placer's EHR ends: it has sent the request itself.

    Its loop is locked: a colleague may be sending it.
    """
    found = locking.settled(lambda: _listed(_of_request(task, actor, kind="dispatch")), lambda one: one.loop)
    return next(iter(found), None)


def _listed(found: Handoff | None) -> list[Handoff]:
    return [found] if found else []


def _of_request(task: Resource, actor: Actor, **wanted: object) -> Handoff | None:
    """The open handoff of the request that a `fulfill` Task is about, if the sender is its placer."""
    codings = task.get("code", {}).get("coding", ())
    is_fulfil = any((one.get("system"), one.get("code")) == (HL7_TASK_CODE, "fulfill") for one in codings)
    key = request_of(task)
    if not is_fulfil or not key:
        return None
    waiting = Handoff.objects.select_related("loop__accountable", "owner").filter(closed_at=None, **wanted)
    first = Q(loop__request_id=key, focus="")
    found = waiting.filter(first | Q(focus=f"ServiceRequest/{key}")).first()
    return found if found and "requester" in roles_in(actor, found) else None


def _sending(task: Resource) -> dict[str, str]:
    """The Task that stands for the handoff, and the performer that it names."""
    owner = "/".join(local(task.get("owner")))
    return {"task": f"Task/{task['id']}"} | ({"performer": owner} if len(owner) > 1 else {})


def _hear(handoff: Handoff, said: Resource, actor: Actor, if_match: int | None) -> Written:
    """Do what the sender's version of a handoff's Task says."""
    # Two messages on one loop wait for each other here, so that each is compared with what the other left.
    Loop.objects.select_for_update(of=("self",)).get(pk=handoff.loop_id)
    handoff = Handoff.objects.select_related("loop__accountable", "owner").get(pk=handoff.pk)
    before = store.read("Task", handoff.id)
    if if_match is not None and if_match != before.version:
        raise Stale(_("The resource has changed since the version that you name."))
    roles = roles_in(actor, handoff)
    if not roles:
        raise NotFound(_("There is no such resource."))
    if not roles & RECIPIENT:  # the placer's word is older than the placer's alone, which the bridge has seen to
        _by_placer(handoff, loads(before.body), said, actor)
    elif actor.kind != "partner" or not _is_late(handoff, said, actor):
        _by_performer(handoff, loads(before.body), said, actor)
    after = store.read("Task", handoff.id)
    return _written(after, changed=after.version != before.version)


def _is_late(handoff: Handoff, said: Resource, actor: Actor) -> bool:
    """Whether we have heard something newer from the performer."""
    last = handoff.remote_lasted_at
    return last is not None and _said_at(said, handoff.loop, actor) < last


def _by_performer(handoff: Handoff, task: Resource, said: Resource, actor: Actor) -> None:
    """The performer moves the stage by what it writes; what moves nothing is kept."""
    claims = _claims(handoff, task, said, actor)
    own = PERFORMERS | ({"owner"} if claims else set())
    if actor.kind != "partner":
        refuse_foreign(task, said, own, _first(handoff))
    at = _said_at(said, handoff.loop, actor)
    steps = [one for one in steps_of(handoff, said, task) if _is_new(handoff, one, actor)]
    merged = merge(task, said, own)
    if actor.kind != "partner" and not steps and said.get("status") != task.get("status"):
        # An EHR's word is kept as it stands; a client would take our answer for its own status.
        raise unreachable(handoff, "Task.output" if said.get("status") == "completed" else "Task.status")
    if steps := [*claims, *steps]:
        workflow.perform_many([_act(handoff, one, at, merged) for one in steps], actor)
    if not steps or steps[0].on or (handoff.loop.closed_at is not None and steps[0].action in IN_A_NEW_LOOP):
        workflow.hear(handoff.id, merged, actor, at=at)
    sharing.share(handoff.loop, {**merged, "id": handoff.id}, actor)
    outputs.read_rest(handoff, task, merged, actor)


def _act(handoff: Handoff, step: Step, at: datetime, merged: Resource) -> Act:
    """The step on the handoff, whose Task is as its performer left it, or on another one."""
    base = None if step.on else merged
    return Act(step.on or handoff.id, step.action, at=at, data=step.data, evidence=step.evidence, base=base)


def _claims(handoff: Handoff, task: Resource, said: Resource, actor: Actor) -> list[Step]:
    """The one way in which a performer writes the owner: to take what nobody has taken (PATHWAYS §1)."""
    named, owner = "/".join(local(said.get("owner"))), handoff.owner
    is_free = handoff.is_open and "owner" not in task and owner.kind == "pool"
    if not is_free or root_of(said.get("owner"), actor) != owner.organization or named == f"CareTeam/{owner.key}":
        return []
    return [Step("claim", {"claimant": named})]


def _by_placer(handoff: Handoff, task: Resource, said: Resource, actor: Actor) -> None:
    """The placer may cancel by the status, and add notes, identifiers and extensions; an EHR also what it tells besides."""
    if actor.kind != "partner":
        refuse_foreign(task, said, frozenset({"status", "statusReason"}), _first(handoff))
    store.write(merge(task, said, TOLD_BESIDES if actor.kind == "partner" else frozenset()), actor=actor)
    if actor.kind == "partner" and said.get("priority", task.get("priority")) != task.get("priority"):
        wanted = {"priority": said["priority"]}
        workflow.revise(handoff.loop, wanted, actor, evidence=f"Task/{handoff.id}")
    if said.get("status") == task.get("status"):
        return
    rows = {row.action: row for row in transitions_from(handoff.kind, handoff.stage, handoff.loop.kind)}
    row = next((rows[one] for one in ("withdraw", "cancel", "request-cancellation") if one in rows), None)
    if said.get("status") != "cancelled" or row is None:
        text = _("The placer writes no other status than cancelled, before it has ended.")
        raise Incorrect(text, Issue(text, "Task.status", "business-rule"))
    offered = next(one for one in row.fields if one.name == "reason")
    data = reason_in(said, offered) | {"second_person": agreed_elsewhere()}
    workflow.perform(handoff.id, row.action, actor, data=data)


def _first(handoff: Handoff) -> Resource:
    first: Resource = loads(store.version("Task", handoff.id, 1).body)
    return first


def _is_new(handoff: Handoff, step: Step, actor: Actor) -> bool:
    """Whether a step is still to be done: its report isn't in the journal yet, and is of the request's patient."""
    if step.action in (STARTED_ANYWAY, DONE_ANYWAY) or step.on:
        return actor.kind == "partner"  # a client here hears at once that it has ended
    if step.action == STOPPED_ANYWAY:
        asked_to_stop = Handoff.objects.filter(pk=handoff.opened_by_id, closed_at=None)
        return actor.kind == "partner" and asked_to_stop.exists()
    if step.action == "contradict" and actor.kind != "partner":
        return False
    if not step.evidence:
        return True
    type_, key = local({"reference": step.evidence})
    report = held(type_, key)
    if report and not same_patient(handoff.loop.patient_id, patient_of(report)):
        evidence.ask_for_match(report, handoff.loop.accountable, actor)
        return False
    known = Event.objects.filter(line_of(handoff.loop), evidence=step.evidence)
    # A report that came with a contradiction was read, and has completed nothing.
    return not (known if step.action == "contradict" else known.exclude(action="contradict")).exists()


def _said_at(task: Resource, loop: Loop, actor: Actor) -> datetime:
    """When the sender said it: a partner's ``meta.lastUpdated``, limited to between the order and now; else now."""
    text = task.get("meta", {}).get("lastUpdated") if actor.kind == "partner" else None
    found = dates.period_of(text) if isinstance(text, str) else None
    now = clock.now()
    return max(loop.ordered_at, min(found[0], now)) if found else now


def _written(stored: Stored, *, changed: bool) -> Written:
    return Written(
        stored.type, stored.id, stored.version, stored.last_updated, stored.body, created=False, changed=changed
    )
