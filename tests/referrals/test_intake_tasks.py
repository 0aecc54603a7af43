"""A performer's Task: each status becomes the legal action, illegal ones are refused, late ones change nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from records import clock, store
from records.access import Actor
from records.errors import Forbidden, Incorrect, NotFound, Stale
from referrals import intake, workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import (
    answer,
    concept,
    document,
    open_kinds,
    output,
    request,
    said,
    take,
    task_of,
    the,
    the_loop,
)
from tests.referrals.region import CLINIC, PRACTICE, Region
from tests.referrals.ward import MONDAY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def fulfil(here: Region) -> Handoff:
    return sent(here, request())


def sent(here: Region, resource: dict[str, object]) -> Handoff:
    take(resource, here.ehr)
    loop = the_loop(str(resource["id"]))
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    return the(loop, "fulfil")


def after(**span: float) -> datetime:
    return MONDAY + timedelta(**span)


def tell(here: Region, fulfil: Handoff, status: str, at: datetime, **elements: object) -> Handoff:
    """The hospital's EHR says so; we hear of it a minute later."""
    with clock.at(at + timedelta(minutes=1)):
        take(answer(fulfil, status, at, **elements), here.partner)
    return the(fulfil.loop, "fulfil")


def actions(loop: Loop) -> list[str]:
    return list(Event.objects.filter(loop=loop).order_by("id").values_list("action", flat=True))


def test_accepted_moves_the_stage_at_the_time_the_partner_said_it(here: Region, fulfil: Handoff) -> None:
    heard = tell(here, fulfil, "accepted", after(hours=2))
    assert (heard.stage, heard.task_status, heard.stage_since) == ("awaiting-booking", "accepted", after(hours=2))
    assert task_of(heard)["status"] == "accepted"
    assert Event.objects.get(loop=heard.loop, action="accept").actor_id == here.partner.id


def test_received_then_in_progress_take_one_legal_step_after_the_other(here: Region, fulfil: Handoff) -> None:
    assert tell(here, fulfil, "received", after(hours=1)).stage == "in-triage"
    assert tell(here, fulfil, "in-progress", after(hours=2)).stage == "in-progress"
    assert actions(fulfil.loop)[-3:] == ["receive", "accept", "start"]


def test_completed_with_an_output_in_one_jump_takes_every_step_and_asks_for_review(
    here: Region, fulfil: Handoff
) -> None:
    take(document(after(hours=1)), here.partner)
    heard = tell(here, fulfil, "completed", after(hours=2), output=output("DocumentReference/note"))
    assert (heard.stage, heard.task_status) == ("report-sent", "completed")
    assert actions(fulfil.loop)[-3:] == ["accept", "start", "report"]
    assert open_kinds(fulfil.loop) == ["review-report"]
    assert the(fulfil.loop, "review-report").focus == "DocumentReference/note"


def test_completed_without_an_output_stays_open(here: Region, fulfil: Handoff) -> None:
    heard = tell(here, fulfil, "completed", after(hours=2))
    assert (heard.stage, heard.is_open) == ("completed-no-report", True)
    late = tell(here, fulfil, "completed", after(hours=3), output=output("DocumentReference/note"))
    assert (late.stage, open_kinds(fulfil.loop)) == ("report-sent", ["review-report"])


def test_the_partners_reason_is_kept_with_its_own_code_and_opens_the_referrers_decision(
    here: Region, fulfil: Handoff
) -> None:
    reason = {"coding": [{"system": "urn:theirs", "code": "full"}], "text": "List is full until May"}
    heard = tell(here, fulfil, "rejected", after(hours=2), statusReason=reason)
    assert (heard.stage, heard.reason_code, heard.reason_text) == ("declined", "other", "List is full until May [full]")
    assert task_of(heard)["statusReason"] == reason
    assert open_kinds(fulfil.loop) == ["decide-next-step", "notify-patient"]


def test_a_rejection_without_a_word_is_still_heard(here: Region, fulfil: Handoff) -> None:
    heard = tell(here, fulfil, "rejected", after(hours=2))
    assert (heard.stage, heard.reason_text) == ("declined", "No reason was given.")


@pytest.mark.parametrize(("status", "stage"), [("failed", "failed"), ("cancelled", "cancelled")])
def test_failure_and_cancellation_by_the_performer_never_close_silently(
    here: Region, fulfil: Handoff, status: str, stage: str
) -> None:
    heard = tell(here, fulfil, status, after(hours=2))
    assert heard.stage == stage
    assert "decide-next-step" in open_kinds(fulfil.loop)


def test_a_late_message_changes_nothing(here: Region, fulfil: Handoff) -> None:
    accepted = answer(fulfil, "accepted", after(hours=1))
    tell(here, fulfil, "in-progress", after(hours=2))
    version = store.read("Task", fulfil.id).version
    with clock.at(after(hours=3)):
        received = take(accepted, here.partner)
    assert (received.written.changed, store.read("Task", fulfil.id).version) == (False, version)
    assert the(fulfil.loop, "fulfil").stage == "in-progress"


