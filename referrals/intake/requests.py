"""A ServiceRequest at the door: it may open a loop, and its status may end one (PATHWAYS §1).

Only its placer writes a request. A request opens a loop when it is an active order of a known kind that one of our
organisations placed or has to perform; everything else is a record.
"""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from records import access, clock, store
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue
from records.json import Resource
from records.store import Written
from referrals import sharing, workflow
from referrals.intake.orders import order_of, placer_of
from referrals.models import Handoff, Loop
from referrals.parties import held

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
    if loop is None:
        return written, None
    sharing.share(loop, {**request, "id": written.id}, actor, besides=frozenset({"Patient"}))
    return written, loop.id


def _open(request: Resource, actor: Actor) -> Loop | None:
    order = order_of(request, actor)
    return workflow.open_loop(order, actor) if order else None


def _may_write(actor: Actor, placer: str) -> bool:
    """Whoever works for the placer; for a placer that isn't here, whoever passes its request on."""
    return actor.kind == "system" or actor.organization == placer or not access.is_tenant(placer)


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
