"""Appointments, visits and reports prove steps, if they name our order and are of its patient; nothing is guessed."""

from datetime import datetime
from typing import Any

import pytest

from records import access, clock, store
from records.errors import Incorrect
from records.json import Resource
from referrals import matching, workflow
from referrals.evidence import EVIDENCE
from referrals.models import Event, Handoff, Loop
from referrals.pathways import TRANSITIONS
from tests.referrals.exchange import (
    answer,
    appointment,
    concept,
    document,
    elsewhere,
    encounter,
    open_kinds,
    output,
    request,
    result,
    take,
    the,
    the_loop,
)
from tests.referrals.region import CARDIOLOGY, PRACTICE, Region
from tests.referrals.ward import hours

LAB = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
FOLLOW_UP = {"code": concept("390906007"), "performer": [{"reference": f"Organization/{PRACTICE}"}]}
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


def acknowledge(here: Region, loop: Loop, at: datetime) -> None:
    with clock.at(at):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True})


def close(here: Region, loop: Loop, at: datetime) -> None:
    acknowledge(here, loop, at)
    with clock.at(at):
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_every_row_of_the_table_names_an_action_of_the_pathway() -> None:
    known = {(row.handoff, row.action) for row in TRANSITIONS}
    kinds = {(row.action, kind) for row in TRANSITIONS if row.handoff == "fulfil" for kind in row.loop_kinds}
    for (_type, _status, kind), rule in EVIDENCE.items():
        assert {(rule.handoff, action) for action in (*rule.actions, *rule.via)} <= known
        assert rule.handoff != "fulfil" or {(action, kind) for action in rule.actions} <= kinds


def test_a_referral_from_booking_to_report(here: Region) -> None:
    loop = sent(here)
    booked = appointment("booked", hours(1))
    assert arrives(here, booked) == loop.id
    scheduled = the(loop, "fulfil")
    assert scheduled.stage == "scheduled"
    assert scheduled.due_at > datetime.fromisoformat(booked["end"])
    arrives(here, encounter(hours(80)))
    assert (stage(loop), the(loop, "fulfil").stage_since) == ("seen-awaiting-report", hours(80))
    note = document(hours(90), context={"related": [{"reference": "ServiceRequest/sr"}]})
    arrives(here, note)
    assert (stage(loop), open_kinds(loop)) == ("report-sent", ["review-report"])
    assert list(Event.objects.filter(loop=loop, actor_id=here.partner.id).values_list("action", "evidence")) == [
        ("book", "Appointment/visit"),
        ("seen", "Encounter/contact"),
        ("report", "DocumentReference/note"),
    ]