def test_the_same_message_twice_is_one_step(here: Region, fulfil: Handoff) -> None:
    message = answer(fulfil, "accepted", after(hours=1))
    with clock.at(after(hours=2)):
        take(message, here.partner)
        before = actions(fulfil.loop), store.read("Task", fulfil.id).version
        take(message, here.partner)
    assert (actions(fulfil.loop), store.read("Task", fulfil.id).version) == before


def test_a_partner_whose_clock_is_slow_is_still_heard(here: Region, fulfil: Handoff) -> None:
    assert tell(here, fulfil, "accepted", MONDAY - timedelta(hours=2)).stage == "awaiting-booking"
    heard = tell(here, fulfil, "in-progress", MONDAY - timedelta(hours=1))
    assert (heard.stage, heard.stage_since) == ("in-progress", MONDAY)


def test_on_hold_asks_the_referrer_and_goes_on_where_it_stood(here: Region, fulfil: Handoff) -> None:
    tell(here, fulfil, "accepted", after(hours=1))
    due = the(fulfil.loop, "fulfil").due_at
    held = tell(here, fulfil, "on-hold", after(hours=2), statusReason={"text": "Scanner broken"})
    tell(here, fulfil, "on-hold", after(hours=3))
    assert (held.stage, held.task_status, held.due_at) == ("awaiting-booking", "on-hold", due)
    assert open_kinds(fulfil.loop) == ["decide-next-step", "fulfil"]
    assert Event.objects.get(loop=fulfil.loop, action="hold").details["note"] == "Scanner broken"
    assert tell(here, fulfil, "in-progress", after(hours=4)).stage == "in-progress"


@pytest.mark.parametrize("status", ["ready", "entered-in-error", "draft"])
def test_what_can_not_follow_is_refused_whole(here: Region, fulfil: Handoff, status: str) -> None:
    tell(here, fulfil, "accepted", after(hours=1))
    held = task_of(fulfil)
    with pytest.raises(Incorrect) as refused:
        tell(here, fulfil, status, after(hours=2), note=[{"text": "half"}])
    assert refused.value.issues[0].expression == "Task.status"
    assert task_of(fulfil) == held


@pytest.mark.parametrize(
    ("reached", "status"), [("in-progress", "accepted"), ("in-progress", "requested"), ("accepted", "received")]
)
def test_a_newer_word_that_falls_behind_is_kept_and_the_referrer_decides(
    here: Region, fulfil: Handoff, reached: str, status: str
) -> None:
    before = tell(here, fulfil, reached, after(hours=1)).stage
    heard = tell(here, fulfil, status, after(hours=2))
    assert (heard.stage, heard.task_status, task_of(heard)["status"]) == (before, status, status)
    assert open_kinds(fulfil.loop) == ["decide-next-step", "fulfil"]
    assert actions(fulfil.loop)[-1] == "contradict"
    assert tell(here, fulfil, "in-progress", after(hours=3)).stage == "in-progress"


def test_a_refusal_lists_what_the_sender_may_do_and_nothing_else(here: Region, fulfil: Handoff) -> None:
    with pytest.raises(Incorrect) as refused:
        tell(here, fulfil, "draft", after(hours=1))
    listed = set(str(refused.value).rpartition("Possible now: ")[2].rstrip(".").split(", "))
    assert {"receive", "accept", "decline"} <= listed
    assert listed <= {one.action for one in workflow.available(here.partner, the(fulfil.loop, "fulfil"))}


def test_notes_identifiers_and_unknown_elements_join_and_ours_stay(here: Region, fulfil: Handoff) -> None:
    theirs = {"system": "urn:hospital", "value": "T-9"}
    tell(
        here,
        fulfil,
        "requested",
        after(hours=1),
        identifier=[theirs],
        note=[{"text": "Please call"}],
        description="theirs",
        priority="stat",
        extension=[{"url": "urn:x", "valueString": "kept"}],
        businessStatus={"coding": [{"system": "urn:theirs", "code": "looking"}]},
    )
    task = task_of(fulfil)
    assert [one["value"] for one in task["identifier"]] == [fulfil.id, "T-9"]
    assert task["note"] == [{"text": "Please call"}]
    assert (task["description"], task["priority"]) == ("theirs", "routine")
    assert task["extension"][0] == {"url": "urn:x", "valueString": "kept"} or task["extension"][-1]["url"] == "urn:x"
    assert task["businessStatus"]["coding"][0]["code"] == "looking"
    assert task["partOf"] == [{"reference": f"Task/{fulfil.loop_id}"}]
    assert the(fulfil.loop, "fulfil").stage == "sent"


def test_our_own_words_in_business_status_refine_the_stage(here: Region, fulfil: Handoff) -> None:
    tell(here, fulfil, "accepted", after(hours=1))
    ours = {"system": "http://127.0.0.1:8000/CodeSystem/stage", "code": "seen-awaiting-report"}
    assert tell(here, fulfil, "in-progress", after(hours=2), businessStatus={"coding": [ours]}).stage == ours["code"]


