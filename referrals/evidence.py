"""Evidence: resources that prove that a step happened. It moves our stage and never writes a performer's Task.

Applied by itself only if (a) it names our request or Task, or one of our Tasks names it as output, **and** (b) its
patient is the request's. (a) without (b), an outcome that doesn't come from the performer or before the order was
sent, and a fresh report that names nothing, become match-evidence in a loop of the kind `unsolicited`: candidates are
ranked there (`referrals.matching`), never guessed (PATHWAYS §6). What the placer adds to its own order is kept with it.

What the table says is done only where the pathway allows it from the present stage, so late and repeated evidence
undoes nothing: the record is kept, the loop stays as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from records import access, clock, dates, store
from records.access import Actor
from records.errors import Incorrect, Issue
from records.json import Resource
from records.types import row_class
from referrals import sharing, workflow
from referrals.models import Event, Handoff, Loop, Owner
from referrals.parties import local, same_patient
from referrals.pathways import STAGES, transitions_from
from referrals.people import default_pool, roles_in
from referrals.reports import severity_of, state_of, was_rewritten
from referrals.vocabulary import Transition

REPORTS = frozenset({"DiagnosticReport", "DocumentReference"})
FINISHED = frozenset({"final", "corrected", "amended", "appended"})
ASKING = frozenset({"requester", "coordinator", "supervisor", "patient"})
FRESH = timedelta(days=30)
"""† An unsolicited report older than this is history that a partner's import brought, not news."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one status of one type proves in one kind of loop: the actions, the first possible of which is taken.

    ``steps_back`` marks what undoes a booking: it counts only when it is newer than the present stage.
    """

    actions: tuple[str, ...]
    steps_back: bool = False


def _rules(type_: str, status: str, steps_back: bool = False, **kinds: str) -> dict[tuple[str, str, str], Rule]:
    return {
        (type_, status, kind.replace("_", "-")): Rule(tuple(actions.split()), steps_back)
        for kind, actions in kinds.items()
    }


# (type, status, kind of loop) → what it proves. For a report the "status" is its state (`reports.state_of`).
EVIDENCE: dict[tuple[str, str, str], Rule] = {
    **_rules("Appointment", "booked", referral="book", follow_up="book", test_order="book-collection"),
    **_rules("Appointment", "rebooked", True, referral="rebook", follow_up="book", test_order="book-collection"),
    **_rules("Appointment", "cancelled", True, referral="cancel-appointment"),
    **_rules("Appointment", "noshow", True, referral="no-show", follow_up="no-show"),
    **_rules("Appointment", "fulfilled", referral="seen", follow_up="complete", test_order="collect"),
    **_rules("Encounter", "finished", referral="seen", follow_up="complete"),
    **_rules("Specimen", "available", test_order="collect"),
    **_rules("Specimen", "received", test_order="receive-specimen"),
    **_rules("Specimen", "unsatisfactory", test_order="reject-specimen"),
    **_rules("DiagnosticReport", "registered", test_order="receive-specimen"),
    **_rules("DiagnosticReport", "preliminary", referral="interim-report", test_order="preliminary-result"),
    **_rules("DocumentReference", "preliminary", referral="interim-report", test_order="preliminary-result"),
    **{
        key: rule
        for type_ in REPORTS
        for state in sorted(FINISHED)
        for key, rule in _rules(
            type_, state, referral="report amend", follow_up="complete amend", test_order="result amend"
        ).items()
    },
    **{
        key: rule
        for type_ in REPORTS
        for state in ("cancelled", "entered-in-error")
        for key, rule in _rules(type_, state, referral="amend", follow_up="amend", test_order="amend").items()
    },
}
# A laboratory that cancels before there was a result leaves the decision to the orderer; the report itself is read too.
EVIDENCE[("DiagnosticReport", "cancelled", "test-order")] = Rule(("amend", "fail"))
TYPES = frozenset(type_ for type_, _status, _kind in EVIDENCE)
RECORDED = frozenset({"Observation", "Procedure", "Communication", "QuestionnaireResponse", "Condition", "Composition"})
"""They belong to a loop that they name and move nothing."""


def apply(resource: Resource, previous: Resource, actor: Actor) -> str | None:
    """Do to the loops what a resource proves that has just been stored; gives the id of the (first) loop concerned.

    ``previous`` is the resource as it was before, or empty.
    """
    touched = []
    for loop, is_confirmed in _named(resource, actor):
        if is_confirmed or same_patient(loop.patient_id, patient_of(resource)):
            touched.append(_apply_to(loop, resource, previous, actor, is_confirmed=is_confirmed))
        elif resource["resourceType"] in TYPES:
            touched.append(ask_for_match(resource, loop.accountable, actor))
    if not touched and _is_news(resource, previous):
        receiver = _receiver(resource, actor)
        touched = [ask_for_match(resource, default_pool(receiver), actor)] if receiver else []
    return next(iter(touched), None)


def apply_matches(events: Sequence[Event]) -> None:
    """What a person has matched is applied to the request that they chose, in the same transaction (a reaction)."""
    for event in events:
        if event.action == "match" and event.handoff is not None:
            actor = Actor(id=event.actor_id, kind="system", display=event.actor_display)
            _apply_match(event.loop, event.details["request"], actor)


def _apply_match(unsolicited: Loop, request: str, actor: Actor) -> None:
    mine = Q(accountable__organization=unsolicited.accountable.organization)
    loop = Loop.objects.select_related("accountable").filter(mine, request_id=local({"reference": request})[1]).first()
    if loop is None:
        text = _("There is no such order of this organisation.")
        raise Incorrect(text, Issue(text, "request", "not-found"))
    resource = store.get(*local({"reference": unsolicited.about}))
    handoff = _performing(loop, actor)
    row = _proven(handoff, resource, {}, actor) if handoff else None
    if handoff is None or row is None:
        unsent = _("This order has not been sent to anybody yet: send it first.")
        text = _("This order already has it, or stands where it proves nothing.") if handoff else unsent
        raise Incorrect(text, Issue(text, "request", "business-rule"))
    _take(handoff, row, resource, actor)
    receiver = replace(actor, kind="partner", organization=unsolicited.accountable.organization)
    sharing.share(loop, resource, receiver)


def patient_of(resource: Resource) -> Mapping[str, Any]:
    """The reference to the patient that a resource is about; empty for none."""
    if resource.get("resourceType") == "Appointment":
        actors = (one.get("actor", {}) for one in resource.get("participant", ()))
        return next((one for one in actors if "Patient" in (one.get("type"), local(one)[0])), {})
    found: Mapping[str, Any] = resource.get("subject") or resource.get("patient") or {}
    return found


def status_of(resource: Resource) -> str:
    """The word that the table knows a resource by."""
    type_, status = resource["resourceType"], str(resource.get("status", ""))
    if type_ in REPORTS:
        return state_of(resource)
    if type_ == "Specimen" and status == "available" and resource.get("receivedTime"):
        return "received"
    return status


def _named(resource: Resource, actor: Actor) -> Iterator[tuple[Loop, bool]]:
    """The loops whose request or Task the resource names, or whose Task names it; True where it was applied before."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    named = [local(one) for one in _references(resource)]
    tasks = [key for type_, key in named if type_ == "Task"]
    tasks += row_class("Task").rows("Task").filter(output__contains=[reference]).values_list("id", flat=True)
    handoffs = Handoff.objects.filter(pk__in=tasks).values("loop")
    requests = [key for type_, key in named if type_ == "ServiceRequest"]
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


