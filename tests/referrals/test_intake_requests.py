"""A ServiceRequest at the door: whose it is, when it opens a loop, and what its status does to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from records import access, clock, store
from records.errors import Forbidden, Incorrect
from records.json import Resource
from records.types import row_class
from referrals import workflow
from referrals.models import Calendar, Event, Loop
from tests.referrals import region
from tests.referrals.exchange import answer, concept, document, open_kinds, output, request, sent, take, the, the_loop
from tests.referrals.region import CLINIC, ELSEWHERE, HOSPITAL, PRACTICE, Region
from tests.referrals.ward import MONDAY, hours

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def test_an_active_order_of_ours_opens_a_loop_that_waits_to_be_sent(here: Region) -> None:
    received = take(request(priority="urgent", occurrencePeriod={"end": "2026-03-20"}), here.ehr)
    loop = the_loop()
    assert received.loop_id == loop.id
    assert (loop.kind, loop.patient_id, loop.placer, loop.performer) == ("referral", "ana", PRACTICE, HOSPITAL)
    assert (loop.requester, loop.priority, loop.title, loop.ordered_at) == ("gp", "urgent", "Cardiology", MONDAY)
    assert loop.needed_by == datetime(2026, 3, 20, 23, 59, 59, tzinfo=UTC)
    assert (loop.accountable, open_kinds(loop)) == (here.pool.owner, ["dispatch"])


def test_a_day_is_a_day_of_the_placer(here: Region) -> None:
    Calendar.objects.create(organization=PRACTICE, time_zone="America/Chicago")
    take(request(authoredOn="2026-03-01", occurrencePeriod={"start": "2026-03-09", "end": "2026-03-20"}), here.ehr)
    loop = the_loop()
    assert (loop.ordered_at, loop.window_start_at, loop.needed_by) == (
        datetime(2026, 3, 1, 6, tzinfo=UTC),
        datetime(2026, 3, 9, 5, tzinfo=UTC),  # summer time began the day before
        datetime(2026, 3, 21, 4, 59, 59, tzinfo=UTC),
    )


def test_the_same_request_twice_opens_one_loop(here: Region) -> None:
    first, second = take(request(), here.ehr), take(request(), here.ehr)
    assert (first.loop_id, second.written.changed) == (second.loop_id, False)
    assert Loop.objects.count() == 1


@pytest.mark.parametrize(
    "elements",
    [
        {"status": "draft"},
        {"intent": "plan"},
        {"intent": "proposal"},
        {"code": concept("420227002", "Recommendation")},
        {"subject": {"reference": "Group/g"}},
        {"status": "completed"},
    ],
)
def test_anything_else_is_a_record(here: Region, elements: dict[str, Any]) -> None:
    assert take(request(**elements), here.ehr).loop_id is None
    assert Loop.objects.count() == 0
    assert store.get("ServiceRequest", "sr")


def test_a_draft_opens_its_loop_when_it_becomes_active(here: Region) -> None:
    take(request(status="draft"), here.ehr)
    take(request(), here.ehr)
    assert open_kinds(the_loop()) == ["dispatch"]


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        ({"code": concept("103696004")}, "referral"),
        ({"code": {"text": "FBC"}, "category": [concept("108252007")]}, "test-order"),
        ({"code": {"text": "X-ray"}, "category": [concept("363679005")]}, "test-order"),
        ({"code": {"text": "Food"}, "category": [concept("410606002")]}, "referral"),
        ({"code": concept("390906007"), "category": [concept("3457005")]}, "follow-up"),
    ],
)
def test_the_codes_say_which_kind_of_loop(here: Region, element: dict[str, Any], kind: str) -> None:
    take(request(**element), here.ehr)
    assert the_loop().kind == kind


def test_what_only_our_clinic_has_to_perform_is_answered_not_closed(here: Region) -> None:
    at_hospital = {"reference": f"Organization/{HOSPITAL}"}
    take(request(requester=at_hospital, performer=[{"reference": f"Organization/{CLINIC}"}]), here.partner)
    loop = the_loop()
    assert (loop.answer_only, loop.placer, loop.accountable.organization) == (True, HOSPITAL, CLINIC)
    assert open_kinds(loop) == ["fulfil"]


@pytest.fixture
def theirs(here: Region) -> Resource:
    """A request that the hospital has placed with our clinic."""
    placed = request(
        requester={"reference": f"Organization/{HOSPITAL}"}, performer=[{"reference": f"Organization/{CLINIC}"}]
    )
    take(placed, here.partner)
    return placed


def test_a_question_about_what_was_placed_elsewhere_is_the_placers_and_waits_on_our_list(
    here: Region, theirs: Resource
) -> None:
    clinic = region.client("clinic", CLINIC)
    workflow.perform(the(the_loop(), "fulfil").id, "ask-information", clinic, data={"question": "Since when?"})
    asked = the(the_loop(), "provide-information")
    assert (asked.owner.organization, asked.is_outside, asked.list) == (HOSPITAL, True, the_loop().accountable)
    assert "answer" in {one.action for one in workflow.available(here.partner, asked)}


def test_the_placers_answer_is_only_passed_on_by_who_performs(here: Region, theirs: Resource) -> None:
    clinic = region.client("clinic", CLINIC)
    workflow.perform(the(the_loop(), "fulfil").id, "ask-information", clinic, data={"question": "Since when?"})
    asked = the(the_loop(), "provide-information")
    with pytest.raises(Forbidden):
        workflow.perform(asked.id, "answer", clinic, data={"answer": "Since May."})
    offers = {one.action: one.attested for one in workflow.available(clinic, asked)}
    assert (offers["answer"], offers["leave-unanswered"]) == (True, True)
    with pytest.raises(Incorrect):
        workflow.perform(asked.id, "answer", clinic, data={"answer": "Since May."}, attested=True)
    told = {"answer": "Since May.", "channel": "phone", "spoken_to": "Dr Gray"}
    workflow.perform(asked.id, "answer", clinic, data=told, attested=True)
    event = Event.objects.get(action="answer")
    assert (event.attested, event.details["spoken_to"]) == (True, "Dr Gray")
    assert open_kinds(the_loop()) == ["fulfil"]


def test_what_its_placer_elsewhere_holds_is_in_the_journal_and_what_it_revokes_is_cancelled(
    here: Region, theirs: Resource
) -> None:
    take({**theirs, "status": "on-hold"}, here.partner)
    assert Event.objects.get(action="hold").evidence == "ServiceRequest/sr"
    take({**theirs, "status": "revoked"}, here.partner)
    assert (the_loop().stage, the_loop().end_reason) == ("cancelled", "withdrawn")


def test_what_concerns_none_of_us_is_a_record(here: Region) -> None:
    at_hospital = {"reference": f"Organization/{HOSPITAL}"}
    assert take(request(requester=at_hospital), here.partner).loop_id is None


def test_only_the_placer_writes_a_request(here: Region) -> None:
    take(request(), here.ehr)
    with pytest.raises(Forbidden):
        take(request(priority="stat"), here.partner)
    with pytest.raises(Forbidden):
        take(request(key="forged"), here.outsider)
    assert "priority" not in store.get("ServiceRequest", "sr")
    assert not row_class("ServiceRequest").rows("ServiceRequest").filter(pk="forged").exists()


def test_an_echo_of_our_own_request_changes_nothing(here: Region) -> None:
    take(request(), here.ehr)
    assert take(request(), here.partner).written.changed is False


@pytest.mark.parametrize("patient", ["eve", "nobody"])
def test_nobody_refers_a_patient_whom_they_may_not_see(here: Region, patient: str) -> None:
    with pytest.raises(Incorrect) as refused:
        take(request(subject={"reference": f"Patient/{patient}"}), here.ehr)
    assert [one.expression for one in refused.value.issues] == ["ServiceRequest.subject"]
    assert Loop.objects.count() == 0


def test_the_performer_may_read_what_the_request_refers_to_but_only_what_the_placer_sees(here: Region) -> None:
    for key, owner in (("mine", PRACTICE), ("theirs", ELSEWHERE)):
        condition = {"resourceType": "Condition", "id": key, "subject": {"reference": "Patient/ana"}}
        region.keep(condition, owner)
    supporting = [{"reference": "Condition/mine"}, {"reference": "Condition/theirs"}]
    take(request(performer=[{"reference": f"Organization/{CLINIC}"}], supportingInfo=supporting), here.ehr)
    clinic = region.client("clinic", CLINIC)
    assert access.visible(clinic, "Patient").get().pk == "ana"
    assert access.visible(clinic, "Condition").get().pk == "mine"
    assert not access.visible(here.outsider, "ServiceRequest").exists()


def test_a_revoked_request_that_was_not_sent_is_withdrawn_with_a_reason(here: Region) -> None:
    take(request(), here.ehr)
    take(request(status="revoked"), here.ehr)
    loop = the_loop()
    assert (loop.stage, loop.end_reason) == ("cancelled", "withdrawn")
    assert Event.objects.get(loop=loop, action="withdraw").evidence == "ServiceRequest/sr"


def test_a_completed_request_closes_nothing(here: Region) -> None:
    take(request(), here.ehr)
    with clock.at(MONDAY + timedelta(hours=1)):
        take(request(status="completed", authoredOn=MONDAY.isoformat()), here.ehr)
    assert open_kinds(the_loop()) == ["dispatch"]


def test_a_fulfil_task_of_the_placers_ehr_is_the_handoff(here: Region) -> None:
    take(request(), here.ehr)
    task = {
        "resourceType": "Task",
        "id": "from-ehr",
        "status": "requested",
        "intent": "order",
        "code": concept("fulfill", system="http://hl7.org/fhir/CodeSystem/task-code"),
        "focus": {"reference": "ServiceRequest/sr"},
        "for": {"reference": "Patient/ana"},
        "owner": {"reference": f"Organization/{HOSPITAL}"},
        "note": [{"text": "by our EHR"}],
    }
    received = take(task, here.ehr)
    loop = the_loop()
    assert (open_kinds(loop), received.loop_id) == (["fulfil"], loop.id)
    assert the(loop, "fulfil").id == "from-ehr"
    assert store.get("Task", "from-ehr")["note"] == [{"text": "by our EHR"}]
    assert take(task, here.ehr).loop_id == loop.id


def test_an_order_keeps_its_patient(here: Region) -> None:
    take(request(), here.ehr)
    with pytest.raises(Incorrect) as refused:
        take(request(subject={"reference": "Patient/ben"}), here.ehr)
    assert [one.expression for one in refused.value.issues] == ["ServiceRequest.subject"]
    assert (the_loop().patient_id, store.get("ServiceRequest", "sr")["subject"]["reference"]) == ("ana", "Patient/ana")


def test_an_order_keeps_its_performer_once_it_was_sent(here: Region) -> None:
    take(request(), here.ehr)
    at_clinic = [{"reference": f"Organization/{CLINIC}"}]
    take(request(performer=at_clinic), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    with pytest.raises(Incorrect) as refused:
        take(request(), here.ehr)
    assert [one.expression for one in refused.value.issues] == ["ServiceRequest.performer"]
    assert store.get("ServiceRequest", "sr")["performer"] == at_clinic


def test_a_request_on_hold_asks_the_referrer_and_its_loop_stays_open(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    take(request(status="on-hold"), here.ehr)
    assert (open_kinds(loop), the(loop, "fulfil").stage) == (["decide-next-step", "fulfil"], "sent")
    take(request(), here.ehr)
    assert open_kinds(loop) == ["fulfil"], "active again is the decision to go on"


@pytest.mark.parametrize("first", ["active", "on-hold"])
def test_what_is_put_on_hold_before_it_was_sent_asks_the_referrer_too(here: Region, first: str) -> None:
    take(request(status=first), here.ehr)
    take(request(status="on-hold"), here.ehr)
    loop = the_loop()
    assert open_kinds(loop) == ["decide-next-step", "dispatch"]
    decide = the(loop, "decide-next-step")
    workflow.perform(decide.id, "redirect", here.gp, data={"performer": f"Organization/{CLINIC}"})
    assert (open_kinds(loop), the(loop, "dispatch").stage) == (["fulfil"], "dispatched")


def test_a_revoked_request_that_has_started_is_asked_back_and_never_closed_in_silence(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    workflow.perform(the(loop, "fulfil").id, "start", here.partner)
    take(request(status="revoked"), here.ehr)
    assert open_kinds(loop) == ["fulfil", "request-cancellation"]


def test_a_revoked_request_that_was_declined_answers_the_decision(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    full = {"reason": "no-capacity", "reason_text": "Full"}
    workflow.perform(the(loop, "fulfil").id, "decline", here.partner, data=full)
    take(request(status="revoked"), here.ehr)
    assert open_kinds(loop) == ["notify-patient"]
    assert the_loop().end_reason == "withdrawn"


@pytest.mark.parametrize(("touched", "end"), [(False, "entered-in-error"), (True, "cancelled")])
def test_only_what_nobody_has_touched_was_entered_in_error(here: Region, touched: bool, end: str) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    if touched:
        workflow.perform(the(loop, "fulfil").id, "receive", here.partner)
    take(request(status="entered-in-error"), here.ehr)
    for telling in loop.handoffs.filter(kind="notify-patient"):
        workflow.perform(telling.id, "tell", here.nina, data={"channel": "phone"})
    assert the_loop().stage == end


def test_another_priority_runs_the_clock_anew_from_its_start_and_stands_in_the_journal(here: Region) -> None:
    lab: dict[str, Any] = {
        "code": {"text": "FBC"},
        "category": [concept("108252007")],
        "authoredOn": MONDAY.isoformat(),
    }
    take(request(**lab), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    assert the(loop, "fulfil").due_at == MONDAY + timedelta(days=14)
    with clock.at(MONDAY + timedelta(hours=5)):
        take(request(**lab, priority="urgent"), here.ehr)
    fulfil = the(loop, "fulfil")
    assert (fulfil.due_at, fulfil.priority_rank) == (MONDAY + timedelta(days=3), 2)
    assert store.get("Task", fulfil.id)["priority"] == store.get("Task", loop.id)["priority"] == "urgent"
    line = Event.objects.get(loop=loop, action="revise")
    assert (line.details["priority_before"], line.details["priority"]) == ("routine", "urgent")
    with clock.at(MONDAY + timedelta(hours=6)):
        take(request(**lab, priority="urgent", occurrenceDateTime="2026-03-04T12:00:00Z"), here.ehr)
    needed = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert (the(loop, "fulfil").due_at, the_loop().needed_by) == (needed, needed)


def revoked_and_active_again(here: Region) -> Loop:
    take(request(status="revoked"), here.ehr)
    take(request(), here.ehr)
    return the_loop()


def test_a_request_that_is_active_again_after_its_loop_has_ended_opens_one_that_follows(here: Region) -> None:
    take(request(), here.ehr)
    loop = revoked_and_active_again(here)
    later = Loop.objects.get(based_on=loop)
    assert (loop.stage, later.stage, open_kinds(later)) == ("cancelled", "waiting-partner", ["dispatch"])
    take(request(), here.ehr)
    assert Loop.objects.count() == 2
    take(request(status="revoked"), here.ehr)
    assert open_kinds(later) == []


def test_a_follow_up_that_is_active_again_is_planned_again_and_not_sent(here: Region) -> None:
    follow_up: dict[str, Any] = {"code": concept("390906007"), "performer": [{"reference": f"Organization/{PRACTICE}"}]}
    take(request(**follow_up), here.ehr)
    take(request(**follow_up, status="revoked"), here.ehr)
    loop = the_loop()
    assert open_kinds(loop) == ["notify-patient"]
    take(request(**follow_up), here.ehr)
    assert open_kinds(loop) == ["contact-patient", "fulfil", "notify-patient"]


def test_a_request_that_is_active_again_while_its_patient_is_to_be_told_is_sent_anew(here: Region) -> None:
    take(request(), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    loop = revoked_and_active_again(here)
    assert (open_kinds(loop), Loop.objects.count()) == (["dispatch", "notify-patient"], 1)
    assert (loop.stage, loop.end_reason, loop.acknowledged_reason) == ("waiting-partner", "", ""), "it has no end yet"


def test_a_request_that_is_active_again_before_its_performer_has_answered_asks_the_referrer(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    take(answer(the(loop, "fulfil"), "in-progress", clock.now()), here.partner)
    revoked_and_active_again(here)
    assert open_kinds(loop) == ["decide-next-step", "fulfil", "request-cancellation"]


TAKEN_BACK = ("revoked", "entered-in-error")


@pytest.mark.parametrize("first", TAKEN_BACK)
@pytest.mark.parametrize("started", [False, True])
def test_what_was_taken_back_may_be_taken_back_in_other_words(here: Region, first: str, started: bool) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    workflow.perform(the(loop, "fulfil").id, "start" if started else "receive", here.partner)
    take(request(status=first), here.ehr)
    before = open_kinds(loop)
    other = next(one for one in TAKEN_BACK if one != first)
    take(request(status=other), here.ehr)
    assert open_kinds(loop) == before == (["fulfil", "request-cancellation"] if started else ["notify-patient"])
    assert store.get("ServiceRequest", "sr")["status"] == other


def test_what_has_led_to_an_outcome_is_not_taken_back(here: Region) -> None:
    loop = sent(here)
    take(document(hours(1)), here.partner)
    take(answer(the(loop, "fulfil"), "completed", hours(1), output=output("DocumentReference/note")), here.partner)
    with pytest.raises(Incorrect, match="performed"):
        take(request(status="revoked"), here.ehr)
