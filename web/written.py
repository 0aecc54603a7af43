"""A report that somebody writes here, in a form, instead of in a record system of their own.

It becomes a DocumentReference that names our request, and is kept beside what it is written for: it proves nothing by
itself. The action of the form names it and says everything else, whoever does it: a performer, or somebody who
writes down what a performer has told them.
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


def keep(loop: Loop, text: str, action: str, actor: Actor) -> str:
    """Store what was written as a report of the loop's request; gives the reference of the document.

    Raises `Incorrect` for a loop that is about no request.
    """
    if not loop.request_reference:
        raise Incorrect(_("There is no request that this report could answer."))
    audience = {loop.placer, loop.performer, loop.accountable.organization, actor.organization} - {""}
    return intake.keep(_document(loop, text, action, actor), actor, audience=sorted(audience))


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
        "context": {"related": [{"reference": loop.request_reference}]},
    }
