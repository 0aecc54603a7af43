"""A ServiceRequest at the door: it may open a loop, and its status may end one (PATHWAYS §1).

Only its placer writes a request. A request opens a loop when it is an active order of a known kind that one of our
organisations placed or has to perform; everything else is a record.
"""

from collections.abc import Callable, Iterable

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from records import access, clock, store
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue
from records.json import Resource
from records.store import Written
from referrals import adoption, locking, placing, sharing, workflow
from referrals.intake.orders import is_of_no_kind, order_of, placer_of, wanted
from referrals.intake.steps import agreed_elsewhere
from referrals.models import Event, Handoff, Loop
from referrals.parties import held, local, same_patient
from referrals.pathways.stages import OUTCOMES
from referrals.workflow import Order

ENDED = frozenset({"revoked", "entered-in-error"})
PERFORMING = ("dispatch", "fulfil", "recollect")
# How a request is taken back, the plainest way that is possible first; and without a trace of doubt, with its reason.
WITHDRAWING = ("withdraw", "cancel", "request-cancellation", "close")
ERASING = {"enter-in-error": "entered-in-error", "withdraw": "ordered-in-error"}


def receive(
    request: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep the request and do to its loop what its status says; gives what was written and the loop's id, if any.

    Raises `Forbidden` when somebody other than the placer changes it, `Incorrect` when it would become another order.
    """
    key = request.get("id", "")
    locking.hold_names(requests=[f"ServiceRequest/{key}"] if key else ())
    loop = _held_loop_of(key)
    previous = held("ServiceRequest", key)
    placer = loop.placer if loop else placer_of(previous or request, actor)
    written = store.write(request, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if not written.changed:
        return written, loop.id if loop else None
    if not _may_write(actor, placer):
        raise Forbidden(_("Only the organisation that placed a request may write it."))
    if loop is None:
        loop = _open({**request, "id": written.id}, actor)
        if loop is not None and request.get("status") == "on-hold":
            _act(loop, {**request, "id": written.id}, _hold, actor)
    else:
        _refuse_another_order(loop, request, previous)
        _follow(loop, request, previous, actor)
    if loop is None:
        return written, None
    sharing.share(loop, {**request, "id": written.id}, actor, besides=frozenset({"Patient"}))
    return written, loop.id


def record(
    request: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep a request of an import: what has a loop goes the usual way, an order of ours is listed to be adopted."""
    key = request.get("id", "")
    if key and Loop.objects.filter(request_id=key).exists():
        return receive(request, actor, if_match, audience)
    placer = placer_of(held("ServiceRequest", key) or request, actor)
    written = store.write(request, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if written.changed and not _may_write(actor, placer):
        raise Forbidden(_("Only the organisation that placed a request may write it."))
    adoption.offer({**request, "id": written.id}, actor)
    return written, None


def open_for(request: Resource, performer: Resource, actor: Actor) -> Loop | None:
    """Open the loop of a request that is here and names nobody who performs it, as whoever is asked by a Task.

    None, and a coordinator has it on the list to adopt, where the request names others, or is of no kind that we know.
    """
    named = {**request, "performer": [performer]}
    order = None if request.get("performer") else order_of(named, actor)
    if order is None:
        adoption.offer(named, actor)
        return None
    loop = workflow.open_loop(order, actor)
    sharing.share(loop, request, actor, besides=frozenset({"Patient"}))
    return loop


def _open(request: Resource, actor: Actor) -> Loop | None:
    order = order_of(request, actor)
    if order is None:
        if is_of_no_kind(request, actor):
            adoption.offer(request, actor)
        return None
    replaced = _replaced(request, order)
    return (replaced and workflow.replace_request(replaced, order, actor)) or workflow.open_loop(order, actor)


def _held_loop_of(key: str) -> Loop | None:
    """The same, locked with those that follow it: what others were doing to it is done."""
    return next(iter(locking.settled(lambda: [loop for loop in [_loop_of(key)] if loop], lambda one: one)), None)


def _loop_of(key: str) -> Loop | None:
    """The loop that a request belongs to: as the one that it began with, or as one that has taken its place."""
    loops = Loop.objects.select_related("accountable")
    if not key:
        return None
    return loops.filter(request_id=key).first() or loops.filter(handoffs__focus=f"ServiceRequest/{key}").first()


def _replaced(request: Resource, order: Order) -> Loop | None:
    """The open loop whose request this one replaces: of the same placer, kind and patient (PATHWAYS §1)."""
    named = (local(one) for one in request.get("replaces", ()))
    found = (_loop_of(key) for type_, key in named if type_ == "ServiceRequest")
    return next((loop for loop in found if loop and loop.closed_at is None and _is_the_same(loop, order)), None)


def _is_the_same(loop: Loop, order: Order) -> bool:
    patient = {"reference": f"Patient/{order.patient_id}"}
    return (loop.kind, loop.placer) == (order.kind, order.placer) and same_patient(loop.patient_id, patient)


def _standing_under(loop: Loop, request: Resource) -> QuerySet[Handoff]:
    """The handoffs of a loop that are about this request of it."""
    reference = f"ServiceRequest/{request.get('id')}"
    first = Q(focus="") if reference == loop.request_reference else Q(pk__in=[])
    return loop.handoffs.filter(first | Q(focus=reference))


def _may_write(actor: Actor, placer: str) -> bool:
    """Whoever works for the placer; for a placer that isn't here, whoever passes its request on."""
    return actor.kind == "system" or actor.organization == placer or not access.is_tenant(placer)


def _refuse_another_order(loop: Loop, request: Resource, previous: Resource) -> None:
    """A loop keeps its patient, and its performer once it was sent: who is asked instead is the referrer's decision."""
    subject = request.get("subject")
    if local(subject) != local(previous.get("subject")) and not same_patient(loop.patient_id, subject):
        text = _("The patient of an order can't be changed: withdraw it and place another.")
        raise Incorrect(text, Issue(text, "ServiceRequest.subject", "business-rule"))
    is_sent = _standing_under(loop, request).filter(kind="fulfil").exists()
    is_meant = loop.performer_owner is not None and placing.names(request, loop.performer_owner)
    if is_sent and _performers(request) != _performers(previous) and not (is_meant and _proposed(loop, request)):
        text = _("The performer can't be changed here once the order was sent: cancel it, or send it to another.")
        raise Incorrect(text, Issue(text, "ServiceRequest.performer", "business-rule"))


def _performers(request: Resource) -> set[tuple[str, str]]:
    return {local(one) for one in request.get("performer", ())}


def _follow(loop: Loop, request: Resource, previous: Resource, actor: Actor) -> None:
    """Do what a request says anew: how urgent it is, and its status; a completed one closes nothing."""
    status, before = request.get("status"), previous.get("status")
    current = _open_one(loop)
    if before in ENDED and status == "active":
        _take_up(loop, request, actor)
    elif current is not None:
        _revise(current, request, previous, actor)
        is_as_proposed = _changes_as_proposed(current, request, actor)
        if not is_as_proposed and status != before:
            _obey(current, request, before, actor)


def _obey(loop: Loop, request: Resource, before: str | None, actor: Actor) -> None:
    """Do what its new status says."""
    status = request.get("status")
    if status == "on-hold":
        _act(loop, request, _hold, actor)
    elif status in ENDED:
        _act(loop, request, _withdraw, actor)
    elif (before, status) == ("on-hold", "active"):
        _resume(loop, request, actor)


def _open_one(loop: Loop) -> Loop | None:
    """The loop, or once it has ended the open one that its request was taken up again in."""
    if loop.closed_at is None:
        return loop
    followers = Loop.objects.select_related("accountable").filter(about=loop.request_reference, closed_at=None)
    return followers.filter(based_on__isnull=False).order_by("-opened_at").first()


def _take_up(loop: Loop, request: Resource, actor: Actor) -> None:
    """A request that was taken back is active again: what is still performed asks its referrer, else it is sent anew.

    After the end of its loop that opens a new one (law 4).
    """
    order = order_of(request, actor, placer=loop.placer)
    current = _open_one(loop)
    if order is None:
        return
    if current is None:
        workflow.open_loop(order, actor, after=loop)
    elif _standing_under(current, request).filter(closed_at=None, kind__in=PERFORMING).exists():
        _act(current, request, _hold, actor)
    elif not _standing_under(current, request).filter(closed_at=None, kind="decide-next-step").exists():
        workflow.replace_request(current, order, actor)


def _proposed(loop: Loop, request: Resource) -> list[Handoff]:
    """The proposals that its EHR hasn't answered."""
    return list(_standing_under(loop, request).filter(kind="propose-change", closed_at=None).order_by("opened_at"))


def _changes_as_proposed(loop: Loop, request: Resource, actor: Actor) -> bool:
    """End each proposal that the request has come to say; gives whether there was one."""
    said = [one for one in _proposed(loop, request) if placing.says(request, one.stage, loop)]
    for proposal in said:
        workflow.perform(proposal.id, "make-change", actor, evidence=f"ServiceRequest/{request['id']}")
    return bool(said)


def _act(loop: Loop, request: Resource, act: Callable[[Handoff, Resource, Actor], None], actor: Actor) -> None:
    """Do something to whatever is to be sent or performed; where neither is, to what the referrer has to decide.

    Where all that has ended without an outcome, nothing is left to be done. Raises `Incorrect` where it has been performed:
    what is left is to read its outcome, and to tell the patient.
    """
    standing = _standing_under(loop, request).filter(closed_at=None).order_by("opened_at")
    found = list(standing.filter(kind__in=PERFORMING)) or list(standing.filter(kind="decide-next-step"))
    if not found and _is_performed(loop, request):
        text = _("This has been performed: nothing is left to be withdrawn or held.")
        raise Incorrect(text, Issue(text, "ServiceRequest.status", "business-rule"))
    for handoff in found:
        if Handoff.objects.filter(pk=handoff.pk, closed_at=None).exists():
            act(handoff, request, actor)


def _is_performed(loop: Loop, request: Resource) -> bool:
    """Whether it has led to an outcome, and no later request of the loop has taken its place."""
    last = loop.handoffs.filter(kind__in=PERFORMING).order_by("opened_at", "id").last()
    is_latest = last is not None and _standing_under(loop, request).filter(pk=last.pk).exists()
    given = Q(kind="fulfil", stage__in=OUTCOMES) | Q(kind="review-report")
    return is_latest and loop.handoffs.filter(given).exclude(stage="voided").exists()


def _revise(loop: Loop, request: Resource, previous: Resource, actor: Actor) -> None:
    """Another priority or date of the placer's: the clocks run by it from now on, and the journal says so."""
    if previous and wanted(request, loop.placer) != wanted(previous, loop.placer):
        workflow.revise(loop, wanted(request, loop.placer), actor, evidence=f"ServiceRequest/{request['id']}")


def _hold(handoff: Handoff, request: Resource, actor: Actor) -> None:
    """Ask for the referrer's decision, also about what was not sent yet."""
    if "hold" in _offered(handoff, actor):
        workflow.perform(handoff.id, "hold", actor, at=clock.now(), evidence=f"ServiceRequest/{request['id']}")


def _resume(loop: Loop, request: Resource, actor: Actor) -> None:
    """Active again is the placer's own decision to go on, on what its hold had asked."""
    evidence = f"ServiceRequest/{request['id']}"
    holds = Event.objects.filter(loop=loop, action="hold", evidence=evidence).values_list("details__opened", flat=True)
    asked = [handoff_id for opened in holds for handoff_id in opened or ()]
    for decision in Handoff.objects.filter(pk__in=asked, kind="decide-next-step", closed_at=None):
        workflow.perform(decision.id, "keep", actor, at=clock.now(), evidence=evidence)


def _withdraw(handoff: Handoff, request: Resource, actor: Actor) -> None:
    """Cancel what has not started, ask the performer to cancel what has: never a silent close.

    What was entered in error counts so only where nothing has been done about it, else as withdrawn.
    """
    is_error = request.get("status") == "entered-in-error"
    offered = _offered(handoff, actor)
    ways = ERASING if is_error and handoff.version == 1 else {}
    action = next((one for one in (*ways, *WITHDRAWING) if one in offered), None)
    if action is None and _is_asked_back(handoff):
        return
    if action is None:
        raise Incorrect(_("This request can't be withdrawn now."), Issue(_("Not now."), "ServiceRequest.status"))
    workflow.perform(
        handoff.id,
        action,
        actor,
        at=clock.now(),
        data={"reason": ways.get(action, "withdrawn"), "second_person": agreed_elsewhere()},
        evidence=f"ServiceRequest/{request['id']}",
    )


def _is_asked_back(handoff: Handoff) -> bool:
    """Whether its performer was asked to stop, and hasn't answered."""
    return Handoff.objects.filter(opened_by=handoff, kind="request-cancellation", closed_at=None).exists()


def _offered(handoff: Handoff, actor: Actor) -> set[str]:
    return {one.action for one in workflow.available(actor, handoff)}