def _apply_to(loop: Loop, resource: Resource, previous: Resource, actor: Actor, *, is_confirmed: bool) -> str:
    """Take the step that it proves, or ask a person; gives the id of the loop that it belongs to now."""
    handoff = _performing(loop, actor)
    row = _proven(handoff, resource, previous, actor) if handoff else None
    if handoff and row and (_performs(actor, handoff) or not _is_outcome(row, resource, is_confirmed=is_confirmed)):
        return _take(handoff, row, resource, actor)
    # Before the order is sent nobody can have performed it: a report of it is as unexpected as somebody else's.
    is_unexpected = row is not None if handoff else _is_finished(resource)
    if is_unexpected and not _is_attachment(loop, resource, actor):
        return ask_for_match(resource, loop.accountable, actor)
    return loop.id


def _proven(handoff: Handoff, resource: Resource, previous: Resource, actor: Actor) -> Transition | None:
    """The first action of the rule that is possible now; None for what says nothing new here."""
    loop = handoff.loop
    rule = EVIDENCE.get((resource["resourceType"], _status_in(loop, resource, previous), loop.kind))
    if rule is None or _is_known(loop, resource, previous):
        return None
    if rule.steps_back and happened_at(resource, actor) < handoff.stage_since:
        return None
    possible = {row.action: row for row in transitions_from("fulfil", handoff.stage, loop.kind)}
    return next((possible[one] for one in rule.actions if one in possible), None)


def _take(handoff: Handoff, row: Transition, resource: Resource, actor: Actor) -> str:
    """Do what is proven; gives the loop's id, of the new one for an ended loop."""
    at, told = happened_at(resource, actor), _told(resource)
    data = {one.name: told[one.name] for one in row.fields if told.get(one.name)}
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