def test_evidence_leaves_the_performers_own_status_alone(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    assert store.get("Task", the(loop, "fulfil").id)["status"] == "requested"


def test_the_note_that_only_the_task_names_counts_whichever_comes_first(here: Region) -> None:
    loop = sent(here)
    fulfil = the(loop, "fulfil")
    completed = answer(fulfil, "completed", hours(3), output=output("DocumentReference/note"))
    assert arrives(here, document(hours(2))) is None
    arrives(here, completed)
    assert open_kinds(loop) == ["review-report"]
    other = request(key="sr-2")
    take(other, here.ehr)
    second = the_loop("sr-2")
    workflow.perform(the(second, "dispatch").id, "send", here.gp)
    completed = answer(the(second, "fulfil"), "completed", hours(3), output=output("DocumentReference/later"))
    arrives(here, completed)
    assert arrives(here, document(hours(2), id="later"), hours(4)) == second.id
    assert open_kinds(second) == ["review-report"]
    assert second.handoffs.filter(kind="review-report").count() == 1


def test_a_note_of_another_patient_in_the_output_is_a_persons_work_and_no_report(here: Region) -> None:
    loop = sent(here)
    arrives(here, document(hours(1), subject={"reference": "Patient/ben"}))
    arrives(here, answer(the(loop, "fulfil"), "completed", hours(2), output=output("DocumentReference/note")))
    assert open_kinds(loop) == ["fulfil"]
    held = Loop.objects.get(kind="unsolicited")
    assert (held.about, held.patient_id, open_kinds(held)) == ("DocumentReference/note", "", ["match-evidence"])


def test_the_referrer_may_read_the_report_and_the_results_that_it_lists(here: Region) -> None:
    loop = sent(here, **LAB)
    for key in ("hb", "unlisted"):
        value = {"resourceType": "Observation", "id": key, "status": "final", "code": {"text": "Hb"}}
        arrives(here, {**value, "subject": {"reference": "Patient/ana"}, "meta": {"lastUpdated": hours(4).isoformat()}})
    assert not access.visible(here.ehr, "Observation").exists()
    named = {"resourceType": "Observation", "id": "named", "status": "final", "code": {"text": "MCV"}}
    about = {"subject": {"reference": "Patient/ana"}, "basedOn": [{"reference": "ServiceRequest/sr"}]}
    arrives(here, {**named, **about, "meta": {"lastUpdated": hours(4).isoformat()}})
    arrives(here, result("final", hours(5), result=[{"reference": "Observation/hb"}]))
    assert sorted(access.visible(here.ehr, "Observation").values_list("pk", flat=True)) == ["hb", "named"]
    assert access.visible(here.ehr, "DiagnosticReport").get().pk == "result"
    assert access.visible(here.outsider, "DiagnosticReport").count() == 0
    assert (stage(loop), loop.patient_id) == ("final", "ana")


def test_the_referrer_may_read_the_note_that_only_the_task_names(here: Region) -> None:
    loop = sent(here)
    arrives(here, document(hours(1)))
    assert not access.visible(here.gp, "DocumentReference").exists()
    arrives(here, answer(the(loop, "fulfil"), "completed", hours(2), output=output("DocumentReference/note")))
    assert access.visible(here.gp, "DocumentReference").get().pk == "note"


def test_no_show_and_a_new_booking(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    arrives(here, appointment("noshow", hours(80)))
    assert (stage(loop), open_kinds(loop)) == ("no-show", ["contact-patient", "fulfil"])
    arrives(here, appointment("booked", hours(90), key="second"))
    assert (stage(loop), open_kinds(loop)) == ("scheduled", ["fulfil"])


def test_a_cancelled_visit_is_told_today_and_booked_again(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    why = {"coding": [{"code": "prov"}], "text": "Consultant ill"}
    arrives(here, appointment("cancelled", hours(20), cancelationReason=why))
    assert (stage(loop), open_kinds(loop)) == ("appointment-cancelled", ["fulfil", "notify-patient"])
    assert Event.objects.get(loop=loop, action="cancel-appointment").reason_text == "Consultant ill"


def test_an_appointment_moved_to_another_day_moves_the_clock(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    before = the(loop, "fulfil").due_at
    moved = appointment("booked", hours(200))
    arrives(here, moved)
    assert the(loop, "fulfil").due_at > before
    arrives(here, {**moved, "comment": "bring X-rays"}, hours(201))
    assert Event.objects.filter(loop=loop, action="rebook").count() == 1


def test_whether_the_patient_came_is_corrected_by_the_newest_word_of_the_same_visit(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    arrives(here, appointment("fulfilled", hours(80)))
    assert stage(loop) == "seen-awaiting-report"
    arrives(here, appointment("noshow", hours(81)))
    assert (stage(loop), open_kinds(loop)) == ("no-show", ["contact-patient", "fulfil"])
    arrives(here, appointment("fulfilled", hours(82)))
    assert (stage(loop), open_kinds(loop)) == ("seen-awaiting-report", ["fulfil"])
    arrives(here, appointment("noshow", hours(79)), hours(83))
    assert stage(loop) == "seen-awaiting-report", "what is older says nothing"


def test_a_missed_visit_does_not_undo_what_an_encounter_says(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    arrives(here, encounter(hours(80)))
    arrives(here, appointment("noshow", hours(81)))
    assert stage(loop) == "seen-awaiting-report"


@pytest.mark.parametrize(("order", "reached"), [(LAB, "specimen-collected"), (FOLLOW_UP, "done")])
def test_where_more_has_followed_on_a_visit_that_did_not_take_place_the_referrer_decides(
    here: Region, order: dict[str, Any], reached: str
) -> None:
    take(request(**order), here.ehr)
    loop = the_loop()
    for waiting in loop.handoffs.filter(kind="dispatch"):
        workflow.perform(waiting.id, "send", here.gp)
    sender = here.ehr if order is FOLLOW_UP else here.partner
    for status, at in (("booked", 1), ("fulfilled", 80), ("noshow", 81), ("noshow", 82)):
        with clock.at(hours(at)):
            take(appointment(status, hours(at)), sender)
    assert stage(loop) == reached
    assert open_kinds(loop).count("decide-next-step") == 1


def test_an_old_no_show_does_not_undo_a_newer_booking(here: Region) -> None:
    loop = sent(here)
    arrives(here, appointment("booked", hours(1)))
    arrives(here, appointment("booked", hours(90), key="second"))
    arrives(here, appointment("noshow", hours(80)), hours(100))
    assert stage(loop) == "scheduled"


def test_a_booking_that_comes_after_the_visit_changes_nothing(here: Region) -> None:
    loop = sent(here)
    arrives(here, encounter(hours(80)))
    arrives(here, appointment("booked", hours(1)), hours(100))
    assert stage(loop) == "seen-awaiting-report"


def test_a_test_order_from_collection_to_a_grave_result(here: Region) -> None:
    loop = sent(here, **LAB)
    specimen = {
        "resourceType": "Specimen",
        "id": "blood",
        "status": "available",
        "subject": {"reference": "Patient/ana"},
        "request": [{"reference": "ServiceRequest/sr"}],
        "meta": {"lastUpdated": hours(2).isoformat()},
    }
    arrives(here, specimen)
    assert stage(loop) == "specimen-collected"
    arrives(here, result("registered", hours(3)))
    assert stage(loop) == "in-lab"
    arrives(here, result("preliminary", hours(4)))
    assert (stage(loop), open_kinds(loop)) == ("preliminary", ["fulfil"])
    grave = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "Hb"},
        "interpretation": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "LL"}]}
        ],
    }
    arrives(here, result("final", hours(5), contained=[grave], result=[{"reference": "#o"}]))
    assert (stage(loop), open_kinds(loop)) == ("final", ["review-report"])
    assert Event.objects.get(loop=loop, action="result").details["severity"] == "critical"


