"""The EVIDENCE table: which status of which type proves which step, in which kind of loop (PATHWAYS §6)."""

from dataclasses import dataclass

from records.json import Resource
from referrals.reports import state_of

REPORTS = frozenset({"DiagnosticReport", "DocumentReference"})
FINISHED = frozenset({"final", "corrected", "amended", "appended"})


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


def status_of(resource: Resource) -> str:
    """The word that the table knows a resource by."""
    type_, status = resource["resourceType"], str(resource.get("status", ""))
    if type_ in REPORTS:
        return state_of(resource)
    if type_ == "Specimen" and status == "available" and resource.get("receivedTime"):
        return "received"
    return status


def is_finished(resource: Resource) -> bool:
    """Whether it is a report that somebody has to read."""
    return resource["resourceType"] in REPORTS and state_of(resource) in FINISHED
