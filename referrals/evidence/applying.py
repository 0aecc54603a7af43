"""From evidence to a step: the loops that it names, the step that it proves there, and whose word that is."""

from dataclasses import replace

from records.access import Actor
from records.json import Resource
from referrals import workflow
from referrals.evidence.asking import ask_for_match, is_news, receiver
from referrals.evidence.naming import named_loops, patient_of
from referrals.evidence.saying import happened_at, told
from referrals.evidence.table import EVIDENCE, REPORTS, TYPES, is_finished, status_of
from referrals.models import Event, Handoff, Loop
from referrals.parties import same_patient
from referrals.pathways import STAGES, transitions_from
from referrals.people import default_pool, roles_in
from referrals.reports import state_of, was_rewritten
from referrals.vocabulary import Transition

ASKING = frozenset({"requester", "coordinator", "supervisor", "patient"})


def apply(resource: Resource, previous: Resource, actor: Actor) -> str | None:
    """Do to the loops what a resource proves that has just been stored; gives the id of the (first) loop concerned.

    ``previous`` is the resource as it was before, or empty.
    """
    touched = []
    for loop, is_confirmed in named_loops(resource, actor):
        if is_confirmed or same_patient(loop.patient_id, patient_of(resource)):
            touched.append(_apply_to(loop, resource, previous, actor, is_confirmed=is_confirmed))
        elif resource["resourceType"] in TYPES:
            touched.append(ask_for_match(resource, loop.accountable, actor))
    if not touched and is_news(resource, previous):
        tenant = receiver(resource, actor)
        touched = [ask_for_match(resource, default_pool(tenant), actor)] if tenant else []
    return next(iter(touched), None)


def _apply_to(loop: Loop, resource: Resource, previous: Resource, actor: Actor, *, is_confirmed: bool) -> str:
    """Take the step that it proves, or ask a person; gives the id of the loop that it belongs to now."""
    handoff = performing(loop, actor)
    row = proven(handoff, resource, previous, actor) if handoff else None
    if handoff and row and (_performs(actor, handoff) or not _is_outcome(row, resource, is_confirmed=is_confirmed)):
        return take(handoff, row, resource, actor)
    # Before the order is sent nobody can have performed it: a report of it is as unexpected as somebody else's.
    is_unexpected = row is not None if handoff else is_finished(resource)
    if is_unexpected and not _is_attachment(loop, resource, actor):
        return ask_for_match(resource, loop.accountable, actor)
    return loop.id


def proven(handoff: Handoff, resource: Resource, previous: Resource, actor: Actor) -> Transition | None:
    """The first action of the rule that is possible now; None for what says nothing new here."""
    loop = handoff.loop
    rule = EVIDENCE.get((resource["resourceType"], _status_in(loop, resource, previous), loop.kind))
    if rule is None or _is_known(loop, resource, previous):
        return None
    if rule.steps_back and happened_at(resource, actor) < handoff.stage_since:
        return None
    possible = {row.action: row for row in transitions_from("fulfil", handoff.stage, loop.kind)}
    return next((possible[one] for one in rule.actions if one in possible), None)


def take(handoff: Handoff, row: Transition, resource: Resource, actor: Actor) -> str:
    """Do what is proven; gives the loop's id, of the new one for an ended loop."""
    at, said = happened_at(resource, actor), told(resource)
    data = {one.name: said[one.name] for one in row.fields if said.get(one.name)}
    reference = f"{resource['resourceType']}/{resource['id']}"
    outcome = workflow.perform(handoff.id, row.action, _acting(actor, handoff), at=at, data=data, evidence=reference)
    return outcome.loop.id


def _performs(actor: Actor, handoff: Handoff) -> bool:
    """Whether the sender speaks for the performer; Baton itself only passes on what somebody has confirmed."""
    return actor.kind == "system" or "performer" in roles_in(actor, handoff)


def _is_outcome(row: Transition, resource: Resource, *, is_confirmed: bool) -> bool:
    """Whether it would be the performer's outcome: an end, or a report that the performer hasn't given before."""
    ends = bool(row.target) and STAGES["fulfil", row.target].is_end
    return ends or (resource["resourceType"] in REPORTS and not is_confirmed)


def _is_attachment(loop: Loop, resource: Resource, actor: Actor) -> bool:
    """Whether somebody of the placer's side has only added to the order, such as the referral letter.

    A laboratory report that names a test order is its result, whoever brings it: a person looks at it.
    """
    is_result = resource["resourceType"] == "DiagnosticReport" and loop.kind == "test-order"
    return not is_result and bool(roles_in(actor, loop) & ASKING)


def performing(loop: Loop, actor: Actor) -> Handoff | None:
    """The `fulfil` that evidence is about: an open one, of the actor's own organisation if there are several."""
    return min(
        loop.handoffs.filter(kind="fulfil").select_related("owner", "loop__accountable"),
        key=lambda one: (
            one.closed_at is not None,
            one.owner.organization != actor.organization,
            -one.opened_at.timestamp(),
        ),
        default=None,
    )


def _status_in(loop: Loop, resource: Resource, previous: Resource) -> str:
    """As `status_of`; a booking is a new booking where there was one already."""
    status = status_of(resource)
    if (resource["resourceType"], status) != ("Appointment", "booked"):
        return status
    fulfil = loop.handoffs.filter(kind="fulfil", closed_at=None).first()
    possible = {row.action for row in transitions_from("fulfil", fulfil.stage, loop.kind)} if fulfil else set()
    moved = any(previous.get(name) != resource.get(name) for name in ("start", "end", "status"))
    return "rebooked" if "rebook" in possible and moved else status


def _is_known(loop: Loop, resource: Resource, previous: Resource) -> bool:
    """Whether this report has been applied to this loop in this state, and says nothing else since."""
    if resource["resourceType"] not in REPORTS:
        return False
    reference = f"{resource['resourceType']}/{resource['id']}"
    last = Event.objects.filter(loop=loop, evidence=reference).order_by("-id").first()
    if last is None or last.action in ("interim-report", "preliminary-result"):
        return False
    said = last.details.get("state", "final")
    return bool(said == state_of(resource) and not was_rewritten(resource, previous))


def _acting(actor: Actor, handoff: Handoff) -> Actor:
    """The actor, if it may perform; else Baton in the actor's name: the proof counts, whoever delivers it."""
    return actor if "performer" in roles_in(actor, handoff) else replace(actor, kind="system")