def test_a_follow_up_visit_and_its_note(here: Region) -> None:
    loop = sent(here, **FOLLOW_UP)
    with clock.at(hours(1)):
        take(appointment("booked", hours(1)), here.ehr)
    assert (stage(loop), open_kinds(loop)) == ("booked", ["fulfil"])
    with clock.at(hours(80)):
        take(encounter(hours(80)), here.ehr)
    assert (stage(loop), open_kinds(loop)) == ("done", ["review-report"])
    with clock.at(hours(81)):
        take(document(hours(81), context={"related": [{"reference": "ServiceRequest/sr"}]}), here.ehr)
    assert (open_kinds(loop), the(loop, "review-report").focus) == (["review-report"], "DocumentReference/note")


@pytest.mark.parametrize("number", ["4711", "4712", "0000"])
def test_an_identifier_with_its_system_says_who_the_patient_is(here: Region, number: str) -> None:
    loop = sent(here)
    arrives(here, elsewhere(appointment("booked", hours(1)), number))
    is_ana = number == "4711"
    assert (stage(loop) == "scheduled") is is_ana
    assert Loop.objects.filter(kind="unsolicited").exists() is not is_ana


def test_a_request_that_matches_with_another_patient_stands_in_nobodys_timeline(here: Region) -> None:
    loop = sent(here, **LAB)
    wrong = result("final", hours(5), subject={"reference": "Patient/ben"})
    arrives(here, wrong)
    arrives(here, {**wrong, "conclusion": "again"}, hours(6))
    held = Loop.objects.get(kind="unsolicited")
    assert (held.patient_id, held.accountable, stage(loop)) == ("", here.pool.owner, "ordered")
    found = matching.candidates(the(held, "match-evidence"))
    assert [one.loop.id for one in found] == [loop.id]
    assert "it names this order" in [str(reason) for reason in found[0].reasons]


