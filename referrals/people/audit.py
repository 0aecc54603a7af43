"""What is done to people, pools and absences, as FHIR AuditEvents that the organisation can read."""

from django.conf import settings

from records import clock, store
from records.access import SYSTEM, Actor

# https://hl7.org/fhir/R4/valueset-audit-event-action.html
CREATED, UPDATED, DELETED = "C", "U", "D"


def note(actor: Actor, action: str, reference: str, said: str, organization: str) -> None:
    """Write down that ``actor`` did that to what ``reference`` names; ``said`` is one English sentence."""
    event = {
        "resourceType": "AuditEvent",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "action": action,
        "recorded": clock.now().isoformat(timespec="milliseconds"),
        "outcome": "0",
        "agent": [{"altId": actor.id, "name": actor.display or actor.id, "requestor": True}],
        "source": {"observer": {"display": "Baton"}, "site": settings.BATON_BASE_URL},
        "entity": [{"what": {"reference": reference}, "description": said}],
    }
    store.write(event, actor=SYSTEM, audience=[organization])
