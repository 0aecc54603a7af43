"""The ways of the three kinds through their loops, told from the order to the end."""

from datetime import UTC, datetime, timedelta

import pytest

from records import clock, store
from records.access import SYSTEM
from records.errors import Forbidden, Incorrect, NotFound, Stale
from referrals import people, workflow, worklists
from referrals.models import Event, Handoff, Loop
from tests.referrals.ward import MONDAY, Ward


def test_a_referral_goes_from_order_to_closed(ward: Ward) -> None:
    loop = ward.order()
    assert ward.open_kinds(loop) == ["dispatch"]
    workflow.perform(ward.only(loop, "dispatch").id, "send", ward.referrer)
    fulfil = ward.only(loop, "fulfil")
    for action, data in (
        ("receive", {}),
        ("accept", {}),
        ("book", {"slot_end": MONDAY + timedelta(days=10)}),
        ("seen", {}),
    ):
        ward.does(ward.clinic, fulfil, action, **data)
    ward.report(fulfil)
    loop.refresh_from_db()
    assert (loop.stage, ward.open_kinds(loop)) == ("report-received", ["review-report"])
    ward.acknowledge(loop)
    loop.refresh_from_db()
    assert (loop.stage, ward.open_kinds(loop)) == ("plan-to-patient", ["notify-patient"])
    ward.tell(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.acknowledged_by, loop.told_by) == ("closed", "Referrer", "Coordinator")
    assert [event.action for event in loop.events.order_by("id")] == [
        *("open", "send", "receive", "accept", "book", "seen", "report", "acknowledge", "tell"),
    ]
    assert store.get("Task", loop.id)["status"] == "completed"
    assert store.get("Task", fulfil.id)["output"]


def test_a_decline_is_never_an_end(ward: Ward) -> None:
    loop, fulfil = ward.sent(needed_by=MONDAY + timedelta(days=30))
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Fully booked until autumn")
    loop.refresh_from_db()
    assert ward.open_kinds(loop) == ["decide-next-step", "notify-patient"]
    assert loop.stage == "waiting-partner"
    assert ward.only(loop, "notify-patient").due_at == datetime(2026, 3, 3, tzinfo=UTC), "the same day"
    outcome = ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=ward.outside.pk)
    again = outcome.opened[0]
    loop.refresh_from_db()
    assert (again.loop_id, again.stage, again.needed_by) == (loop.id, "sent", MONDAY + timedelta(days=30))
    assert (loop.ordered_at, loop.performer) == (MONDAY, "elsewhere"), "redirect keeps the clock of the order"
    assert again.list == ward.practice_pool, "an outside owner's work stands on the accountable pool's list"


@pytest.mark.parametrize(
    "performer",
    [
        *("Organization/nowhere", "Organization/", "Organization/elsewhere/_history/1", "Practitioner/none"),
        *("Patient/pat", "PractitionerRole/nothing-more", "0", "nobody", 10**30, "9" * 5_000),
    ],
)
def test_nothing_is_sent_to_somebody_who_is_not_in_the_directory(ward: Ward, performer: int | str) -> None:
    store.write({"resourceType": "PractitionerRole", "id": "nothing-more"}, actor=SYSTEM)
    refuse_performer(ward, performer)


def test_nothing_is_sent_to_a_deleted_organisation_or_by_number_to_a_person_of_another(ward: Ward) -> None:
    store.delete("Organization", "elsewhere", actor=SYSTEM)
    refuse_performer(ward, ward.outside.pk)
    store.write({"resourceType": "Practitioner", "id": "consultant"}, actor=SYSTEM)
    refuse_performer(ward, people.owner_for("person", "consultant", organization="clinic").pk)


def refuse_performer(ward: Ward, performer: int | str) -> None:
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.referrer, ward.only(ward.order(), "dispatch"), "send", performer=performer)
    assert [issue.expression for issue in refused.value.issues] == ["performer"]


