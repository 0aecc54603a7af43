"""A report that somebody writes here, in a form, instead of in a record system of their own.

It becomes a DocumentReference that names our request, and comes in through the one door like every other report; what
it proves (`referrals.evidence`) moves the loop. Where somebody only writes down what a performer has told them, it proves
nothing by itself: it is kept as their own note, and the attested action names it.
"""

import base64

from django.utils.translation import gettext as _

from records import clock
from records.access import Actor
from records.errors import Incorrect
from records.json import Resource
from referrals import intake
from referrals.models import Loop

STATES = {"interim-report": "preliminary", "preliminary-result": "preliminary", "amend": "amended"}
CONSULT_NOTE = {"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"}


def take_in(loop: Loop, text: str, action: str, actor: Actor) -> str:
    """Store what was written as the report of that loop's request; gives the reference of the document.

    Raises `Incorrect` for a loop without a request.
    """
    if not loop.request_id:
        raise Incorrect(_("There is no request that this report could answer."))
    audience = {loop.placer, loop.performer, loop.accountable.organization} - {""}
    received = intake.receive(_document(loop, text, action, actor), actor, audience=sorted(audience))
    return f"DocumentReference/{received.written.id}"


def _document(loop: Loop, text: str, action: str, actor: Actor) -> Resource:
    author = f"Practitioner/{actor.practitioner}" if actor.practitioner else f"Organization/{actor.organization}"
    return {
        "resourceType": "DocumentReference",
        "id": clock.new_id(),
        "status": "current",
        "docStatus": STATES.get(action, "final"),
        "type": {"coding": [CONSULT_NOTE], "text": loop.title or CONSULT_NOTE["display"]},
        "subject": {"reference": f"Patient/{loop.patient_id}"},
        "date": clock.now().isoformat(timespec="seconds"),
        "author": [{"reference": author, "display": actor.display}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(text.encode()).decode(),
                    "title": loop.title or CONSULT_NOTE["display"],
                }
            }
        ],
        "context": {"related": [{"reference": f"ServiceRequest/{loop.request_id}"}]},
    }
