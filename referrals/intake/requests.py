"""A ServiceRequest at the door: it may open a loop, and its status may end one (PATHWAYS §1).

Only its placer writes a request. A request opens a loop when it is an active order of a known kind that one of our
organisations placed or has to perform; everything else is a record.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from records import access, clock, dates, references, store
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue
from records.json import Resource
from records.store import Written
from referrals import people, workflow
from referrals.kinds import kind_of
from referrals.ledger import audience as circle_of
from referrals.models import Handoff, Loop
from referrals.parties import held, local, performing, practitioner_of, root_of
from referrals.workflow import Order

ORDERS = frozenset({"order", "original-order", "filler-order"})
ENDED = frozenset({"revoked", "entered-in-error"})


def receive(
    request: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep the request and do to its loop what its status says; gives what was written and the loop's id, if any.

    Raises `Forbidden` when somebody other than the placer changes it.
    """
    key = request.get("id", "")
    loop = Loop.objects.select_related("accountable").filter(request_id=key).first() if key else None
    previous = held("ServiceRequest", key)
    placer = loop.placer if loop else placer_of(previous or request, actor)
    written = store.write(request, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if not written.changed:
        return written, loop.id if loop else None
    if not _may_write(actor, placer):
        raise Forbidden(_("Only the organisation that placed a request may write it."))
    if loop is None:
        loop = _open({**request, "id": written.id}, actor)
    elif loop.closed_at is None and request.get("status") != previous.get("status"):
        _follow(loop, request, actor)
    return written, loop.id if loop else None


def placer_of(request: Resource, actor: Actor) -> str:
    """The root Organization that placed a request.

    A client that names no requester means its own organisation. A tenant's own EHR also speaks for the requesters of
    its directory that are no tenants, unless the request is for the tenant to perform.
    """
    named = root_of(request.get("requester"), actor)
    ours = actor.organization if access.is_tenant(actor.organization) else ""
    if not ours or access.is_tenant(named):
        return named
    performer, _service = performing(request)
    speaks_for_it = actor.kind == "partner" and access.root(performer) != ours
    return ours if not named or speaks_for_it else named


def order_of(request: Resource, actor: Actor) -> Order | None:
    """The order that a request stands for, or None when it opens no loop."""
    kind, placer = kind_of(request), placer_of(request, actor)
    organization, service = performing(request)
    performer = access.root(organization) if organization else ""
    is_ours = access.is_tenant(placer) or access.is_tenant(performer)
    type_, patient = local(request.get("subject"))
    is_order = request.get("intent") in ORDERS and request.get("status") == "active"
    if not (kind and is_ours and is_order) or (type_ and type_ != "Patient"):
        return None
    _refuse_unseen(patient, actor)
    start, end = _window(request)
    return Order(
        kind=kind,
        request=request["id"],
        patient_id=patient,
        placer=placer,
        title=title_of(request),
        performer=performer,
        performer_owner=people.performing_owner(organization) if organization else None,
        requester=practitioner_of(request.get("requester")),
        service_id=service,
        priority=str(request.get("priority") or "routine"),
        ordered_at=_instant(request.get("authoredOn")),
        window_start_at=start,
        needed_by=end,
        answer_only=not access.is_tenant(placer),
    )


def title_of(request: Resource) -> str:
    """What is asked for, in the words of the request."""
    for concept in (request.get("code") or {}, *request.get("category", ())):
        named = next((one["display"] for one in concept.get("coding", ()) if one.get("display")), "")
        if concept.get("text") or named:
            return str(concept.get("text") or named)
    return ""


def _open(request: Resource, actor: Actor) -> Loop | None:
    order = order_of(request, actor)
    if order is None:
        return None
    loop = workflow.open_loop(order, actor)
    seen = [found for _path, one in references.iter(request) if all(found := local(one))]
    ours = [(type_, key) for type_, key in seen if access.visible(actor, type_).filter(pk=key).exists()]
    # The performer must be able to read what the request refers to; nobody can share what they don't see.
    store.share_many([("ServiceRequest", request["id"]), *ours], circle_of(loop))
    return loop


def _refuse_unseen(patient: str, actor: Actor) -> None:
    """Nobody refers a patient whom they may not see; whether there is such a patient isn't told."""
    is_seen = (
        held("Patient", patient) if actor.kind == "partner" else access.visible(actor, "Patient").filter(pk=patient)
    )
    if not is_seen:
        text = _("A request needs a patient whom you may see.")
        raise Incorrect(text, Issue(text, "ServiceRequest.subject", "not-found"))


def _may_write(actor: Actor, placer: str) -> bool:
    """Whoever works for the placer; for a placer that isn't here, whoever passes its request on."""
    return actor.kind == "system" or actor.organization == placer or not access.is_tenant(placer)


def _window(request: Resource) -> tuple[datetime | None, datetime | None]:
    """When it is wanted: from (if it says so) and by."""
    occurrence: Any = (
        request.get("occurrencePeriod") or request.get("occurrenceDateTime") or request.get("occurrenceTiming")
    )
    found = dates.range_of(occurrence)
    if found is None:
        return None, None
    start, end = found
    return (None if start == dates.BEGINNING else start), (None if end == dates.END else end)


def _instant(text: Any) -> datetime | None:
    found = dates.period_of(text) if isinstance(text, str) else None
    return found[0] if found else None


def _follow(loop: Loop, request: Resource, actor: Actor) -> None:
    """Do what a new status of the request means; a completed one closes nothing, only its outcome does."""
    if request.get("status") not in ENDED:
        return
    for handoff in loop.handoffs.filter(kind__in=["dispatch", "fulfil"], closed_at=None).order_by("opened_at"):
        if Handoff.objects.filter(pk=handoff.pk, closed_at=None).exists():
            _withdraw(handoff, request, actor)


def _withdraw(handoff: Handoff, request: Resource, actor: Actor) -> None:
    """Cancel what has not started, ask the performer to cancel what has: never a silent close."""
    reason = "ordered-in-error" if request.get("status") == "entered-in-error" else "withdrawn"
    offered = {one.action for one in workflow.available(actor, handoff)}
    action = next((one for one in ("withdraw", "cancel", "request-cancellation") if one in offered), None)
    if action is None:
        raise Incorrect(_("This request can't be withdrawn now."), Issue(_("Not now."), "ServiceRequest.status"))
    workflow.perform(
        handoff.id,
        action,
        actor,
        at=clock.now(),
        # An EHR's own rules have decided who had to agree there.
        data={"reason": reason, "second_person": actor.display},
        evidence=f"ServiceRequest/{request['id']}",
    )