def test_the_referrer_ends_a_declined_referral_and_the_patient_must_still_be_told(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "decline", reason="not-indicated", reason_text="Treat at home")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="no-longer-needed")
    loop.refresh_from_db()
    assert (loop.closed_at, ward.open_kinds(loop)) == (None, ["notify-patient"])
    ward.tell(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.acknowledged_reason) == ("cancelled", "no-longer-needed")


def test_an_urgent_end_needs_a_second_person(ward: Ward) -> None:
    loop, fulfil = ward.sent(priority="urgent")
    ward.does(ward.clinic, fulfil, "fail", reason="unable")
    decide = ward.only(loop, "decide-next-step")
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.referrer, decide, "close", reason="patient-declined")
    assert [issue.expression for issue in refused.value.issues] == ["second_person"]
    ward.does(ward.referrer, decide, "close", reason="patient-declined", second_person="Practitioner/boss")
    loop.refresh_from_db()
    assert (loop.stage, loop.told_reason) == ("closed-patient-declined", "patient-declined")


def test_a_missed_visit_is_followed_up_by_the_pool(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY)
    ward.does(ward.clinic, fulfil, "no-show")
    contact = ward.only(loop, "contact-patient")
    with pytest.raises(Incorrect, match="too few attempts"):
        ward.does(ward.coordinator, contact, "give-up", reason="no-contact-details")
    for _ in range(3):
        ward.does(ward.coordinator, contact, "attempt", channel="phone")
    ward.does(ward.coordinator, contact, "give-up", reason="lost-after-attempts")
    assert ward.open_kinds(loop) == ["decide-next-step", "fulfil"]


def test_a_question_stops_the_clock_of_the_performer_and_the_answer_lets_it_run_on(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "receive")
    with clock.at(MONDAY + timedelta(days=2)):
        ward.does(ward.clinic, fulfil, "ask-information", question="Which medication?")
    with clock.at(MONDAY + timedelta(days=3)):
        ward.does(ward.referrer, ward.only(loop, "provide-information"), "answer", answer="None")
    fulfil.refresh_from_db()
    assert (fulfil.stage, fulfil.due_at) == ("in-triage", MONDAY + timedelta(days=8))


