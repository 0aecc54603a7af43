"""A performer's Task may name several reports as its output: each is read, whichever of them is here before the Task."""

from datetime import timedelta
from typing import Any

import pytest

from records import clock
from records.json import Resource
from referrals import intake
from referrals.models import Handoff, Loop
from tests.referrals.exchange import answer, document, output, result
from tests.referrals.ward import MONDAY, Ward

HOUR = timedelta(hours=1)
ABOUT = {"subject": {"reference": "Patient/pat"}}
PROCEDURE = {"resourceType": "Procedure", "id": "p1", "status": "completed", **ABOUT, "code": {"text": "Echo"}}


def notes(*keys: str) -> list[Resource]:
    return [document(MONDAY + HOUR, id=key, **ABOUT) for key in keys]


def outputs(*references: str) -> dict[str, Any]:
    return {"output": [one for reference in references for one in output(reference)]}


def to_read(loop: Loop) -> list[str]:
    """What is open to be read."""
    rows = Handoff.objects.filter(loop=loop, kind="review-report", closed_at=None)
    return sorted(rows.values_list("focus", flat=True))


@pytest.mark.parametrize("kind", ["referral", "test-order", "follow-up"])
@pytest.mark.parametrize("is_here_first", [True, False])
def test_each_of_two_reports_is_read_in_whatever_order_they_come(ward: Ward, kind: str, is_here_first: bool) -> None:
    loop, fulfil = ward.sent(kind, performer="elsewhere")
    said = answer(fulfil, "completed", MONDAY + 2 * HOUR, **outputs("DocumentReference/n1", "DocumentReference/n2"))
    with clock.at(MONDAY + 3 * HOUR):
        for each in [*notes("n1", "n2"), said] if is_here_first else [said, *notes("n1", "n2")]:
            intake.receive(each, ward.partner)
    assert to_read(loop) == ["DocumentReference/n1", "DocumentReference/n2"]
    with clock.at(MONDAY + 4 * HOUR):
        intake.receive({**said, "meta": {"lastUpdated": (MONDAY + 3 * HOUR).isoformat()}}, ward.partner)
    assert len(to_read(loop)) == 2, "once"


def test_the_note_is_what_completes_it_rather_than_what_was_done(ward: Ward) -> None:
    loop, fulfil = ward.sent("referral", performer="elsewhere")
    with clock.at(MONDAY + 3 * HOUR):
        for each in (PROCEDURE, *notes("n1")):
            intake.receive(each, ward.partner)
        both = outputs("Procedure/p1", "DocumentReference/n1")
        intake.receive(answer(fulfil, "completed", MONDAY + 2 * HOUR, **both), ward.partner)
    assert to_read(loop) == ["DocumentReference/n1"]


def test_the_values_of_a_report_are_read_with_it(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order", performer="elsewhere")
    value = {"resourceType": "Observation", "id": "o1", "status": "final", **ABOUT, "code": {"text": "K"}}
    report = result("final", MONDAY + HOUR, "r1", **ABOUT, result=[{"reference": "Observation/o1"}])
    with clock.at(MONDAY + 3 * HOUR):
        for each in (value, {name: part for name, part in report.items() if name != "basedOn"}):
            intake.receive(each, ward.partner)
        both = outputs("Observation/o1", "DiagnosticReport/r1")
        intake.receive(answer(fulfil, "completed", MONDAY + 2 * HOUR, **both), ward.partner)
    assert to_read(loop) == ["DiagnosticReport/r1"]


def test_what_comes_after_the_end_is_read_however_much_it_is(ward: Ward) -> None:
    loop, fulfil = ward.sent("referral", performer="elsewhere")
    with clock.at(MONDAY + 5 * HOUR):
        for each in notes("n1", "n2", "n3"):
            intake.receive(each, ward.partner)
        one = outputs("DocumentReference/n1")
        intake.receive(answer(fulfil, "completed", MONDAY + 2 * HOUR, **one), ward.partner)
        fulfil.refresh_from_db()
        three = outputs(*(f"DocumentReference/n{number}" for number in (1, 2, 3)))
        intake.receive(answer(fulfil, "completed", MONDAY + 3 * HOUR, **three), ward.partner)
    assert to_read(loop) == ["DocumentReference/n1", "DocumentReference/n2", "DocumentReference/n3"]


@pytest.mark.parametrize("status", ["failed", "rejected", "cancelled", "on-hold", "in-progress"])
@pytest.mark.parametrize("is_here_first", [True, False])
def test_the_findings_of_what_was_broken_off_are_read_too(ward: Ward, status: str, is_here_first: bool) -> None:
    loop, fulfil = ward.sent("referral", performer="elsewhere")
    said = answer(fulfil, status, MONDAY + 2 * HOUR, **outputs("DocumentReference/n1"))
    with clock.at(MONDAY + 3 * HOUR):
        for each in [*notes("n1"), said] if is_here_first else [said, *notes("n1")]:
            intake.receive(each, ward.partner)
    assert to_read(loop) == ["DocumentReference/n1"]


def test_of_another_patients_report_among_them_a_person_says_whose_it_is(ward: Ward) -> None:
    loop, fulfil = ward.sent("referral", performer="elsewhere")
    foreign = document(MONDAY + HOUR, id="n2", subject={"reference": "Patient/somebody-else"})
    with clock.at(MONDAY + 3 * HOUR):
        for each in (*notes("n1"), foreign):
            intake.receive(each, ward.partner)
        both = outputs("DocumentReference/n1", "DocumentReference/n2")
        intake.receive(answer(fulfil, "completed", MONDAY + 2 * HOUR, **both), ward.partner)
    assert to_read(loop) == ["DocumentReference/n1"]
    assert Loop.objects.get(kind="unsolicited").about == "DocumentReference/n2"
