"""Reports that change, are withdrawn, replaced or cancelled as evidence brings it, before and after the loop's end."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from records import access, clock, store
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import (
    answer,
    concept,
    document,
    open_kinds,
    output,
    request,
    result,
    take,
    the,
    the_loop,
)
from tests.referrals.region import Region
from tests.referrals.ward import hours

LAB = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def sent(here: Region, **elements: Any) -> Loop:
    take(request(**elements), here.ehr)
    loop = the_loop()
    for waiting in loop.handoffs.filter(kind="dispatch"):
        workflow.perform(waiting.id, "send", here.gp)
    return loop


def arrives(here: Region, resource: Resource, at: datetime | None = None) -> str | None:
    """The hospital's EHR says it; by default we hear of it when it was said."""
    said = datetime.fromisoformat(resource["meta"]["lastUpdated"])
    with clock.at(at or said):
        return take(resource, here.partner).loop_id


def stage(loop: Loop) -> str:
    return the(loop, "fulfil").stage


def acknowledge(here: Region, loop: Loop, at: datetime, **said: bool) -> None:
    with clock.at(at):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True, **said})


def close(here: Region, loop: Loop, at: datetime) -> None:
    acknowledge(here, loop, at)
    with clock.at(at):
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_a_result_amended_before_the_loop_has_closed_is_reviewed_again(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    acknowledge(here, loop, hours(6))
    assert open_kinds(loop) == ["notify-patient"]
    amended = result("corrected", hours(7), conclusion="Lower than thought")
    arrives(here, amended)
    arrives(here, amended, hours(8))
    assert "review-report" in open_kinds(loop)
    assert loop.handoffs.filter(kind="review-report").count() == 2
    assert Loop.objects.count() == 1


def test_a_result_amended_after_the_end_opens_a_new_loop_for_clinician_and_patient(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    close(here, loop, hours(6))
    newer = arrives(here, result("corrected", hours(30), conclusion="Lower than thought"))
    follower = Loop.objects.get(based_on=loop)
    assert (newer, open_kinds(follower)) == (follower.id, ["notify-patient", "review-report"])
    arrives(here, result("amended", hours(40), conclusion="Lower still"))
    assert Loop.objects.count() == 2
    assert Loop.objects.get(pk=loop.pk).stage == "closed"
    clinic = access.visible(here.ehr, "DiagnosticReport")
    assert clinic.get().pk == "result"


def test_a_report_that_says_nothing_new_is_not_reviewed_again(here: Region) -> None:
    loop = sent(here, **LAB)
    final = result("final", hours(5))
    arrives(here, final)
    close(here, loop, hours(6))
    arrives(here, {**final, "resultsInterpreter": [{"display": "Dr Lab"}]}, hours(20))
    assert Loop.objects.count() == 1


def test_a_laboratory_that_cancels_leaves_the_decision_to_the_orderer(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("cancelled", hours(5)))
    assert (stage(loop), open_kinds(loop)) == ("declined", ["decide-next-step", "notify-patient", "review-report"])


def test_a_laboratory_that_cancels_after_the_start_has_failed(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("registered", hours(4)))
    arrives(here, result("cancelled", hours(5)))
    arrives(here, answer(the(loop, "fulfil"), "failed", hours(6)))
    assert (stage(loop), open_kinds(loop)) == ("failed", ["decide-next-step", "notify-patient", "review-report"])


def test_a_cancelled_report_that_comes_after_the_laboratorys_refusal_is_still_read(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, answer(the(loop, "fulfil"), "rejected", hours(4)))
    assert open_kinds(loop) == ["decide-next-step", "notify-patient"]
    arrives(here, result("cancelled", hours(5)))
    arrives(here, result("cancelled", hours(5), resultsInterpreter=[{"display": "Dr Lab"}]), hours(6))
    assert open_kinds(loop) == ["decide-next-step", "notify-patient", "review-report"]


def test_a_result_withdrawn_after_the_review_is_asked_for_again(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    acknowledge(here, loop, hours(6))
    void = result("entered-in-error", hours(7))
    arrives(here, void)
    arrives(here, {**void, "resultsInterpreter": [{"display": "Dr Lab"}]}, hours(8))
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    arrives(here, result("final", hours(9), key="right"))
    assert open_kinds(loop) == ["decide-next-step", "review-report"]


def test_a_result_withdrawn_after_the_end_is_asked_for_in_a_loop_that_its_successor_comes_to(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    close(here, loop, hours(6))
    arrives(here, result("entered-in-error", hours(30)))
    follower = Loop.objects.get(based_on=loop)
    assert open_kinds(follower) == ["decide-next-step", "fulfil", "notify-patient"]
    arrives(here, result("final", hours(40), key="right"))
    assert (the(follower, "fulfil").stage, Loop.objects.count()) == ("final", 2)
    assert open_kinds(follower) == ["decide-next-step", "notify-patient", "review-report"]


def test_a_document_that_replaces_the_one_read_is_read_instead_and_one_that_adds_to_it_as_well(here: Region) -> None:
    loop = sent(here)
    named = {"context": {"related": [{"reference": "ServiceRequest/sr"}]}}
    arrives(here, document(hours(5), **named))
    to_note = {"target": {"reference": "DocumentReference/note"}}
    arrives(here, document(hours(6), id="better", relatesTo=[{"code": "replaces", **to_note}]))
    arrives(here, document(hours(7), id="more", relatesTo=[{"code": "appends", **to_note}]))
    arrives(here, document(hours(8), status="superseded", **named))
    reviews = loop.handoffs.filter(kind="review-report", closed_at=None).values_list("focus", flat=True)
    assert sorted(reviews) == ["DocumentReference/better", "DocumentReference/more"]
    states = Event.objects.filter(loop=loop, action="amend").values_list("details__state", flat=True)
    assert list(states) == ["amended", "appended"]


def test_a_superseded_document_whose_successor_is_not_here_is_looked_at_again(here: Region) -> None:
    loop = sent(here)
    arrives(here, document(hours(5), context={"related": [{"reference": "ServiceRequest/sr"}]}))
    acknowledge(here, loop, hours(6))
    arrives(here, document(hours(8), status="superseded"))
    assert "review-report" in open_kinds(loop)


def test_a_document_entered_in_error_is_asked_for_again(here: Region) -> None:
    loop = sent(here)
    arrives(here, document(hours(5), context={"related": [{"reference": "ServiceRequest/sr"}]}))
    arrives(here, document(hours(8), status="entered-in-error"))
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert the(loop, "review-report").stage == "voided"


@pytest.mark.parametrize("states", [["entered-in-error"], ["preliminary", "entered-in-error", "entered-in-error"]])
@pytest.mark.parametrize("reason", ["withdrawn", "patient-declined"])
def test_a_report_in_error_that_nobody_was_to_read_orders_nothing_anew(
    here: Region, reason: str, states: list[str]
) -> None:
    loop = sent(here, **LAB)
    if states[0] == "preliminary":
        arrives(here, result("preliminary", hours(1)))
        workflow.perform(the(loop, "fulfil").id, "request-cancellation", here.gp, data={"reason": reason})
        arrives(here, answer(the(loop, "request-cancellation"), "completed", hours(2)))
    else:
        workflow.perform(the(loop, "fulfil").id, "cancel", here.gp, data={"reason": reason})
    before = open_kinds(loop)
    for number, state in enumerate(states[-2:], 5):
        if state == "entered-in-error":
            assert arrives(here, result(state, hours(number))) == loop.id
    assert (Loop.objects.count(), open_kinds(loop)) == (1, before)
    lines = Event.objects.filter(loop=loop, action="withdraw-report", evidence="DiagnosticReport/result")
    assert lines.count() == 1


def test_a_void_report_of_the_dead_asks_the_referrer_and_orders_nothing(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(1)))
    take(
        {"resourceType": "Patient", "id": "ana", **dict(store.get("Patient", "ana")), "deceasedBoolean": True}, here.ehr
    )
    workflow.perform(Handoff.objects.get(kind="confirm-death").id, "confirm", here.nina)
    arrives(here, result("entered-in-error", hours(5)))
    assert open_kinds(loop) == ["decide-next-step"]
    decision = the(loop, "decide-next-step")
    assert "keep" not in {one.action for one in workflow.available(here.gp, decision)}
    workflow.perform(decision.id, "close", here.gp, data={"reason": "no-longer-needed"})
    assert open_kinds(loop) == []


def test_a_patient_who_has_to_act_on_a_correction_is_called_sooner_than_was_meant(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    acknowledge(here, loop, hours(6))
    call = the(loop, "notify-patient")
    assert call.due_at == hours(6) + timedelta(days=14)
    arrives(here, result("corrected", hours(7), conclusion="Lower than thought"))
    acknowledge(here, loop, hours(8), patient_has_to_act=True)
    hurried = the(loop, "notify-patient")
    assert (hurried.id, hurried.due_at, hurried.version) == (call.id, hours(8) + timedelta(days=7), call.version + 1)
    assert open_kinds(loop) == ["notify-patient"]
    arrives(here, result("corrected", hours(30), conclusion="As thought at first"))
    acknowledge(here, loop, hours(31), patient_has_to_act=True)
    assert the(loop, "notify-patient").due_at == hurried.due_at, "never later"


def test_a_patient_who_has_to_act_on_what_came_after_the_end_is_called_within_a_week(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(here, result("final", hours(5)))
    close(here, loop, hours(6))
    arrives(here, result("corrected", hours(30), conclusion="Lower than thought"))
    follower = Loop.objects.get(based_on=loop)
    acknowledge(here, follower, hours(31), patient_has_to_act=True)
    assert the(follower, "notify-patient").due_at == hours(31) + timedelta(days=7)


@pytest.mark.parametrize(("written_at", "is_news"), [(4, False), (9, True)])
def test_a_report_that_its_task_named_before_it_came_is_read_once_whatever_it_says_of_itself(
    here: Region, written_at: float, is_news: bool
) -> None:
    loop = sent(here, **LAB)
    arrives(here, answer(the(loop, "fulfil"), "completed", hours(5), output=output("DiagnosticReport/result")))
    acknowledge(here, loop, hours(6))
    arrives(here, result("amended", hours(written_at)), hours(10))
    assert ("review-report" in open_kinds(loop)) == is_news
