"""What goes wrong on the way, and that it always comes to somebody who decides: contact lost, visits missed."""

from datetime import timedelta

import pytest

from records import clock, store
from records.errors import Forbidden, Incorrect
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.referrals.ward import MONDAY, Ward


def again(row: Loop) -> Loop:
    return Loop.objects.get(pk=row.pk)


def stage(handoff: Handoff) -> str:
    return Handoff.objects.get(pk=handoff.pk).stage


def give_up(ward: Ward, loop: Loop) -> None:
    contact = ward.only(loop, "contact-patient")
    for _ in range(3):
        ward.does(ward.coordinator, contact, "attempt", channel="phone")
    ward.does(ward.coordinator, contact, "give-up", reason="lost-after-attempts")


def missed(ward: Ward, **order: str) -> tuple[Loop, Handoff]:
    """A referral whose patient did not come; its performer's Task is in progress."""
    loop, fulfil = ward.sent(**order)
    performer = ward.partner if order.get("performer") == "elsewhere" else ward.clinic
    for action, data in (("accept", {}), ("book", {"slot_end": MONDAY}), ("no-show", {})):
        workflow.perform(fulfil.id, action, performer, data=data)
    Handoff.objects.filter(pk=fulfil.pk).update(task_status="in-progress")
    return loop, fulfil


def test_a_follow_up_whose_patient_is_not_reached_ends_for_good_only_by_the_referrers_decision(ward: Ward) -> None:
    loop, visit = ward.sent("follow-up", performer="practice")
    give_up(ward, loop)
    assert (stage(visit), ward.open_kinds(loop)) == ("lost-after-attempts", ["decide-next-step"])
    assert store.get("Task", visit.id)["status"] == "failed"
    decide = ward.only(loop, "decide-next-step")
    with pytest.raises(Incorrect, match="nobody is performing it"):
        ward.does(ward.referrer, decide, "keep")
    ward.does(ward.referrer, decide, "close", reason="lost-after-attempts")
    assert again(loop).stage == "closed-lost-after-attempts"


def test_a_follow_up_that_the_patient_declines_may_be_offered_by_somebody_else(ward: Ward) -> None:
    loop, visit = ward.sent("follow-up", performer="practice")
    ward.does(ward.coordinator, ward.only(loop, "contact-patient"), "patient-declines")
    assert (stage(visit), store.get("Task", visit.id)["status"]) == ("patient-declined", "cancelled")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=ward.clinic_pool.pk)
    assert (ward.open_kinds(loop), ward.only(loop, "fulfil").stage) == (["fulfil"], "planned")


@pytest.mark.parametrize("kind", ["referral", "follow-up", "test-order"])
@pytest.mark.parametrize("reason", ["patient-declined", "lost-after-attempts"])
def test_every_kind_can_end_without_its_patient_and_an_urgent_one_needs_two(ward: Ward, kind: str, reason: str) -> None:
    loop, fulfil = ward.sent(kind, priority="urgent")
    ward.does(ward.clinic, fulfil, "fail", reason="lost-contact")
    decide = ward.only(loop, "decide-next-step")
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.referrer, decide, "close", reason=reason)
    assert [issue.expression for issue in refused.value.issues] == ["second_person"]
    ward.does(ward.referrer, decide, "close", reason=reason, second_person="Practitioner/boss")
    assert (again(loop).stage, again(loop).end_reason) == (f"closed-{reason}", reason)


def test_a_visit_that_its_performer_elsewhere_has_started_is_not_ended_over_its_head(ward: Ward) -> None:
    loop, visit = ward.sent("follow-up", performer="elsewhere")
    Handoff.objects.filter(pk=visit.pk).update(task_status="in-progress")
    ward.does(ward.coordinator, ward.only(loop, "contact-patient"), "patient-declines")
    assert (stage(visit), ward.open_kinds(loop)) == ("planned", ["decide-next-step", "fulfil"])
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="patient-declined")
    asked = ward.only(loop, "request-cancellation")
    assert (asked.owner, asked.focus, asked.reason_code) == (ward.outside, f"Task/{visit.id}", "patient-declined")
    assert again(loop).closed_at is None
    ward.does(ward.partner, asked, "accept-cancellation")
    assert (stage(visit), again(loop).stage) == ("cancelled", "closed-patient-declined")


def test_what_ends_by_a_systems_yes_names_whoever_wanted_it(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    for step in ("accept", "start"):
        ward.does(ward.partner, fulfil, step)
    ward.does(ward.referrer, fulfil, "request-cancellation", reason="no-longer-needed")
    ward.does(ward.partner, ward.only(loop, "request-cancellation"), "accept-cancellation")
    assert ward.partner.display != ward.referrer.display
    assert (again(loop).acknowledged_by, again(loop).acknowledged_reason) == (ward.referrer.display, "no-longer-needed")


def test_a_superseded_visit_tells_its_performer_elsewhere_not_to_wait(ward: Ward) -> None:
    loop, visit = ward.sent("follow-up", performer="elsewhere")
    ward.does(ward.coordinator, visit, "supersede", reason="superseded")
    assert (stage(visit), store.get("Task", visit.id)["status"]) == ("superseded", "cancelled")
    assert ward.open_kinds(loop) == ["decide-next-step"]
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="superseded")
    ward.tell(loop)
    assert again(loop).stage == "cancelled"


@pytest.mark.parametrize("performer", ["clinic", "elsewhere"])
def test_after_every_attempt_for_a_missed_visit_the_referrer_may_redirect_keep_or_close(
    ward: Ward, performer: str
) -> None:
    loop, fulfil = missed(ward, performer=performer)
    give_up(ward, loop)
    offered = {one.action for one in workflow.available(ward.referrer, ward.only(loop, "decide-next-step"))}
    assert {"redirect", "keep", "close"} <= offered
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "keep")
    assert (stage(fulfil), ward.open_kinds(loop)) == ("no-show", ["fulfil"])