def test_a_contradicting_business_status_is_kept_and_the_status_wins(here: Region, fulfil: Handoff) -> None:
    ours = {"system": "http://127.0.0.1:8000/CodeSystem/stage", "code": "seen-awaiting-report"}
    assert tell(here, fulfil, "accepted", after(hours=1), businessStatus={"coding": [ours]}).stage == "awaiting-booking"
    assert task_of(fulfil)["businessStatus"]["coding"] == [ours]


def test_a_client_must_not_write_the_placers_elements(here: Region) -> None:
    fulfil = sent(here, request(performer=[{"reference": f"Organization/{CLINIC}"}]))
    clinic = region.client("clinic", CLINIC)
    with pytest.raises(Incorrect) as refused:
        intake.receive({**task_of(fulfil), "status": "accepted", "priority": "stat"}, clinic)
    assert [one.expression for one in refused.value.issues] == ["Task.priority"]
    intake.receive({**task_of(fulfil), "status": "accepted"}, clinic)
    assert the(fulfil.loop, "fulfil").stage == "awaiting-booking"
    assert task_of(fulfil)["businessStatus"]["coding"][0]["code"] == "awaiting-booking"


@pytest.mark.parametrize(("status", "element"), [("accepted", "Task.status"), ("completed", "Task.output")])
def test_a_client_is_told_when_its_status_leads_nowhere(here: Region, status: str, element: str) -> None:
    lab: dict[str, Any] = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
    fulfil = sent(here, request(performer=[{"reference": f"Organization/{CLINIC}"}], **lab))
    clinic, before = region.client("clinic", CLINIC), task_of(fulfil)
    with pytest.raises(Incorrect, match="collect") as refused:
        intake.receive({**before, "status": status, "note": [{"text": "half"}]}, clinic)
    assert [one.expression for one in refused.value.issues] == [element]
    assert task_of(fulfil) == before
    intake.receive({**before, "status": "in-progress"}, clinic)
    assert (the(fulfil.loop, "fulfil").stage, task_of(fulfil)["status"]) == ("specimen-collected", "in-progress")


def test_a_stale_if_match_is_refused(here: Region) -> None:
    fulfil = sent(here, request(performer=[{"reference": f"Organization/{CLINIC}"}]))
    clinic, version = region.client("clinic", CLINIC), store.read("Task", fulfil.id).version
    intake.receive({**task_of(fulfil), "status": "received"}, clinic, if_match=version)
    with pytest.raises(Stale):
        intake.receive({**task_of(fulfil), "status": "accepted"}, clinic, if_match=version)


def test_the_placers_ehr_cancels_by_status_before_the_start_and_asks_afterwards(here: Region, fulfil: Handoff) -> None:
    intake.receive({**task_of(fulfil), "status": "cancelled"}, here.ehr)
    loop = the_loop()
    assert (the(loop, "fulfil").stage, loop.end_reason) == ("cancelled", "other")
    other = sent(here, request(key="sr-2"))
    tell(here, other, "in-progress", after(hours=1))
    intake.receive({**task_of(other), "status": "cancelled"}, here.ehr)
    assert open_kinds(other.loop) == ["fulfil", "request-cancellation"]
    asked = the(other.loop, "request-cancellation")
    with clock.at(after(hours=3)):
        take(answer(asked, "rejected", after(hours=2)), here.partner)
    assert open_kinds(other.loop) == ["fulfil"]


def test_the_placer_does_not_speak_for_the_performer(here: Region, fulfil: Handoff) -> None:
    with pytest.raises(Incorrect):
        intake.receive({**task_of(fulfil), "status": "accepted"}, here.ehr)


def test_nobody_else_touches_the_task_and_nobody_at_all_the_loops(here: Region, fulfil: Handoff) -> None:
    with pytest.raises(NotFound):
        intake.receive({**task_of(fulfil), "status": "accepted"}, here.outsider)
    with pytest.raises(Forbidden):
        intake.receive({**store.get("Task", fulfil.loop_id), "status": "completed"}, here.ehr)


def test_a_task_of_nobody_is_a_record(here: Region) -> None:
    task = {"resourceType": "Task", "id": "chore", "status": "requested", "intent": "order"}
    assert take(task, here.ehr).loop_id is None


def test_how_urgent_its_placer_finds_what_has_ended_is_kept_and_moves_nothing(here: Region) -> None:
    ehr = Actor(id="partner:ehr", kind="partner", display="EHR", organization=PRACTICE)
    ended = sent(here, request())
    workflow.perform(ended.id, "cancel", here.gp, data={"reason": "withdrawn"})
    workflow.perform(the(the_loop(), "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    with clock.at(after(hours=1)):
        take(said({**task_of(ended), "priority": "urgent"}, after(hours=1)), ehr)
    assert (the_loop().stage, the_loop().priority) == ("cancelled", "routine")
