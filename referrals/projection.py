"""Loops and handoffs as FHIR Tasks. The rows are the truth; a Task is written from them and never read back.

Only the elements that our side owns are replaced, all others stay as they were (PATHWAYS §1). The performer's elements
(status, businessStatus, statusReason, output, executionPeriod) are ours while the performer works in Baton, and the
performer's own when it works in an EHR of its own. https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import override

from records.json import Resource
from referrals.models import Handoff, Loop, Owner
from referrals.pathways import HANDOFFS, LOOP_STAGES, REASONS, STAGES

OWNER_TYPES = {"person": "Practitioner", "role": "PractitionerRole", "pool": "CareTeam"}
EXCHANGE = ("Link/", "Inbox/")  # rows of the exchange are no resources: they are named by an identifier
# The status that each proposal wants a request to have.
PROPOSED = {
    "revocation-proposed": "revoked",
    "performer-proposed": "active",
    "in-full-proposed": "active",
    "hold-proposed": "on-hold",
    "resumption-proposed": "active",
}
V2_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


def identifier(handoff_id: str) -> dict[str, Any]:
    """Our identifier of a handoff's Task, the same wherever a copy of it lives."""
    kind = {"coding": [{"system": V2_IDENTIFIER_TYPE, "code": "PLAC"}]}
    return {"type": kind, "system": f"{settings.BATON_BASE_URL}/id/task", "value": handoff_id}


def handoff_task(handoff: Handoff, loop: Loop, previous: Resource | None = None, *, report: str = "") -> Resource:
    """The Task of a handoff; ``previous`` is what it was, ``report`` the reference of what the performer has just sent."""
    before = previous or {}
    task: Resource = {**before, "resourceType": "Task", "id": handoff.id}
    task |= _placers_elements(handoff, loop)
    task["identifier"] = _with(before.get("identifier", []), identifier(handoff.id), ("system", "value"))
    task["extension"] = _extensions(handoff, before)
    owner = owner_reference(handoff)
    task.pop("owner", None)
    if owner:
        task["owner"] = owner
    if is_ours_to_say(handoff):
        task = _with_performers_elements(task, handoff, report)
    return task


def loop_task(loop: Loop, previous: Resource | None = None) -> Resource:
    """The parent Task of a loop; it never leaves Baton."""
    task: Resource = {
        **(previous or {}),
        "resourceType": "Task",
        "id": loop.id,
        "status": LOOP_STAGES[loop.stage].task_status,
        "businessStatus": _concept("stage", loop.stage, LOOP_STAGES[loop.stage].label),
        "intent": "order",
        "priority": loop.priority,
        "code": _concept("handoff", "close-loop", "Close the loop"),
        "authoredOn": _instant(loop.opened_at),
        "owner": owner_of(loop.accountable),
        "executionPeriod": _period(loop.ordered_at, loop.closed_at),
    }
    return task | _about(loop, "")


def is_ours_to_say(handoff: Handoff) -> bool:
    """Whether Baton writes the performer's elements: always but for what an EHR elsewhere answers by its Task."""
    return handoff.kind not in ("fulfil", "request-cancellation", "propose-change") or handoff.owner.internal


def owner_reference(handoff: Handoff) -> dict[str, str] | None:
    """``Task.owner``; None for an unclaimed `fulfil`, which stands on a pool's list."""
    if handoff.kind == "fulfil" and handoff.owner.kind == "pool":
        return None
    return owner_of(handoff.owner)


def owner_of(owner: Owner) -> dict[str, str]:
    """The reference to an owner, by its name."""
    if owner.kind in OWNER_TYPES:
        return {"reference": f"{OWNER_TYPES[owner.kind]}/{owner.key}", "display": owner.name}
    return {"reference": f"Organization/{owner.organization}", "display": owner.name}


def _placers_elements(handoff: Handoff, loop: Loop) -> Resource:
    kind = HANDOFFS[handoff.kind]
    by_hl7 = {"coding": [{"system": kind.task_system, "code": kind.task_code}]}
    needed_by = handoff.needed_by if handoff.kind == "fulfil" else handoff.due_at
    elements: Resource = {
        "partOf": [{"reference": f"Task/{loop.id}"}],
        "status": handoff.task_status,
        "intent": "order",
        "priority": loop.priority,
        "code": by_hl7 if kind.task_system else _concept("handoff", handoff.kind, kind.label),
        "authoredOn": _instant(handoff.opened_at),
        "lastModified": _instant(max(handoff.stage_since, handoff.opened_at)),
    }
    if needed_by is not None:
        elements["restriction"] = {"period": {"end": _instant(needed_by)}}
    return (
        elements | _about(loop, handoff.focus) | (_proposal(handoff, loop) if handoff.kind == "propose-change" else {})
    )


