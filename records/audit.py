"""What somebody changed in how an organisation works, or in who works there: an AuditEvent in the change's transaction.

Source: https://hl7.org/fhir/R4/auditevent.html. Names of settings and their values go in, never a patient's data.
"""

from collections.abc import Mapping
from typing import Literal

from django.conf import settings

from records import clock, store
from records.access import SYSTEM, Actor
from records.json import Resource

ActionCode = Literal["C", "U", "D", "E"]
APPLICATION_ACTIVITY = {
    "system": "http://dicom.nema.org/resources/ontology/DCM",
    "code": "110100",
    "display": "Application Activity",
}


def record(
    actor: Actor,
    action: ActionCode,
    subject: str,
    *,
    organization: str,
    about: str = "",
    said: str = "",
    details: Mapping[str, str] | None = None,
) -> None:
    """Note that ``actor`` created, updated, deleted or executed ``subject`` (a word of ours, such as "policy").

    ``about`` is the reference of whom or what it concerns, ``said`` one English sentence, ``details`` what was set, name
    by name; ``organization`` is the root Organization that may read it.
    """
    entity: Resource = {"name": subject}
    if about:
        entity["what"] = {"reference": about}
    if said:
        entity["description"] = said
    if told := [{"type": name, "valueString": value} for name, value in (details or {}).items() if value]:
        entity["detail"] = told
    store.write(_event(actor, action, subject, entity), actor=SYSTEM, audience=[organization])


def _event(actor: Actor, action: ActionCode, subject: str, entity: Resource) -> Resource:
    who: Resource = {"display": actor.display, "identifier": {"value": actor.id}}
    if actor.practitioner:
        who["reference"] = f"Practitioner/{actor.practitioner}"
    return {
        "resourceType": "AuditEvent",
        "type": APPLICATION_ACTIVITY,
        "subtype": [{"system": f"{settings.BATON_BASE_URL}/CodeSystem/setting", "code": subject}],
        "action": action,
        "recorded": clock.now().isoformat(),
        "outcome": "0",
        "agent": [{"who": who, "requestor": True}],
        "source": {"observer": {"display": "Baton"}},
        "entity": [entity],
    }
