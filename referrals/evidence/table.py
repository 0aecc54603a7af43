"""The EVIDENCE table: which status of which type proves which step, in which kind of loop (PATHWAYS §6)."""

from dataclasses import dataclass

from records.json import Resource
from referrals.reports import STATES, state_of

REPORTS = frozenset({"DiagnosticReport", "DocumentReference"})
OUTPUTS = frozenset({"Observation", "QuestionnaireResponse", "Composition", "Bundle"})
"""An outcome only where a Task names it as its output: one value of a panel that names the order ends nothing."""
FINISHED = frozenset({"final", "corrected", "amended", "appended"})
AGAIN = "available again"
"""A specimen that was taken after another one had been rejected (`referrals.evidence.specimens`)."""
ANYWAY = frozenset({"start-anyway", "done-anyway"})
"""What it says of a performer's part that has ended without an outcome (`referrals.pathways.overlapping`)."""
AFTERWARDS = {"cancelled": "amend", "entered-in-error": "withdraw-report"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one status of one type proves in one kind of loop: the actions, the first possible of which is taken.

    ``via`` are actions that must have come before, whether we have heard of them or not: a visit that was cancelled
    had been booked. ``handoff`` is what the action is done to.
    """

    actions: tuple[str, ...]
    via: tuple[str, ...] = ()
    handoff: str = "fulfil"


Table = dict[tuple[str, str, str], Rule]


def _rules(type_: str, status: str, via: str = "", handoff: str = "fulfil", **kinds: str) -> Table:
    """The rows of one status; words are separated by spaces."""
    return {
        (type_, status, kind.replace("_", "-")): Rule(tuple(actions.split()), tuple(via.split()), handoff)
        for kind, actions in kinds.items()
    }


def _reports(types: frozenset[str]) -> Table:
    table: Table = {}
    for type_ in sorted(types):
        table |= _rules(
            type_, "preliminary", referral="interim-report start-anyway", test_order="preliminary-result start-anyway"
        )
        for state in sorted(FINISHED):
            outcome = {"referral": "report amend", "follow_up": "complete amend", "test_order": "result amend"}
            table |= _rules(type_, state, **outcome)
        for state, action in AFTERWARDS.items():
            table |= _rules(type_, state, referral=action, follow_up=action, test_order=action)
    return table


_BOOKING = "book rebook book-collection"
_EVERY = dict.fromkeys(("referral", "follow_up", "test_order"), "cancel-appointment")
_DONE = {"referral": "seen done-anyway", "follow_up": "complete done-anyway", "test_order": "collect done-anyway"}
_ANSWERED = dict.fromkeys(("referral", "follow_up", "test_order"), "answer")

# (type, status, kind of loop) → what it proves. For a report the "status" is its state (`reports.state_of`).
EVIDENCE: Table = {
    **_rules(
        "Appointment",
        "booked",
        referral="book rebook start-anyway",
        follow_up="book start-anyway",
        test_order="book-collection start-anyway",
    ),
    **_rules("Appointment", "cancelled", _BOOKING, **_EVERY),
    **_rules("Appointment", "entered-in-error", **_EVERY),
    **_rules("Appointment", "noshow", _BOOKING, referral="no-show", follow_up="no-show", test_order="no-show"),
    **_rules("Appointment", "fulfilled", **_DONE),
    **_rules("Encounter", "finished", referral=_DONE["referral"], follow_up=_DONE["follow_up"]),
    **_rules("Procedure", "completed", referral=_DONE["referral"], test_order=_DONE["test_order"]),
    **_rules("Specimen", "available", test_order="collect start-anyway"),
    **_rules("Specimen", AGAIN, handoff="recollect", test_order="recollected"),
    **_rules("Specimen", "received", test_order="receive-specimen start-anyway"),
    **_rules("Specimen", "unsatisfactory", "collect", test_order="reject-specimen"),
    **_rules("Communication", "question", referral="ask-information ask", follow_up="ask", test_order="ask"),
    **_rules("Communication", "answer", handoff="provide-information", **_ANSWERED),
    **_rules("Communication", "told", handoff="notify-patient", referral="tell", follow_up="tell", test_order="tell"),
    **_rules("DiagnosticReport", "registered", test_order="receive-specimen start-anyway"),
    **_reports(REPORTS | OUTPUTS),
    **_rules("DocumentReference", "superseded", referral="amend", follow_up="amend", test_order="amend"),
}
# A laboratory that cancels before there was a result leaves the decision to the orderer; the report itself is read too.
EVIDENCE[("DiagnosticReport", "cancelled", "test-order")] = Rule(("amend", "cancel-test"))
TYPES = frozenset(type_ for type_, _status, _kind in EVIDENCE)
RECORDED = frozenset({"Condition"})
"""They belong to a loop that they name and move nothing."""


def status_of(resource: Resource) -> str:
    """The word that the table knows a resource by."""
    type_, status = resource["resourceType"], str(resource.get("status", ""))
    if type_ in STATES:
        return state_of(resource)
    if type_ == "Specimen" and status == "available" and resource.get("receivedTime"):
        return "received"
    return status


def is_finished(resource: Resource) -> bool:
    """Whether it is a report that somebody has to read."""
    return resource["resourceType"] in REPORTS and state_of(resource) in FINISHED