def _proposal(handoff: Handoff, loop: Loop) -> Resource:
    """What the request is to say, and why; once it has ended, that is how it was left."""
    if not handoff.is_open or handoff.stage not in PROPOSED:
        return {"intent": "proposal"}
    asked: Resource = {
        "intent": "proposal",
        "description": _concept("stage", handoff.stage, STAGES[handoff.kind, handoff.stage].label)["coding"][0][
            "display"
        ],
        "input": [{"type": _concept("input", "status", "Status"), "valueCode": PROPOSED[handoff.stage]}],
    }
    if handoff.stage == "performer-proposed" and loop.performer_owner is not None:
        performer = {
            "type": _concept("input", "performer", "Performer"),
            "valueReference": owner_of(loop.performer_owner),
        }
        asked["input"].append(performer)
    if handoff.reason_code:
        asked["reasonCode"] = _reason(handoff)
    elif handoff.reason_text:
        asked["reasonCode"] = {"text": handoff.reason_text}
    return asked


def _about(loop: Loop, focus: str) -> Resource:
    """What, for whom and who asked."""
    request = focus if focus.startswith("ServiceRequest/") else loop.request_reference
    about = focus or request or (loop.about if "/" in loop.about else "")
    asking = (
        f"Practitioner/{loop.requester}" if loop.requester else f"Organization/{loop.placer}" if loop.placer else ""
    )
    references = {
        "focus": about if not about.startswith(EXCHANGE) else "",
        "for": f"Patient/{loop.patient_id}" if loop.patient_id else "",
        "requester": asking,
    }
    elements: Resource = {name: {"reference": value} for name, value in references.items() if value}
    if about.startswith(EXCHANGE):
        elements["focus"] = {"identifier": {"system": f"{settings.BATON_BASE_URL}/id/exchange", "value": about}}
    return elements | ({"basedOn": [{"reference": request}]} if request else {})


def _extensions(handoff: Handoff, before: Resource) -> list[Any]:
    """Stage and its due time, for our own API only: the bridge strips them."""
    base = f"{settings.BATON_BASE_URL}/StructureDefinition"
    ours: list[dict[str, Any]] = [
        {"url": f"{base}/stage", "valueCode": handoff.stage},
        {"url": f"{base}/stage-due", "valueDateTime": _instant(handoff.due_at)},
    ]
    if handoff.is_offer:
        ours.append({"url": f"{base}/offer", "valueBoolean": True})
    urls = {f"{base}/offer", *(extension["url"] for extension in ours)}
    return [extension for extension in before.get("extension", []) if extension.get("url") not in urls] + ours


def _with_performers_elements(task: Resource, handoff: Handoff, report: str) -> Resource:
    stage = STAGES[handoff.kind, handoff.stage]
    ours = f"{settings.BATON_BASE_URL}/CodeSystem/stage"
    codings = [coding for coding in task.get("businessStatus", {}).get("coding", []) if coding.get("system") != ours]
    said = _concept("stage", stage.code, stage.label)
    task |= {"businessStatus": {**said, "coding": said["coding"] + codings}}
    task.pop("statusReason", None)
    if handoff.reason_code:
        task["statusReason"] = _reason(handoff)
    if report:
        output = {"type": _concept("output", "report", "Report"), "valueReference": {"reference": report}}
        task["output"] = _with(task.get("output", []), output, ("valueReference",))
    if stage.is_end:
        task["executionPeriod"] = _period(handoff.opened_at, handoff.stage_since)
    return task


def _reason(handoff: Handoff) -> dict[str, Any]:
    label = REASONS[handoff.reason_code].label
    concept = _concept("reason", handoff.reason_code, label)
    return concept | ({"text": handoff.reason_text} if handoff.reason_text else {})


def _concept(system: str, code: str, display: Any) -> dict[str, Any]:
    """A concept of one of our code systems, its display in English whoever acts."""
    with override("en"):
        return {
            "coding": [
                {"system": f"{settings.BATON_BASE_URL}/CodeSystem/{system}", "code": code, "display": str(display)}
            ]
        }


def _with(items: Iterable[Any], ours: dict[str, Any], key: tuple[str, ...]) -> list[Any]:
    """The list with ours in it once, the others untouched and in their order."""
    kept = list(items)
    is_there = any(all(item.get(name) == ours.get(name) for name in key) for item in kept)
    return kept if is_there else [*kept, ours]


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _period(start: datetime, end: datetime | None) -> dict[str, str]:
    return {"start": _instant(start)} | ({"end": _instant(end)} if end else {})
