"""A report that should never have been: void at any time, the right one asked for, and whoever was told is told again."""

from datetime import timedelta

import pytest

from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import Incorrect
from referrals import workflow
from referrals.models import Handoff, Loop
from referrals.placing import REQUEST_IDENTIFIER
from tests.referrals.ward import MONDAY, Ward, keep_report

REPORT = "DiagnosticReport/r"
LATER = MONDAY + timedelta(days=3)


def reported(ward: Ward, **order: str) -> tuple[Loop, Handoff]:
    loop, fulfil = ward.sent("test-order", **order)
    ward.does(ward.clinic, fulfil, "result", report=REPORT)
    return loop, fulfil


def again(row: Loop) -> Loop:
    return Loop.objects.get(pk=row.pk)


def the_review(loop: Loop) -> Handoff:
    return Handoff.objects.get(loop=loop, kind="review-report")


def test_a_reader_who_finds_another_patients_report_asks_for_the_right_one_within_a_day(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.does(ward.referrer, the_review(loop), "void", reason="wrong-patient")
    assert ward.open_kinds(loop) == ["decide-next-step", "fulfil"]
    decide, anew = ward.only(loop, "decide-next-step"), ward.only(loop, "fulfil")
    assert (decide.stage, decide.priority_rank, decide.due_at) == ("right-result", 0, MONDAY + timedelta(hours=24))
    assert (anew.owner, anew.stage) == (fulfil.owner, "ordered")
    ward.does(ward.referrer, decide, "keep")
    ward.does(ward.clinic, anew, "result", report="DiagnosticReport/right")
    ward.acknowledge(loop)
    ward.tell(loop)
    assert again(loop).stage == "closed"


def test_who_has_reported_nothing_has_nothing_to_take_back(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full.")
    with pytest.raises(Incorrect, match="no report has been given"):
        ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert ward.open_kinds(loop) == ["decide-next-step", "notify-patient"]


def test_what_is_another_patients_waits_for_somebody_who_knows_whose_it_is(ward: Ward) -> None:
    loop, _fulfil = reported(ward)
    ward.does(ward.referrer, the_review(loop), "void", reason="wrong-patient")
    unsolicited = Loop.objects.get(kind="unsolicited")
    assert (unsolicited.about, ward.open_kinds(unsolicited)) == (REPORT, ["match-evidence"])


def test_after_the_acknowledgement_it_is_void_and_the_loop_is_not_what_it_was(ward: Ward) -> None:
    loop, _fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.does(ward.referrer, the_review(loop), "void", reason="wrong-patient")
    assert (again(loop).stage, again(loop).acknowledged_by) == ("waiting-partner", "")
    assert ward.open_kinds(loop) == ["decide-next-step", "fulfil"]


def test_nobody_is_told_of_a_report_that_is_void_but_of_the_right_one(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    telling = ward.only(loop, "notify-patient")
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert Handoff.objects.get(pk=telling.pk).stage == "overtaken"
    with pytest.raises(Incorrect):
        ward.does(ward.coordinator, telling, "tell", channel="phone")
    ward.does(ward.clinic, ward.only(loop, "fulfil"), "result", report="DiagnosticReport/right")
    ward.acknowledge(loop)
    assert "notify-patient" in ward.open_kinds(loop)


def test_of_another_report_that_was_read_the_patient_is_still_told(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/second", state="final")
    for review in Handoff.objects.filter(loop=loop, kind="review-report"):
        ward.does(ward.referrer, review, "acknowledge", plan="Continue.", question_answered=True)
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert ward.only(loop, "notify-patient").stage == "to-tell"


def test_of_what_came_after_the_end_the_patient_is_still_told_when_the_first_report_is_void(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    for _time in range(3):
        ward.does(ward.coordinator, ward.only(loop, "notify-patient"), "attempt", channel="phone")
    why = {"reason": "no-contact-details", "second_person": "Practitioner/boss"}
    ward.does(ward.coordinator, ward.only(loop, "notify-patient"), "not-reached", **why)
    later = ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/second", state="final").loop
    ward.acknowledge(later)
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert ward.only(later, "notify-patient").stage == "to-tell"


def test_who_was_told_while_the_loop_goes_on_is_told_the_same_day(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/second", state="final")
    for review in Handoff.objects.filter(loop=loop, kind="review-report"):
        ward.does(ward.referrer, review, "acknowledge", plan="Continue.", question_answered=True)
    workflow.perform(
        loop.handoffs.get(kind="notify-patient").id, "attempt", ward.coordinator, data={"channel": "phone"}
    )
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/third", state="final")
    ward.tell(loop)
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert ward.only(loop, "notify-patient").stage == "to-tell-today"


@pytest.mark.parametrize("way", ["reader", "performer"])
def test_after_the_end_it_opens_a_new_loop_and_the_patient_who_was_told_hears_today(ward: Ward, way: str) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.tell(loop)
    with clock.at(LATER):
        if way == "reader":
            outcome = ward.does(ward.referrer, the_review(loop), "void", reason="wrong-patient")
        else:
            outcome = ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert (again(loop).stage, outcome.loop.based_on_id) == ("closed", loop.id)
    assert ward.open_kinds(outcome.loop) == ["decide-next-step", "fulfil", "notify-patient"]
    assert ward.only(outcome.loop, "notify-patient").stage == "to-tell-today"
    with clock.at(LATER):
        second = ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/right", state="corrected")
    assert second.loop.id == outcome.loop.id


def test_a_patient_who_has_died_is_not_told_again(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    telling = ward.only(loop, "notify-patient")
    for _ in range(3):
        ward.does(ward.coordinator, telling, "attempt", channel="phone")
    ward.does(ward.coordinator, telling, "not-reached", reason="patient-died")
    outcome = ward.does(ward.clinic, fulfil, "amend", report=REPORT, state="corrected")
    assert ward.open_kinds(outcome.loop) == ["review-report"]


def our_own(ward: Ward) -> tuple[str, Loop, Handoff]:
    """A request that was written here, and its loop."""
    key = clock.new_id()
    mark = [{"system": REQUEST_IDENTIFIER, "value": key}]
    body = {"resourceType": "ServiceRequest", "id": key, "status": "active", "intent": "order", "identifier": mark}
    store.write(body, actor=SYSTEM, validate=False)
    return key, *ward.sent("test-order", request=key)


def test_a_cancelled_test_does_not_complete_our_own_request(ward: Ward) -> None:
    key, loop, fulfil = our_own(ward)
    ward.does(ward.clinic, fulfil, "cancel-test", reason="unable", report="DiagnosticReport/none")
    assert ward.open_kinds(loop) == ["decide-next-step", "notify-patient", "review-report"]
    assert store.get("ServiceRequest", key)["status"] == "active"


def test_our_own_request_is_completed_by_its_outcome_and_active_again_when_that_was_void(ward: Ward) -> None:
    key, loop, fulfil = our_own(ward)
    ward.does(ward.clinic, fulfil, "result", report=REPORT)
    assert store.get("ServiceRequest", key)["status"] == "completed"
    ward.does(ward.referrer, the_review(loop), "void", reason="wrong-patient")
    assert store.get("ServiceRequest", key)["status"] == "active"


ENDS = ["cancelled", "closed-patient-declined", "closed-lost-after-attempts", "entered-in-error"]


@pytest.mark.parametrize("end", ENDS)
def test_a_report_for_a_loop_with_any_end_is_read_in_one_new_loop(ward: Ward, end: str) -> None:
    loop, fulfil = ward.sent()
    if end == "entered-in-error":
        ward.does(ward.referrer, fulfil, "enter-in-error", reason="entered-in-error", second_person="Practitioner/boss")
    else:
        ward.does(ward.clinic, fulfil, "fail", reason="unable")
        reason = {"cancelled": "patient-died"}.get(end, end.removeprefix("closed-"))
        ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason=reason)
    assert again(loop).stage == end
    loops = set()
    for state in ("final", "amended", "appended", "cancelled"):
        loops.add(ward.does(ward.clinic, fulfil, "amend", report=REPORT, state=state).loop.id)
    (follower,) = (Loop.objects.get(pk=key) for key in loops)
    assert (follower.based_on_id, ward.open_kinds(follower)) == (loop.id, ["review-report"])


@pytest.mark.parametrize("report", ["DocumentReference/none", "DocumentReference/bens", "Bundle/none"])
def test_a_report_that_is_not_here_or_is_another_patients_reports_nothing(ward: Ward, report: str) -> None:
    keep_report("DocumentReference/bens", "ben")
    loop, fulfil = ward.sent()
    with pytest.raises(Incorrect) as refused:
        workflow.perform(fulfil.id, "report", ward.clinic, data={"report": report})
    assert [issue.expression for issue in refused.value.issues] == ["report"]
    assert ward.open_kinds(loop) == ["fulfil"]


def test_whoever_was_told_hears_today_also_when_something_else_was_to_be_told_within_two_weeks(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.tell(loop)
    with clock.at(LATER):
        later = ward.does(ward.clinic, fulfil, "amend", report=REPORT, state="cancelled").loop
        assert ward.only(later, "notify-patient").stage == "to-tell"
        ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    telling = ward.only(later, "notify-patient")
    assert telling.stage == "to-tell-today"
    assert telling.due_at is not None
    assert telling.due_at < LATER + timedelta(days=1)


def test_a_reader_who_finds_the_new_version_void_has_who_was_told_of_the_old_one_told_today(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.tell(loop)
    later = ward.does(ward.clinic, fulfil, "amend", report=REPORT, state="corrected").loop
    ward.does(ward.referrer, ward.only(later, "review-report"), "void", reason="wrong-patient")
    assert ward.only(later, "notify-patient").stage == "to-tell-today"


def offered(ward: Ward, actor: Actor, handoff: Handoff) -> set[str]:
    fresh = Handoff.objects.select_related("loop__accountable", "owner").get(pk=handoff.pk)
    return {offer.action for offer in workflow.available(actor, fresh)}


def test_what_is_void_is_voided_once_whoever_has_said_so(ward: Ward) -> None:
    loop, fulfil = reported(ward)
    ward.acknowledge(loop)
    review = the_review(loop)
    assert "void" in offered(ward, ward.referrer, review)
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert "void" not in offered(ward, ward.referrer, review)
    assert "withdraw-report" not in offered(ward, ward.clinic, fulfil)
    with pytest.raises(Incorrect, match="it is void already"):
        ward.does(ward.referrer, review, "void", reason="wrong-patient")
    with pytest.raises(Incorrect, match="it is void already"):
        ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert loop.handoffs.filter(kind="fulfil").count() == 2, "the laboratory was asked once for the right one"


def test_what_its_reader_has_voided_after_it_was_read_is_not_voided_again_in_another_loop(ward: Ward) -> None:
    loop, _fulfil = reported(ward)
    ward.acknowledge(loop)
    ward.tell(loop)
    review = the_review(loop)
    ward.does(ward.referrer, review, "void", reason="entered-in-error")
    assert Loop.objects.filter(based_on=loop).count() == 1
    assert "void" not in offered(ward, ward.referrer, review)


def test_of_two_reports_the_other_can_still_be_taken_back(ward: Ward) -> None:
    _loop, fulfil = reported(ward)
    keep_report("DiagnosticReport/second")
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/second", state="appended")
    ward.does(ward.clinic, fulfil, "withdraw-report", report=REPORT, reason="entered-in-error")
    assert "withdraw-report" in offered(ward, ward.clinic, fulfil)
    ward.does(ward.clinic, fulfil, "withdraw-report", report="DiagnosticReport/second", reason="entered-in-error")
    assert "withdraw-report" not in offered(ward, ward.clinic, fulfil)