def test_a_report_amended_before_the_end_is_reviewed_again_in_the_same_loop(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r", severity="abnormal")
    ward.acknowledge(loop)
    with clock.at(MONDAY + timedelta(days=1)):
        ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/r", state="corrected", severity="critical")
    loop.refresh_from_db()
    assert (loop.acknowledged_by, ward.open_kinds(loop)) == ("", ["notify-patient", "review-report"])
    assert ward.only(loop, "review-report").due_at == MONDAY + timedelta(days=2)
    ward.acknowledge(loop)
    ward.tell(loop)
    loop.refresh_from_db()
    assert loop.stage == "closed"


def test_another_report_is_reviewed_beside_the_one_that_nobody_has_read_yet(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/potassium", severity="critical")
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/ferritin", state="final")
    reviews = {one.focus: one for one in Handoff.objects.filter(loop=loop, kind="review-report", closed_at=None)}
    assert sorted(reviews) == ["DiagnosticReport/ferritin", "DiagnosticReport/potassium"]
    read = {"plan": "Continue.", "question_answered": True}
    ward.does(ward.referrer, reviews["DiagnosticReport/ferritin"], "acknowledge", **read)
    ward.tell(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.acknowledged_by, loop.told_by) == ("report-received", "", ""), "one is still unread"
    ward.does(ward.referrer, reviews["DiagnosticReport/potassium"], "acknowledge", **read)
    ward.tell(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.acknowledged_by, loop.told_by) == ("closed", "Referrer", "Coordinator")


def test_what_the_patient_was_told_before_a_correction_was_read_does_not_count(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r")
    ward.acknowledge(loop)
    ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/r", state="corrected", severity="critical")
    ward.tell(loop)
    ward.acknowledge(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.told_by, ward.open_kinds(loop)) == ("plan-to-patient", "", ["notify-patient"])
    ward.tell(loop)
    loop.refresh_from_db()
    assert loop.stage == "closed"


def test_a_patient_told_of_a_decline_is_still_told_of_the_outcome(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=ward.outside.pk)
    ward.does(ward.partner, ward.only(loop, "fulfil"), "result", report="DiagnosticReport/r")
    ward.tell(loop)
    ward.acknowledge(loop)
    loop.refresh_from_db()
    assert (loop.told_by, ward.open_kinds(loop)) == ("", ["notify-patient"])


def test_a_report_amended_after_the_end_opens_a_new_loop_based_on_the_old_one(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r")
    ward.acknowledge(loop)
    ward.tell(loop)
    with clock.at(MONDAY + timedelta(days=40)):
        outcome = ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/r", state="corrected")
        again = ward.does(ward.clinic, fulfil, "amend", report="DiagnosticReport/r", state="amended")
    loop.refresh_from_db()
    assert loop.stage == "closed", "a loop never leaves its end"
    assert outcome.loop.based_on_id == loop.id
    assert again.loop.id == outcome.loop.id, "while that is open, what comes again comes into it"
    assert ward.open_kinds(outcome.loop) == ["notify-patient", "review-report"], "who was told is told again"
    (first, _second) = worklists.loop_view(ward.coordinator, outcome.loop.id, MONDAY).events
    assert (first.action, first.from_stage, first.to_stage) == ("amend", "", "report to be reviewed")
    ward.acknowledge(outcome.loop)
    ward.tell(outcome.loop)
    assert Loop.objects.get(pk=outcome.loop.pk).stage == "closed"


def test_a_follow_up_begins_with_the_contact_and_ends_with_the_patient_told(ward: Ward) -> None:
    window = {"window_start_at": MONDAY + timedelta(days=7), "needed_by": MONDAY + timedelta(days=21)}
    loop, visit = ward.sent("follow-up", performer="practice", **window)
    assert ward.open_kinds(loop) == ["contact-patient", "fulfil"]
    assert (visit.stage, visit.due_at) == ("planned", window["needed_by"])
    assert ward.only(loop, "contact-patient").due_at == MONDAY + timedelta(days=9), "two working days into the window"
    ward.does(
        ward.coordinator, ward.only(loop, "contact-patient"), "book", slot_end=MONDAY + timedelta(days=10, hours=1)
    )
    visit.refresh_from_db()
    assert (visit.stage, visit.due_at) == ("booked", MONDAY + timedelta(days=11, hours=1))
    ward.does(ward.coordinator, visit, "complete")
    ward.acknowledge(loop)
    ward.does(ward.coordinator, ward.only(loop, "notify-patient"), "tell", channel="at-visit")
    loop.refresh_from_db()
    assert loop.stage == "closed"


def test_an_unsatisfactory_specimen_is_collected_again(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "collect")
    ward.does(ward.clinic, fulfil, "reject-specimen", reason="specimen-unsatisfactory")
    assert ward.open_kinds(loop) == ["decide-next-step", "recollect"]
    ward.does(ward.clinic, ward.only(loop, "recollect"), "recollected")
    assert ward.open_kinds(loop) == ["fulfil"], "the recorded recollection is the decision"
    assert ward.only(loop, "fulfil").stage == "specimen-collected"


def test_a_referrer_withdraws_before_sending(ward: Ward) -> None:
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "withdraw", reason="ordered-in-error")
    loop.refresh_from_db()
    assert (loop.stage, loop.closed_by) == ("entered-in-error", "Referrer")


def test_what_has_started_can_only_be_asked_back(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY)
    with pytest.raises(Incorrect, match="request-cancellation"):
        ward.does(ward.referrer, fulfil, "cancel", reason="withdrawn")
    ward.does(ward.referrer, fulfil, "request-cancellation", reason="done-elsewhere")
    ward.does(ward.clinic, ward.only(loop, "request-cancellation"), "accept-cancellation")
    loop.refresh_from_db()
    assert (ward.open_kinds(loop), loop.end_reason) == (["notify-patient"], "done-elsewhere")
    ward.tell(loop)
    loop.refresh_from_db()
    assert loop.stage == "cancelled"


def test_only_the_performer_loop_ends_when_the_performer_has_answered(ward: Ward) -> None:
    loop, fulfil = ward.sent(placer="elsewhere", answer_only=True, is_sent=True)
    ward.report(fulfil)
    loop.refresh_from_db()
    assert loop.stage == "answered"


def test_one_thing_to_mend_is_a_loop_of_its_own(ward: Ward) -> None:
    loop = workflow.open_handoff_loop(
        "upkeep",
        "mend-exchange",
        about="Link/7",
        accountable_pool=ward.practice_pool,
        actor=ward.partner,
        priority="stat",
    )
    mend = ward.only(loop, "mend-exchange")
    assert mend.due_at == MONDAY + timedelta(hours=4)
    ward.does(ward.coordinator, mend, "discard", reason="not-worth-sending")
    loop.refresh_from_db()
    assert loop.stage == "settled"


def test_a_refusal_says_what_is_possible_and_changes_nothing(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    before = (Handoff.objects.values_list().get(pk=fulfil.pk), Event.objects.count())
    with pytest.raises(Incorrect, match=r"Possible now: .*accept.*decline"):
        ward.does(ward.clinic, fulfil, "interim-report", report="DocumentReference/1")
    with pytest.raises(Forbidden, match=r"Possible now: .*cancel"):
        ward.does(ward.referrer, fulfil, "accept")
    with pytest.raises(Stale):
        workflow.perform(fulfil.id, "accept", ward.clinic, version=7)
    with pytest.raises(NotFound):
        ward.does(ward.stranger, fulfil, "accept")
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.clinic, fulfil, "decline", reason="nonsense", colour="red")
    assert {issue.expression for issue in refused.value.issues} == {"reason", "reason_text", "colour"}
    assert (Handoff.objects.values_list().get(pk=fulfil.pk), Event.objects.count()) == before
    assert ward.open_kinds(loop) == ["fulfil"]


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+02:00"])
def test_an_appointment_beyond_every_calendar_is_refused_by_its_field(ward: Ward, end: str) -> None:
    _loop, fulfil = ward.sent()
    with pytest.raises(Incorrect) as refused:
        ward.does(ward.clinic, fulfil, "book", slot_end=end)
    assert [issue.expression for issue in refused.value.issues] == ["slot_end"]


def test_an_order_from_the_beginning_of_time_for_its_end_has_clocks(ward: Ward) -> None:
    ends = {"ordered_at": datetime.min.replace(tzinfo=UTC), "needed_by": datetime.max.replace(tzinfo=UTC)}
    assert ward.only(ward.order("test-order", **ends), "dispatch").due_at < MONDAY
    visit = ward.sent("follow-up", window_start_at=datetime.max.replace(tzinfo=UTC), **ends)[1]
    assert visit.due_at > MONDAY


def test_a_time_is_limited_to_between_the_order_and_now(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    early = workflow.perform(fulfil.id, "receive", ward.clinic, at=MONDAY - timedelta(days=9)).event
    late = workflow.perform(fulfil.id, "accept", ward.clinic, at=MONDAY + timedelta(days=9)).event
    assert (early.at, late.at) == (MONDAY, MONDAY)


def test_a_coordinator_enters_what_a_performer_without_an_ehr_has_said(ward: Ward) -> None:
    loop = ward.order(performer="elsewhere")
    workflow.perform(ward.only(loop, "dispatch").id, "send", ward.referrer)
    fulfil = ward.only(loop, "fulfil")
    offers = {offer.action: offer for offer in workflow.available(ward.coordinator, fulfil)}
    assert offers["accept"].attested
    assert "spoken_to" in {field.name for field in offers["accept"].fields}
    outcome = workflow.perform(
        fulfil.id, "accept", ward.coordinator, attested=True, data={"channel": "phone", "spoken_to": "Ms Ray"}
    )
    assert (outcome.handoff.stage, outcome.event.attested) == ("awaiting-booking", True)
    assert store.get("Task", fulfil.id)["status"] == "requested", "the performer's own word stays"
