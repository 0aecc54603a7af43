"""The record of a consult report's receipt, on which the measure of closed referrals stands (CMS50; PATHWAYS §9)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from records import clock, store
from records.errors import Forbidden
from records.types import row_class
from referrals import intake
from referrals.models import Handoff, Loop
from tests.referrals.ward import MONDAY, Ward, keep_report

LETTER = "DocumentReference/letter"


def receipts() -> list[dict[str, Any]]:
    rows = row_class("Task").rows("Task").filter(id__startswith="receipt-", deleted=False).order_by("id")
    return [store.get("Task", row.id) for row in rows]


def when(task: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(task["executionPeriod"]["end"])


def reported(ward: Ward, kind: str = "referral", action: str = "report", **changes: Any) -> tuple[Loop, Handoff]:
    loop, fulfil = ward.sent(kind, **changes)
    ward.does(ward.clinic, fulfil, action, report=LETTER)
    return loop, fulfil


def test_a_referrals_report_leaves_one_record_of_its_receipt(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    with clock.at(MONDAY + timedelta(days=9)):
        ward.does(ward.clinic, fulfil, "report", report=LETTER)
    (task,) = receipts()
    assert task["status"] == "completed"
    assert task["code"]["coding"][0]["code"] == "11488-4"
    assert task["basedOn"] == [{"reference": f"ServiceRequest/{loop.request_id}"}]
    assert (task["focus"], task["for"]) == ({"reference": LETTER}, {"reference": "Patient/pat"})
    assert when(task) == MONDAY + timedelta(days=9)
    assert not Handoff.objects.filter(pk=task["id"]).exists(), "nobody has to do anything about it"


def test_an_interim_report_and_other_orders_leave_none(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY)
    ward.does(ward.clinic, fulfil, "interim-report", report=LETTER)
    reported(ward, "test-order", "result")
    reported(ward, "follow-up", "complete", performer="clinic")
    reported(ward, placer="elsewhere", answer_only=True, is_sent=True)
    assert receipts() == []


def test_a_report_that_comes_again_was_received_when_it_first_came(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.tell(loop)
    with clock.at(MONDAY + timedelta(days=40)):
        ward.does(ward.clinic, fulfil, "amend", report=LETTER, state="corrected")
    (task,) = receipts()
    assert (task["status"], when(task)) == ("completed", MONDAY)


@pytest.mark.parametrize(
    ("action", "data"), [("withdraw-report", {"reason": "entered-in-error"}), ("amend", {"state": "cancelled"})]
)
def test_a_withdrawn_report_no_longer_counts_and_its_next_version_counts_from_its_own_time(
    ward: Ward, action: str, data: dict[str, str]
) -> None:
    _loop, fulfil = reported(ward)
    ward.does(ward.clinic, fulfil, action, report=LETTER, **data)
    assert [task["status"] for task in receipts()] == ["entered-in-error"]
    with clock.at(MONDAY + timedelta(days=2)):
        ward.does(ward.clinic, fulfil, "amend", report=LETTER, state="final")
    (task,) = receipts()
    assert (task["status"], when(task)) == ("completed", MONDAY + timedelta(days=2))


def test_a_report_that_its_reader_refuses_as_another_patients_no_longer_counts(ward: Ward) -> None:
    loop, _fulfil = reported(ward)
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert [task["status"] for task in receipts()] == ["entered-in-error"]


def test_the_record_is_written_in_the_statements_that_a_report_takes_anyway(ward: Ward) -> None:
    _referral, fulfil = ward.sent()
    _test, other = ward.sent("test-order")
    keep_report(LETTER)
    costs = []
    for handoff, action in ((fulfil, "report"), (other, "result")):
        with CaptureQueriesContext(connection) as captured:
            ward.does(ward.clinic, handoff, action, report=LETTER)
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_nobody_outside_writes_such_a_record(ward: Ward) -> None:
    reported(ward)
    (task,) = receipts()
    with pytest.raises(Forbidden):
        intake.receive({**task, "status": "cancelled"}, ward.clinic)
    with pytest.raises(Forbidden):
        intake.receive({**task, "id": "receipt-of-mine"}, ward.partner)
    assert receipts() == [task]