def test_closing_after_missed_visits_asks_the_performer_who_has_started(ward: Ward) -> None:
    loop, fulfil = missed(ward, performer="clinic")
    give_up(ward, loop)
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="lost-after-attempts")
    assert (ward.open_kinds(loop), again(loop).closed_at) == (["fulfil", "request-cancellation"], None)
    ward.does(ward.clinic, ward.only(loop, "request-cancellation"), "accept-cancellation")
    assert (stage(fulfil), again(loop).stage) == ("cancelled", "closed-lost-after-attempts")


def test_closing_after_a_missed_visit_of_our_own_ends_it_at_once(ward: Ward) -> None:
    loop, visit = ward.sent("follow-up", performer="practice")
    ward.does(ward.coordinator, ward.only(loop, "contact-patient"), "book", slot_end=MONDAY)
    ward.does(ward.coordinator, visit, "hold")
    workflow.perform(visit.id, "no-show", ward.coordinator, attested=True, data={"channel": "phone", "spoken_to": "Al"})
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="patient-declined")
    assert (stage(visit), again(loop).stage) == ("cancelled", "closed-patient-declined")


def test_redirecting_after_a_missed_visit_leaves_no_performer_in_the_dark(ward: Ward) -> None:
    loop, first = missed(ward, performer="clinic")
    ward.does(ward.coordinator, ward.only(loop, "contact-patient"), "patient-declines")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=ward.outside.pk)
    assert ward.open_kinds(loop) == ["fulfil", "fulfil", "request-cancellation"]
    second = Handoff.objects.get(loop=loop, kind="fulfil", owner=ward.outside)
    ward.does(ward.partner, second, "report", report="DocumentReference/1")
    ward.does(ward.clinic, ward.only(loop, "request-cancellation"), "accept-cancellation")
    assert (stage(first), ward.open_kinds(loop)) == (
        "cancelled",
        ["notify-patient", "review-report"],
    ), "the outcome is still to be read"


def test_several_missed_visits_count_their_attempts_anew(ward: Ward) -> None:
    loop, fulfil = missed(ward)
    for _ in range(3):
        ward.does(ward.coordinator, ward.only(loop, "contact-patient"), "attempt", channel="phone")
    ward.does(ward.clinic, fulfil, "rebook", slot_end=MONDAY + timedelta(days=3))
    assert ward.open_kinds(loop) == ["fulfil"]
    with clock.at(MONDAY + timedelta(days=3)):
        ward.does(ward.clinic, fulfil, "no-show")
    contact = ward.only(loop, "contact-patient")
    assert contact.attempts == 0
    with pytest.raises(Incorrect, match="too few attempts"):
        ward.does(ward.coordinator, contact, "give-up", reason="lost-after-attempts")


def test_what_has_been_seen_is_not_closed_however_plain_its_performers_status(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    told = {"channel": "phone", "spoken_to": "Ms Ray"}
    workflow.perform(fulfil.id, "seen", ward.coordinator, attested=True, data=told)
    ward.does(ward.coordinator, fulfil, "hold")
    assert Handoff.objects.get(pk=fulfil.pk).task_status == "requested"
    with pytest.raises(Incorrect, match="it has been started"):
        ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="no-longer-needed")


def asked(ward: Ward) -> tuple[Loop, Handoff, Handoff]:
    """A referral whose performer waits for an answer, and the question."""
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "receive")
    ward.does(ward.clinic, fulfil, "ask-information", question="Since when?")
    return loop, fulfil, ward.only(loop, "provide-information")


def test_a_question_that_nobody_can_answer_goes_back_to_its_performer_with_the_reason(ward: Ward) -> None:
    loop, fulfil, question = asked(ward)
    with clock.at(MONDAY + timedelta(days=1)):
        with pytest.raises(Incorrect):
            ward.does(ward.referrer, question, "leave-unanswered")
        ward.does(ward.referrer, question, "leave-unanswered", reason="not-known")
    fulfil = again_at(fulfil)
    assert (fulfil.stage, fulfil.reason_code, fulfil.paused_seconds) == ("in-triage", "not-known", None)
    assert ward.open_kinds(loop) == ["fulfil"]
    ended = Handoff.objects.get(pk=question.pk)
    assert (ended.stage, ended.task_status, ended.reason_code) == ("unanswered", "failed", "not-known")
    assert store.get("Task", fulfil.id)["statusReason"]["coding"][0]["code"] == "not-known"
    ward.does(ward.clinic, fulfil, "accept")
    assert (again_at(fulfil).reason_code, "statusReason" in store.get("Task", fulfil.id)) == ("", False)


def test_only_the_referrers_side_says_that_it_can_not_answer(ward: Ward) -> None:
    _loop, _fulfil, question = asked(ward)
    with pytest.raises(Forbidden):
        ward.does(ward.clinic, question, "leave-unanswered", reason="not-known")


def test_what_a_performer_was_asked_to_stop_goes_on_without_that_reason(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY + timedelta(days=1))
    ward.does(ward.referrer, fulfil, "request-cancellation", reason="no-longer-needed")
    assert again_at(fulfil).reason_code == "no-longer-needed"
    ward.does(ward.clinic, ward.only(loop, "request-cancellation"), "refuse-cancellation", reason="patient-insists")
    fulfil = again_at(fulfil)
    assert (fulfil.stage, fulfil.reason_code) == ("scheduled", "")
    assert "statusReason" not in store.get("Task", fulfil.id)


def again_at(handoff: Handoff) -> Handoff:
    return Handoff.objects.get(pk=handoff.pk)
