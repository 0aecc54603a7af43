"""From evidence to a step: the loops that it names, the step that it proves there, and whose word that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from records.access import Actor
from records.json import Resource, loads
from records.types import row_class
from referrals import workflow
from referrals.clocks import Clocks
from referrals.conditions import Situation, holds
from referrals.evidence import appointments, messages, specimens
from referrals.evidence.asking import ask_for_match, is_news, receiver
from referrals.evidence.letters import is_letter
from referrals.evidence.naming import Named, performers_of, succeeded
from referrals.evidence.parting import acting_for, is_of_its_patient, part, said_of
from referrals.evidence.saying import happened_at, told
from referrals.evidence.table import (
    AGAIN,
    ANYWAY,
    EVIDENCE,
    FINISHED,
    OUTPUTS,
    REPORTS,
    TYPES,
    Rule,
    is_finished,
    status_of,
)
from referrals.evidence.whose import REPORTING, performing
from referrals.models import Event, Handoff, Loop
from referrals.pathways import STAGES, transitions_from
from referrals.pathways.stages import OUTCOMES
from referrals.people import default_pool, roles_in
from referrals.readings import VOIDING, line_of
from referrals.reports import STATES, severity_of, state_of, was_rewritten
from referrals.vocabulary import Transition
from referrals.workflow import Act

# What an action without a field for it has said of the state of its report.
STATED = {"withdraw-report": "entered-in-error", "cancel-test": "cancelled"}
ASKING = frozenset({"requester", "coordinator", "supervisor", "patient"})
NOT_DONE = frozenset({"cancelled", "noshow", "entered-in-error"})
GRAVITY = {"": 0, "normal": 0, "abnormal": 1, "critical": 2}
Path = tuple[Transition, ...]


def apply(resource: Resource, previous: Resource, loops: Iterable[Named], actor: Actor) -> str | None:
    """Do to ``loops`` what a resource proves that has just been stored; gives the id of the (first) loop concerned.

    ``previous`` is the resource as it was before, or empty; ``loops`` are those that it names (`named_loops`).
    """
    touched = []
    for named in loops:
        counts = resource["resourceType"] not in OUTPUTS or named.is_output or named.is_applied
        if is_of_its_patient(named.loop, resource, previous):
            touched.append(_apply_to(named, resource, previous, actor) if counts else named.loop.id)
        elif counts and resource["resourceType"] in TYPES:
            touched.append(part(named.loop, resource, actor))
    if not touched and is_news(resource, previous, actor):
        tenant, is_other = receiver(resource, actor), was_rewritten(resource, previous)
        touched = [ask_for_match(resource, default_pool(tenant), actor, anew=is_other)] if tenant else []
    return next(iter(touched), None)


def _apply_to(named: Named, resource: Resource, previous: Resource, actor: Actor) -> str:
    """Take the step that it proves, or ask a person; gives the id of the loop that it belongs to now."""
    loop = named.loop
    if resource["resourceType"] == "Communication":
        return messages.apply(loop, resource, actor)
    again = specimens.awaiting(loop, resource, actor.organization) if resource["resourceType"] == "Specimen" else None
    handoff = again or performing(loop, resource, actor)
    at = happened_at(resource, actor)
    if handoff is not None and resource["resourceType"] == "Appointment":
        resource = appointments.deciding(handoff, resource, actor)
    path = proven(handoff, resource, previous, at, actor) if handoff and not is_letter(handoff, resource) else ()
    if handoff is not None and again is None and _is_for_referrer(handoff, path, resource, actor):
        return _ask_referrer(handoff, resource, previous, actor)
    if handoff is None or not path:
        return _unproven(loop, handoff, resource, actor)
    if _performs(actor, handoff) or not _is_outcome(path, resource, is_applied=named.is_applied):
        taken = take(handoff, path, resource, actor, at)
        # A specimen that is in the laboratory already was collected again first.
        return _apply_to(named, resource, previous, actor) if again else taken
    return loop.id if _is_attachment(loop, resource, actor) else ask_for_match(resource, loop.accountable, actor)


def _unproven(loop: Loop, handoff: Handoff | None, resource: Resource, actor: Actor) -> str:
    """What proves no step is kept; before the order is sent nobody can have performed it, and a person asks whose it is."""
    is_unexpected = handoff is None and is_finished(resource) and not _is_attachment(loop, resource, actor)
    return ask_for_match(resource, loop.accountable, actor) if is_unexpected else loop.id


def proven(handoff: Handoff, resource: Resource, previous: Resource, at: datetime, actor: Actor) -> Path:
    """The steps that it proves and that are possible now; empty for what says nothing new here."""
    loop = handoff.loop
    word = AGAIN if handoff.kind == "recollect" else status_of(resource)
    rule = EVIDENCE.get((resource["resourceType"], word, loop.kind))
    if rule is None or _is_known(handoff, rule, resource, previous, at) or _is_replaced(resource):
        return ()
    is_questioned = not handoff.is_open and _was_elsewhere(handoff, resource)
    path = (
        _asking(handoff)
        if is_questioned
        else _path(handoff, rule, resource) or _correction(handoff, resource, previous)
    )
    if path and path[-1].action in appointments.UNDOING and appointments.is_late(handoff, at, actor):
        return ()
    return () if path and path[-1].action in ANYWAY and _is_no_news(handoff, resource) else path


def take(handoff: Handoff, path: Path, resource: Resource, actor: Actor, at: datetime) -> str:
    """Do what is proven; gives the loop's id, of the new one for an ended loop. What voids nothing is only noted."""
    reference, said = f"{resource['resourceType']}/{resource['id']}", told(resource)
    if _voids_nothing(handoff, path, reference):
        workflow.take_note(handoff.loop, path[-1].action, acting_for(actor, handoff), at=at, evidence=reference)
        return handoff.loop_id
    acts = [
        Act(
            handoff.id,
            row.action,
            at=at,
            data={one.name: said[one.name] for one in row.fields if said.get(one.name)}
            | _overriding(handoff, row, said),
            evidence=reference,
        )
        for row in path
    ]
    # What only a performer's own system says, Baton says for a client of ours.
    is_said = any("performer" in row.who for row in path)
    acting = acting_for(actor, handoff) if is_said else replace(actor, kind="system")
    return workflow.perform_many(acts, acting)[-1].loop.id