def _performing(loop: Loop, actor: Actor) -> Handoff | None:
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
    told = last.details.get("state", "final")
    return bool(told == state_of(resource) and not was_rewritten(resource, previous))


def _acting(actor: Actor, handoff: Handoff) -> Actor:
    """The actor, if it may perform; else Baton in the actor's name: the proof counts, whoever delivers it."""
    return actor if "performer" in roles_in(actor, handoff) else replace(actor, kind="system")


def happened_at(resource: Resource, actor: Actor) -> datetime:
    """When the proven step happened: what the resource says of it, else when a partner wrote it, else now.

    `workflow` limits it to between the order and our receipt (PATHWAYS §7).
    """
    period = resource.get("period") or {}
    told = {
        "Encounter": period.get("end"),
        "DiagnosticReport": resource.get("issued"),
        "DocumentReference": resource.get("date"),
        "Specimen": resource.get("receivedTime"),
    }.get(resource["resourceType"])
    said = resource.get("meta", {}).get("lastUpdated") if actor.kind == "partner" else None
    found = next((dates.period_of(one) for one in (told, said) if isinstance(one, str)), None)
    return found[0] if found else clock.now()


def _told(resource: Resource) -> dict[str, Any]:
    """What a resource can say to the form of an action, by the names of the fields."""
    type_, reference = resource["resourceType"], f"{resource['resourceType']}/{resource['id']}"
    if type_ == "Appointment":
        return _slot(resource) | _cancellation(resource) | {"appointment": reference}
    if type_ == "Specimen":
        return {"reason": "specimen-unsatisfactory"}
    if type_ in REPORTS:
        unable = {"reason": "unable"} if state_of(resource) == "cancelled" else {}
        return unable | {"report": reference, "state": state_of(resource), "severity": severity_of(resource)}
    return {}


def _slot(appointment: Resource) -> dict[str, datetime]:
    """Start and end; an appointment without an end is taken to end when it starts."""
    start, end = (dates.period_of(appointment.get(name, "")) for name in ("start", "end"))
    begins = start[0] if start else None
    ends = end[0] if end else begins
    return {name: at for name, at in (("slot_start", begins), ("slot_end", ends)) if at is not None}


def _cancellation(appointment: Resource) -> dict[str, str]:
    """By patient or provider as http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason says."""
    concept = appointment.get("cancelationReason", {})
    codings = concept.get("coding", ())
    by_patient = any(one.get("code", "").startswith("pat") for one in codings)
    words = concept.get("text") or next((one["display"] for one in codings if one.get("display")), "")
    return {"reason": f"cancelled-by-{'patient' if by_patient else 'provider'}", "reason_text": words}


def _is_finished(resource: Resource) -> bool:
    """Whether it is a report that somebody has to read."""
    return resource["resourceType"] in REPORTS and state_of(resource) in FINISHED


def _is_news(resource: Resource, previous: Resource) -> bool:
    """Whether a report that names no order of ours asks for a person: new, finished and recent."""
    if resource["resourceType"] != "DiagnosticReport" or resource.get("basedOn"):
        return False
    if not _is_finished(resource):
        return False
    if previous and not was_rewritten(resource, previous):
        return False
    issued = dates.period_of(resource.get("issued", "")) or dates.range_of(
        resource.get("effectiveDateTime") or resource.get("effectivePeriod")
    )
    return issued is not None and issued[1] >= clock.now() - FRESH


def _receiver(resource: Resource, actor: Actor) -> str:
    """The tenant that has to look at a report: the one it came to, else the only one that knows the patient."""
    if access.is_tenant(actor.organization):
        return actor.organization
    type_, key = local(patient_of(resource))
    seen_by = {
        loop.accountable.organization
        for loop in Loop.objects.filter(patient_id=key or None).select_related("accountable")
    }
    return seen_by.pop() if type_ == "Patient" and len(seen_by) == 1 else ""


def ask_for_match(resource: Resource, pool: Owner, actor: Actor) -> str:
    """The `unsolicited` loop that holds this evidence, opened once; its patient is not known to be anybody."""
    about = f"{resource['resourceType']}/{resource['id']}"
    held = Loop.objects.filter(kind="unsolicited", about=about).order_by("opened_at").last()
    if held is not None:
        return held.id
    priority = "stat" if severity_of(resource) == "critical" else "routine"
    return workflow.open_handoff_loop(
        "unsolicited", "match-evidence", about=about, accountable_pool=pool, priority=priority, actor=actor
    ).id
