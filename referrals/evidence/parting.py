"""What turns out to be another patient's leaves the loop, and a person says whose it is (PATHWAYS §4, §6).

That it has moved something here before confirms nothing: only a person does, by matching it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from records.access import Actor
from records.json import Resource
from referrals import workflow
from referrals.conditions import Situation
from referrals.evidence.asking import ask_for_match
from referrals.evidence.saying import said_at
from referrals.evidence.table import TYPES
from referrals.lifecycle import possible
from referrals.models import Event, Handoff, Loop
from referrals.parties import held, local, same_patient
from referrals.people import roles_in
from referrals.readings import VOIDING, line_of
from referrals.reports import STATES
from referrals.subjects import patient_of
from referrals.vocabulary import Role
from referrals.workflow import Act

BATON: frozenset[Role] = frozenset({"system"})
REASONS = {"withdraw-report": "wrong-patient", "cancel-appointment": "entered-in-error"}
TAKEN_BACK = VOIDING | {"cancel-appointment", "contradict"}


def is_of_its_patient(loop: Loop, resource: Resource, previous: Resource | None = None) -> bool:
    """Whether it is about the loop's patient, by what it says or by a person who has matched it to this order.

    What was taken for the patient's without naming anybody is so still; a match holds for whom it named then.
    """
    named, reference = patient_of(resource), f"{resource['resourceType']}/{resource['id']}"
    if same_patient(loop.patient_id, named):
        return True
    said = said_of(loop, reference)
    last = said.last()
    if not named and last is not None:
        return last.action not in TAKEN_BACK
    if previous and _identity(patient_of(previous)) != _identity(named):
        return False
    matched = Event.objects.filter(loop__about=reference, action="match", details__request=loop.request_reference)
    confirmed = matched.order_by("id").last()
    return confirmed is not None and not said.filter(pk__gt=confirmed.pk, action__in=TAKEN_BACK).exists()


def part(loop: Loop, resource: Resource, actor: Actor) -> str:
    """Take back what another patient's resource has led to in this loop; gives the loop in which a person says whose it is."""
    act = _taking_back(loop, resource, actor)
    if act is not None:
        handoff = Handoff.objects.select_related("loop__accountable", "owner").get(pk=act.handoff_id)
        workflow.perform_many([act], acting_for(actor, handoff))
    return ask_for_match(resource, loop.accountable, actor, anew=act is not None)


def sort_out(patients: Collection[str], since: datetime, actor: Actor) -> None:
    """Part what is not its loop's patient's, once those who counted as one since then are two again."""
    told = Event.objects.filter(loop__patient_id__in=patients, recorded_at__gte=since).exclude(evidence="")
    loops = Loop.objects.select_related("accountable").in_bulk(told.values_list("loop", flat=True))
    for key, reference in sorted(set(told.values_list("loop", "evidence"))):
        resource = held(*local({"reference": reference}))
        if resource and resource["resourceType"] in TYPES and not is_of_its_patient(loops[key], resource):
            part(loops[key], resource, replace(actor, kind="system"))


def acting_for(actor: Actor, handoff: Handoff) -> Actor:
    """The actor, if it may perform; else Baton in the actor's name: the proof counts, whoever delivers it."""
    return actor if "performer" in roles_in(actor, handoff) else replace(actor, kind="system")


def _taking_back(loop: Loop, resource: Resource, actor: Actor) -> Act | None:
    """A report is withdrawn; a visit on which the stage stands is cancelled; else the referrer decides."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    said = said_of(loop, reference)
    last, moved = said.last(), said.filter(handoff__kind="fulfil").last()
    if last is None or last.action in TAKEN_BACK or moved is None:
        return None
    handoff = Handoff.objects.select_related("loop__accountable", "owner").get(pk=moved.handoff_id)
    stands = handoff.events.exclude(action="hear").order_by("id").last() == moved
    wanted = {
        "withdraw-report": resource["resourceType"] in STATES,
        "cancel-appointment": stands and resource["resourceType"] == "Appointment",
        "contradict": stands,
    }
    others = list(handoff.loop.handoffs.filter(closed_at=None).exclude(pk=handoff.pk))
    offered = {row.action for row in possible(Situation(handoff.loop, handoff, others, {}), BATON)}
    action = next((one for one, fits in wanted.items() if fits and one in offered), "")
    data = {"reason": REASONS[action]} if action in REASONS else {}
    data |= {"report": reference} if action == "withdraw-report" else {}
    return Act(handoff.id, action, at=said_at(resource, actor), data=data, evidence=reference) if action else None


def said_of(loop: Loop, reference: str) -> QuerySet[Event]:
    """What the journals of the loop and of those that followed it say of a resource, in their order."""
    about = Q(evidence=reference) | Q(details__report=reference)
    return Event.objects.filter(line_of(loop), about).order_by("id")


def _identity(patient: Mapping[str, Any]) -> tuple[tuple[str, str], Any]:
    return local(patient), patient.get("identifier")