def _voids_nothing(handoff: Handoff, path: Path, reference: str) -> bool:
    """Whether it takes back what is void already, or was never to be read here, nor given to a placer who reads it elsewhere."""
    if path[-1].action != "withdraw-report":
        return False
    if handoff.loop.answer_only:
        return handoff.stage not in OUTCOMES
    last = said_of(handoff.loop, reference).last()
    if last is not None and last.action in VOIDING:
        return True
    return not Handoff.objects.filter(line_of(handoff.loop), kind="review-report", focus__in=("", reference)).exists()


def _path(handoff: Handoff, rule: Rule, resource: Resource) -> Path:
    """The rule's first possible action, else the one that must have come before and then it."""
    direct = _first(handoff, handoff.stage, rule.actions)
    if direct is not None:
        return (direct,)
    before = _first(handoff, handoff.stage, rule.via)
    can_say = told(resource)
    if before is None or any(one.required and not can_say.get(one.name) for one in before.fields):
        return ()
    after = _first(handoff, before.target, rule.actions)
    return (before, after) if after else ()


def _correction(handoff: Handoff, resource: Resource, previous: Resource) -> Path:
    """A visit that took place, and then didn't, where more than the visit has followed on it: the referrer decides."""
    was = (previous.get("resourceType"), previous.get("id"), previous.get("status"))
    if was != ("Appointment", resource["id"], "fulfilled") or resource.get("status") != "noshow":
        return ()
    return _asking(handoff)


def _asking(handoff: Handoff) -> Path:
    """Let the referrer decide, whatever the stage."""
    found = _first(handoff, handoff.stage, ("contradict",))
    return (found,) if found else ()


def _first(handoff: Handoff, stage: str, actions: Sequence[str]) -> Transition | None:
    possible: Mapping[str, Transition] = {
        row.action: row for row in transitions_from(handoff.kind, stage, handoff.loop.kind)
    }
    return next((possible[one] for one in actions if one in possible), None)


def _is_for_referrer(handoff: Handoff, path: Path, resource: Resource, actor: Actor) -> bool:
    """Whether it says something of what somebody else has done, or takes back what it said of that."""
    return (bool(path) or _was_elsewhere(handoff, resource)) and _is_elsewhere(handoff, resource, actor)


def _is_elsewhere(handoff: Handoff, resource: Resource, actor: Actor) -> bool:
    """Whether somebody who doesn't own the handoff has performed it: the patient went elsewhere.

    The performer's own word is never doubted. What says who has done it is believed, whoever brings it; else a partner
    that has no part in the loop is taken to have done it.
    """
    if not handoff.is_open or _performs(actor, handoff):
        return False
    owner, loop = handoff.owner.organization, handoff.loop
    doers = performers_of(resource)
    if doers:
        return owner not in doers and not doers & {loop.placer, loop.accountable.organization}
    return actor.kind == "partner" and actor.organization not in {owner, loop.placer, loop.accountable.organization}


def _ask_referrer(handoff: Handoff, resource: Resource, previous: Resource, actor: Actor) -> str:
    """Open the referrer's decision beside `fulfil`, once for what is said; what was called off elsewhere asks nobody.

    A report that says something else than when it was asked about is asked about again, also where it takes itself back.
    """
    reference = f"{resource['resourceType']}/{resource['id']}"
    is_other = resource["resourceType"] in STATES and was_rewritten(resource, previous)
    if is_other if _was_elsewhere(handoff, resource) else status_of(resource) not in NOT_DONE:
        workflow.perform(
            handoff.id,
            "seen-elsewhere",
            replace(actor, kind="system"),
            at=happened_at(resource, actor),
            evidence=reference,
        )
    return handoff.loop_id


