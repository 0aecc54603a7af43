"""That a consult report was received: what the measure of closed referrals counts (CMS50v14; PATHWAYS §9).

For each report of a referral there is one record Task beside the loop: code LOINC 11488-4, ``basedOn`` the loop's first
request, ``focus`` the report, ``executionPeriod.end`` the time when it came to us. Nobody has to do anything about it
and no law counts it. It is written with the report, in the same statement as the loop's other Tasks, and becomes
entered-in-error when the report is withdrawn, or turns out to be of another patient.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from records.json import Resource
from referrals.lifecycle import Decision
from referrals.models import Handoff, Loop

LOINC = "http://loinc.org"
CONSULT_NOTE = "11488-4"
PREFIX = "receipt-"
WITHDRAWN = frozenset({"cancelled", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """One report of a referral, received at ``at`` or no longer to be counted."""

    loop: Loop
    report: str
    at: datetime
    is_withdrawn: bool

    @property
    def id(self) -> str:
        """The same for the same report of the same request, so that it counts once however often it comes."""
        about = f"{self.loop.request_reference} {self.report}"
        return PREFIX + blake2b(about.encode(), digest_size=16).hexdigest()

    def task(self, previous: Resource | None) -> Resource:
        """The record Task; a report that comes again was received when it first came."""
        before = previous if previous and previous["status"] == "completed" else {}
        at = self.at.isoformat(timespec="milliseconds")
        coding = {"system": LOINC, "code": CONSULT_NOTE, "display": "Consult note"}
        task: dict[str, Any] = {
            "resourceType": "Task",
            "id": self.id,
            "basedOn": [{"reference": self.loop.request_reference}],
            "status": "entered-in-error" if self.is_withdrawn else "completed",
            "intent": "order",
            "code": {"coding": [coding]},
            "focus": {"reference": self.report},
            "for": {"reference": f"Patient/{self.loop.patient_id}"},
            "executionPeriod": before.get("executionPeriod", {"end": at}),
            "authoredOn": before.get("authoredOn", at),
        }
        return task


def receipt_of(loop: Loop, handoff: Handoff, decision: Decision, now: datetime) -> Receipt | None:
    """What an action says of a report's receipt; None for what isn't a consult report on a referral of ours."""
    said = decision.transition.sets & {"received", "withdrawn"}
    report = decision.data.get("report") or handoff.focus
    if not said or not report or loop.kind != "referral" or loop.answer_only or not loop.request_reference:
        return None
    is_withdrawn = "withdrawn" in said or decision.data.get("state") in WITHDRAWN
    return Receipt(loop, str(report), now, is_withdrawn)


def is_receipt(task: Resource) -> bool:
    """Whether a Task from outside claims to be such a record, which only Baton writes."""
    return str(task.get("id", "")).startswith(PREFIX)