def test_a_result_that_names_nothing_waits_for_a_person_who_matches_it(here: Region) -> None:
    loop = sent(here, **LAB)
    stray = {name: value for name, value in result("final", hours(5)).items() if name != "basedOn"}
    with clock.at(hours(5)):
        take(stray, here.ehr)
    held = Loop.objects.get(kind="unsolicited")
    assert (open_kinds(held), held.about) == (["match-evidence"], "DiagnosticReport/result")
    waiting = the(held, "match-evidence")
    assert matching.candidates(waiting)[0].loop == loop
    with clock.at(hours(6)):
        workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
    assert Loop.objects.get(pk=held.pk).stage == "matched"
    assert (stage(loop), open_kinds(loop)) == ("final", ["review-report"])
    with clock.at(hours(7)):
        take({**stray, "status": "amended", "conclusion": "else"}, here.ehr)
    assert loop.handoffs.filter(kind="review-report").count() == 2


def test_candidates_are_ranked_by_what_speaks_for_them_and_none_is_chosen(here: Region) -> None:
    number = {"system": "https://practice.example/orders", "value": "A-17"}
    sent(here, **LAB)
    code = concept("58410-2", system="http://loinc.org")
    take(request("same-test", **{**LAB, "code": code}), here.ehr)
    take(request("numbered", **LAB, identifier=[number], subject={"reference": "Patient/ben"}), here.ehr)
    take(request("other", **LAB, subject={"reference": "Patient/ben"}), here.ehr)
    told = {name: value for name, value in result("final", hours(5)).items() if name != "basedOn"}
    stray = {**told, "identifier": [number], "performer": [{"reference": f"Organization/{CARDIOLOGY}"}]}
    with clock.at(hours(5)):
        take(stray, here.ehr)
        waiting = the(Loop.objects.get(kind="unsolicited"), "match-evidence")
        found = matching.candidates(waiting)
    assert [one.loop.request_id for one in found] == ["same-test", "numbered", "sr"]
    assert [str(words) for words in found[0].reasons][:3] == ["same patient", "same test", "same performer"]
    assert str(found[1].reasons[0]) == "same order number"
    assert {"done after it was ordered", "still open"} <= {str(words) for words in found[2].reasons}
    assert waiting.is_open


def test_it_is_matched_only_to_an_order_of_the_same_organisation(here: Region) -> None:
    stray = {name: value for name, value in result("final", hours(5)).items() if name != "basedOn"}
    with clock.at(hours(5)):
        take(stray, here.ehr)
    waiting = the(Loop.objects.get(kind="unsolicited"), "match-evidence")
    with pytest.raises(Incorrect):
        workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/none"})
    assert Handoff.objects.get(pk=waiting.pk).is_open


@pytest.mark.parametrize(
    "elements",
    [
        {"issued": "2019-01-01T00:00:00Z"},
        {"status": "preliminary"},
        {"resourceType": "Observation"},
    ],
)
def test_history_and_half_finished_reports_wake_nobody(here: Region, elements: dict[str, str]) -> None:
    stray = {name: value for name, value in result("final", hours(5)).items() if name != "basedOn"}
    with clock.at(hours(5)):
        take({**stray, **elements}, here.ehr)
    assert Loop.objects.count() == 0


def test_an_outsider_who_names_our_order_moves_nothing_and_learns_nothing(here: Region) -> None:
    loop = sent(here)
    with clock.at(hours(1)):
        assert take(appointment("booked", hours(1)), here.outsider).loop_id is None
    assert stage(loop) == "sent"


def test_what_an_ehr_sends_twice_is_there_once(here: Region) -> None:
    loop = sent(here, **LAB)
    for _ in range(3):
        arrives(here, result("final", hours(5)), hours(6))
    assert loop.handoffs.filter(kind="review-report").count() == 1
    assert Event.objects.filter(loop=loop, action="result").count() == 1
    assert store.read("DiagnosticReport", "result").version == 1