def _was_elsewhere(handoff: Handoff, resource: Resource) -> bool:
    """Whether the referrer was asked about it as somebody else's last: nobody here has read it as an outcome."""
    last = said_of(handoff.loop, f"{resource['resourceType']}/{resource['id']}").last()
    return last is not None and last.action == "seen-elsewhere"


def _overriding(handoff: Handoff, row: Transition, said: Mapping[str, Any]) -> dict[str, str]:
    """A visit that another system has booked is a fact, whether or not the payer's agreement reaches as far."""
    fields = {field.name for field in row.fields if field.required_if}
    if "override" not in fields or handoff.authorised_until is None:
        return {}
    situation = Situation(handoff.loop, handoff, [], said, zone=Clocks().zone_of(handoff, handoff.loop))
    return {"override": "booked-elsewhere"} if holds("authorisation-expired", situation) else {}


def _performs(actor: Actor, handoff: Handoff) -> bool:
    """Whether the sender speaks for the performer; Baton itself only passes on what somebody has confirmed."""
    return actor.kind == "system" or "performer" in roles_in(actor, handoff)


def _is_outcome(path: Path, resource: Resource, *, is_applied: bool) -> bool:
    """Whether it would be the performer's outcome: an end, or a report that the performer hasn't given before."""
    target = path[-1].target
    ends = path[-1].handoff == "fulfil" and bool(target) and STAGES["fulfil", target].is_end
    return ends or (resource["resourceType"] in REPORTS | OUTPUTS and not is_applied)


def _is_attachment(loop: Loop, resource: Resource, actor: Actor) -> bool:
    """Whether somebody of the placer's side has only added to the order, such as the referral letter.

    A laboratory report that names a test order is its result, whoever brings it: a person looks at it.
    """
    is_result = resource["resourceType"] == "DiagnosticReport" and loop.kind == "test-order"
    return not is_result and bool(roles_in(actor, loop) & ASKING)


def _is_known(handoff: Handoff, rule: Rule, resource: Resource, previous: Resource, at: datetime) -> bool:
    """Whether it has been applied to this loop in this state, and says nothing else since."""
    if resource["resourceType"] == "Appointment":
        return appointments.is_applied(handoff, resource, rule.actions)
    if resource["resourceType"] == "Specimen":
        # Once rejected it says nothing of the next one.
        return specimens.is_known(handoff.loop, resource, "reject-specimen")
    if resource["resourceType"] not in STATES:
        return False
    reference = f"{resource['resourceType']}/{resource['id']}"
    last = said_of(handoff.loop, reference).last()
    if last is None or last.action in ("interim-report", "preliminary-result", "seen-elsewhere"):
        # What was never read here is not missed when another has taken its place.
        return last is None and state_of(resource) == "superseded"
    said = STATED.get(last.action) or (state_of(previous) if previous else last.details.get("state", "final"))
    # Its Task may have named it before it came: what it says of its state it said then.
    is_first = not previous and last.action in REPORTING and "state" not in last.details and at <= last.at
    was_named = is_first and state_of(resource) in FINISHED
    is_same = (was_named or said == state_of(resource)) and not was_rewritten(resource, previous)
    return is_same and not _is_regraded(handoff.loop, resource, last)


def _is_regraded(loop: Loop, report: Resource, last: Event) -> bool:
    """Whether its values are graver than when it was last heard; of a report that was read, whether they are others."""
    was, now = str(last.details.get("severity", "")), severity_of(report)
    if last.action not in REPORTING or GRAVITY[now] == GRAVITY[was]:
        return False
    reviews = Handoff.objects.filter(line_of(loop), kind="review-report", closed_at=None)
    is_unread = reviews.filter(focus__in=("", last.evidence)).exists()
    return GRAVITY[now] > GRAVITY[was] or bool(now and not is_unread)


def _is_no_news(handoff: Handoff, resource: Resource) -> bool:
    """Whether it was heard of before the handoff ended, or of a visit: is judged with the others (`appointments`)."""
    if handoff.loop.answer_only or resource["resourceType"] == "Appointment":
        return handoff.loop.answer_only
    reference = f"{resource['resourceType']}/{resource['id']}"
    return Event.objects.filter(line_of(handoff.loop), evidence=reference).exists()


def _is_replaced(resource: Resource) -> bool:
    """Whether a superseded document's replacement is here, which then speaks for itself."""
    if resource["resourceType"] != "DocumentReference" or state_of(resource) != "superseded":
        return False
    reference = f"DocumentReference/{resource['id']}"
    rows = row_class("DocumentReference").rows("DocumentReference").filter(relatesto__contains=[reference])
    later = (loads(body) for body in rows.filter(deleted=False).values_list("body", flat=True))
    return any(reference in succeeded(one, ["replaces"]) for one in later)
