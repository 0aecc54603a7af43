"""The messages of the stories, as EHRs send them."""

from datetime import datetime, timedelta
from typing import Any

from records import clock, store
from records.access import Actor
from records.json import Resource, dumps, loads
from referrals import intake, workflow
from referrals.models import Handoff, Loop
from tests.referrals.region import CARDIOLOGY, MRN, Region

SNOMED = "http://snomed.info/sct"


def concept(code: str, text: str = "", system: str = SNOMED) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def request(key: str = "sr", **elements: Any) -> Resource:
    """A referral of Ana by the GP to the hospital's cardiology, ordered now."""
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "status": "active",
        "intent": "order",
        "code": concept("3457005", "Cardiology"),
        "subject": {"reference": "Patient/ana"},
        "requester": {"reference": "Practitioner/gp"},
        "performer": [{"reference": f"Organization/{CARDIOLOGY}"}],
        "authoredOn": clock.now().isoformat(),
        **elements,
    }


def said(resource: Resource, at: datetime) -> Resource:
    """The resource as a partner says it at that time."""
    return {**resource, "meta": {**resource.get("meta", {}), "lastUpdated": at.isoformat()}}


def task_of(handoff: Handoff) -> Resource:
    return store.get("Task", handoff.id)


def answer(handoff: Handoff, status: str, at: datetime, **elements: Any) -> Resource:
    """The partner's copy of a handoff's Task with a new status; a copy carries no partOf and no extension of ours."""
    copy = {name: value for name, value in task_of(handoff).items() if name not in ("partOf", "extension")}
    return said({**copy, "status": status, **elements}, at)


def output(reference: str) -> list[dict[str, Any]]:
    return [{"type": {"text": "report"}, "valueReference": {"reference": reference}}]


def appointment(status: str, at: datetime, key: str = "visit", **elements: Any) -> Resource:
    slot = at + timedelta(days=3)
    resource = {
        "resourceType": "Appointment",
        "id": key,
        "status": status,
        "basedOn": [{"reference": "ServiceRequest/sr"}],
        "start": slot.isoformat(),
        "end": (slot + timedelta(minutes=30)).isoformat(),
        "participant": [{"actor": {"reference": "Patient/ana"}, "status": "accepted"}],
        **elements,
    }
    return said(resource, at)


def encounter(at: datetime, **elements: Any) -> Resource:
    resource = {
        "resourceType": "Encounter",
        "id": "contact",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/ana"},
        "basedOn": [{"reference": "ServiceRequest/sr"}],
        "period": {"start": (at - timedelta(hours=1)).isoformat(), "end": at.isoformat()},
        **elements,
    }
    return said(resource, at)


def document(at: datetime, **elements: Any) -> Resource:
    """The consult note; it names nothing of ours, the Task names it."""
    resource = {
        "resourceType": "DocumentReference",
        "id": "note",
        "status": "current",
        "subject": {"reference": "Patient/ana"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "YQ=="}}],
        **elements,
    }
    return said(resource, at)


def result(status: str, at: datetime, key: str = "result", **elements: Any) -> Resource:
    resource = {
        "resourceType": "DiagnosticReport",
        "id": key,
        "status": status,
        "code": concept("58410-2", system="http://loinc.org"),
        "subject": {"reference": "Patient/ana"},
        "basedOn": [{"reference": "ServiceRequest/sr"}],
        "issued": at.isoformat(),
        **elements,
    }
    return said(resource, at)


def elsewhere(resource: Resource, number: str) -> Resource:
    """The same about a patient that we know by a number of the practice alone."""
    who = {"identifier": {"system": MRN, "value": number}}
    if resource["resourceType"] == "Appointment":
        return {**resource, "participant": [{"actor": {"type": "Patient", **who}, "status": "accepted"}]}
    return {**resource, "subject": who}


def take(resource: Resource, actor: Actor) -> intake.Received:
    return intake.receive(loads(dumps(resource)), actor)


def the_loop(key: str = "sr") -> Loop:
    return Loop.objects.get(request_id=key)


def open_kinds(loop: Loop) -> list[str]:
    return sorted(loop.handoffs.filter(closed_at=None).values_list("kind", flat=True))


def the(loop: Loop, kind: str) -> Handoff:
    return loop.handoffs.select_related("loop__accountable", "owner").filter(kind=kind).order_by("-opened_at", "-id")[0]


def sent(here: Region) -> Loop:
    """A referral of Ana that the GP has sent to the hospital."""
    take(request(), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    return the_loop()
