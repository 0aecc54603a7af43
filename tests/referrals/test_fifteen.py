"""The fifteen things that no other system or guide does (PATHWAYS §8), each told once, from end to end, with real rows.

The details of each have stories in files of their own.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge.connecting import partners
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import ageing
from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import BatonError, Conflict
from records.types import row_class
from referrals import escalation, intake, leaving, people, workflow, worklists
from referrals.models import Absence, Event, Handoff, Loop
from referrals.upheavals import silence
from referrals.worklists import Filters, Row
from tests.fhir_bridge.story import HOSPITAL, build, promise
from tests.referrals.exchange import answer, appointment
from tests.referrals.staff import hire, review_for, sees
from tests.referrals.ward import MONDAY, Ward

TOLD = {"channel": "phone", "spoken_to": "Ms Ray"}
LATER = MONDAY + timedelta(days=400)


def listed(organization: str, now: datetime, **filters: Any) -> list[Row]:
    """Everything that stands on the lists of one organisation."""
    everybody = Actor(id="client:all", kind="client", display="All", organization=organization)
    return worklists.rows(everybody, Filters(scope="organisation", **filters), now=now, limit=200).rows


def test_1_every_open_handoff_has_one_owner_and_stands_on_exactly_one_list(ward: Ward) -> None:
    _here, fulfil = ward.sent()
    ward.sent("test-order", performer="elsewhere")
    ward.order("follow-up", performer="practice")
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
    rows = [row for house in ("practice", "clinic") for row in listed(house, MONDAY)]
    owned = {row.handoff_id: row.list_name for row in rows if row.list_name.startswith(("Practice", "Clinic"))}
    assert set(owned) == set(Handoff.objects.filter(closed_at=None).values_list("id", flat=True))
    assert max(Counter((row.handoff_id, row.list_id) for row in rows).values()) == 1
    assert Handoff.objects.filter(list__internal=False).count() == 0
    with pytest.raises(IntegrityError, match="list_id"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE referrals_handoff SET list_id = NULL")


def test_2_what_is_overdue_never_disappears(ward: Ward) -> None:
    ward.sent()
    ward.sent("test-order", performer="elsewhere")
    before = list(Handoff.objects.order_by("id").values_list("stage", "owner", "due_at", "closed_at", "task_status"))
    escalation.sweep(LATER)
    after = list(Handoff.objects.order_by("id").values_list("stage", "owner", "due_at", "closed_at", "task_status"))
    assert after == before, "after a year and without anybody it is still there, as it was"
    overdue = {row.handoff_id for house in ("practice", "clinic") for row in listed(house, LATER, label="overdue")}
    assert overdue == set(Handoff.objects.filter(closed_at=None).values_list("id", flat=True))


def test_3_viewed_is_not_acknowledged_and_acknowledged_is_not_acted_on(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.report(fulfil)
    loop.refresh_from_db()
    version = loop.version
    for _time in range(3):
        worklists.loop_view(ward.referrer, loop.id, MONDAY)
        worklists.rows(ward.referrer, Filters(scope="organisation"), now=MONDAY)
    loop.refresh_from_db()
    seen = (ward.open_kinds(loop), loop.acknowledged_by, loop.version)
    assert seen == (["review-report"], "", version), "to look at it ends nothing and reads nothing"
    ward.acknowledge(loop)
    loop.refresh_from_db()
    assert (ward.open_kinds(loop), loop.closed_at) == (["notify-patient"], None), "to acknowledge it acts on nothing"
    assert (loop.acknowledged_by, loop.told_by) == ("Referrer", ""), "and tells nobody"


def test_4_a_leaver_and_an_absent_one_strand_no_work(ward: Ward) -> None:
    ana, ben = (hire(name, "practitioner", pool=ward.practice_pool) for name in ("ana", "ben"))
    loop, review = review_for(ward, ana)
    week = {"starts_at": MONDAY, "ends_at": MONDAY + timedelta(days=7)}
    Absence.objects.create(owner=ana.owner, surrogate=ben.owner, **week)
    assert sees(ben.actor, review, MONDAY + timedelta(hours=1)) is not None, (
        "the surrogate sees it from the first moment"
    )
    assert ward.only(loop, "review-report").owner == ana.owner, "and nothing has changed hands"
    with pytest.raises(Conflict) as refused:
        leaving.leave(ana.user, "practice", ward.boss)
    assert any(review.id in issue.expression for issue in refused.value.issues), "what is theirs is listed"
    workflow.perform(review.id, "reassign", ana.actor, data={"owner": "Practitioner/ben"})
    workflow.perform(review.id, "transfer", ward.boss, data={"responsible": "Practitioner/ben"})
    leaving.leave(ana.user, "practice", ward.boss)
    assert ward.only(loop, "review-report").owner == ben.owner


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("decline", {"reason": "no-capacity", "reason_text": "Full"}),
        ("fail", {"reason": "lost-contact"}),
        ("call-off", {"reason": "cancelled-by-provider"}),
    ],
)
def test_5_no_rejection_is_an_end(ward: Ward, action: str, data: dict[str, str]) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, action, **data)
    loop.refresh_from_db()
    assert loop.closed_at is None
    decide = ward.only(loop, "decide-next-step")
    assert {"redirect", "close"} <= {one.action for one in workflow.available(ward.referrer, decide)}
    assert "close" not in {one.action for one in workflow.available(ward.clinic, decide)}, "the referrer's, not theirs"


def test_6_a_redirect_keeps_the_first_clock(ward: Ward) -> None:
    needed_by = MONDAY + timedelta(days=30)
    loop, fulfil = ward.sent(needed_by=needed_by)
    with clock.at(MONDAY + timedelta(days=20)):
        ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
        ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=ward.outside.pk)
    loop.refresh_from_db()
    again = ward.only(loop, "fulfil")
    assert (loop.ordered_at, loop.needed_by, again.needed_by) == (MONDAY, needed_by, needed_by)
    task = store.get("Task", again.id)
    assert datetime.fromisoformat(task["restriction"]["period"]["end"]) == needed_by, "the new performer is told so"
    with clock.at(MONDAY + timedelta(days=21)):
        workflow.perform(again.id, "accept", ward.coordinator, attested=True, data=TOLD)
        slot = {"slot_end": MONDAY + timedelta(days=29)}
        workflow.perform(again.id, "book", ward.coordinator, attested=True, data=TOLD | slot)
    late = {row.handoff_id for row in listed("practice", MONDAY + timedelta(days=22), label="late-booking")}
    assert late == {again.id}, "nine days after the redirect, but four weeks after the order"


def test_7_accepted_but_not_booked_is_told_to_owner_pool_and_supervisor_once_each(ward: Ward) -> None:
    _loop, fulfil = ward.sent(performer="practice", priority="urgent")
    dana = hire("dana", "coordinator")
    ward.does(ward.coordinator, fulfil, "claim", claimant="Practitioner/dana")
    ward.does(dana.actor, fulfil, "accept")
    fulfil.refresh_from_db()
    assert fulfil.due_at == MONDAY + timedelta(days=3), "three business days"
    assert "overdue" not in _labels(fulfil, fulfil.due_at)
    assert "overdue" in _labels(fulfil, fulfil.due_at + timedelta(minutes=1))
    expected = [(-1, 0), (0, 1), (1, 1), (3, 1), (4, 2), (23, 2), (24, 3), (48, 3), (900, 3)]
    for hours, level in expected:
        escalation.sweep(fulfil.due_at + timedelta(hours=hours))
        assert fulfil.escalations.count() == level, f"{hours} hours after it was due"
    heard = fulfil.escalations.order_by("level").values_list("level", "owner__name")
    assert list(heard) == [(1, "Dr Dana"), (2, ward.practice_pool.name), (3, "Dr Boss")]
    for who, level in ((dana.actor, 1), (ward.coordinator, 2), (ward.boss, 3)):
        mine = [one.id for one in escalation.waiting(who) if one.level == level]
        escalation.displayed(who, mine)
        shown = fulfil.escalations.get(level=level)
        assert (shown.delivered_at is not None, shown.channel) == (True, "app"), "its delivery is recorded"


def _labels(handoff: Handoff, now: datetime) -> frozenset[str]:
    return next(row.labels for row in listed("practice", now) if row.handoff_id == handoff.id)


def test_8_a_result_amended_after_the_review_comes_back_to_the_clinician_and_the_patient(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r", severity="normal")
    ward.acknowledge(loop)
    ward.tell(loop)
    changed = {"report": "DiagnosticReport/r", "state": "amended", "severity": "critical"}
    later = ward.does(ward.clinic, fulfil, "amend", **changed).loop
    loop.refresh_from_db()
    assert loop.stage == "closed", "an end is an end"
    assert (later.based_on_id, ward.open_kinds(later)) == (loop.id, ["notify-patient", "review-report"])
    ward.tell(later)
    assert ward.open_kinds(later) == ["review-report"], "told before it was read: not yet the end"
    other, second = ward.sent("test-order")
    ward.does(ward.clinic, second, "result", report="DiagnosticReport/s", severity="normal")
    ward.acknowledge(other)
    ward.does(ward.clinic, second, "amend", **changed | {"report": "DiagnosticReport/s"})
    other.refresh_from_db()
    assert ward.open_kinds(other) == ["notify-patient", "review-report"]
    assert other.acknowledged_by == "", "what was read is not what it says now"


@pytest.mark.parametrize("kind", ["referral", "test-order", "follow-up"])
def test_9_what_was_ordered_and_never_performed_is_found(ward: Ward, kind: str) -> None:
    facts = {"window_start_at": MONDAY, "needed_by": MONDAY + timedelta(days=14)} if kind == "follow-up" else {}
    loop, fulfil = ward.sent(kind, performer="elsewhere", **facts)
    unsent = ward.order() if kind != "follow-up" else loop
    chased = {row.handoff_id for row in listed("practice", LATER, label="chase")}
    assert fulfil.id in chased, "nobody has said anything, so we ask"
    overdue = {row.loop_id for row in listed("practice", LATER, label="overdue")}
    assert {loop.id, unsent.id} <= overdue


def test_10_the_staff_tell_the_patient_of_a_rejection_on_the_same_day(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
    tell = ward.only(loop, "notify-patient")
    assert (tell.stage, tell.owner) == ("to-tell-today", ward.practice_pool)
    assert tell.due_at == datetime(2026, 3, 3, tzinfo=UTC), "by the end of today"
    _other, booked = ward.sent()
    ward.does(ward.clinic, booked, "book", slot_end=MONDAY + timedelta(days=3))
    ward.does(ward.clinic, booked, "cancel-appointment", reason="cancelled-by-provider")
    assert ward.only(booked.loop, "notify-patient").due_at == datetime(2026, 3, 3, tzinfo=UTC)


def test_11_a_loop_closes_only_when_the_report_is_acknowledged_and_the_patient_told(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.report(fulfil)
    with pytest.raises(BatonError):
        ward.does(ward.clinic, ward.only(loop, "review-report"), "acknowledge", plan="Fine", question_answered=True)
    ward.acknowledge(loop)
    loop.refresh_from_db()
    assert loop.closed_at is None
    ward.tell(loop)
    loop.refresh_from_db()
    assert (loop.stage, loop.acknowledged_by, loop.told_by) == ("closed", "Referrer", "Coordinator")
    open_one = ward.order()
    with pytest.raises(IntegrityError, match="law_4"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE referrals_loop SET closed_at = now(), closed_by = 'x', stage = 'closed' WHERE id = %s",
            [open_one.id],
        )


def hear_from_elsewhere(ward: Ward, at: datetime) -> None:
    pool, window = ward.practice_pool, timedelta(hours=1)
    silence.heard("ehr", "elsewhere", at, silent_after=window, pool=pool, name="Elsewhere")


def test_12_a_partners_silence_is_an_alarm(ward: Ward) -> None:
    _loop, fulfil = ward.sent(performer="elsewhere")
    hear_from_elsewhere(ward, MONDAY)
    late = MONDAY + timedelta(hours=2)
    assert [row.handoff_id for row in listed("practice", late, label="status-unknown")] == [fulfil.id]
    assert (silence.sweep(late), silence.sweep(late)) == (1, 0)
    told = Loop.objects.get(kind="upkeep")
    assert (ward.only(told, "mend-exchange").list, told.about) == (ward.practice_pool, "Organization/elsewhere")
    assert listed("practice", late, label="overdue") == [], "before anything is overdue"
    hear_from_elsewhere(ward, late)
    assert listed("practice", late, label="status-unknown") == []
    assert listed("practice", late + timedelta(hours=2), label="status-unknown") != []


@pytest.mark.django_db
def test_12_retries_beyond_their_age_limit_are_visible_work() -> None:
    """The bridge tries on by itself; from an hour on somebody has it on their list, with a due time, until it arrives."""
    story = build("fifteen")
    with FakeEhr() as ehr:
        hospital = partners.add("Hospital", ehr.base_url, organization=HOSPITAL, steward_pool=story.pool)
        promise(hospital)
        now = clock.now()
        with clock.at(now):
            story.refer()
        with ehr.refusing(Answer(503), "POST", "Task"):
            for minutes, lists in (
                (0, []),
                (30, []),
                (61, ["Practice – coordination"]),
                (90, ["Practice – coordination"]),
            ):
                at = now + timedelta(minutes=minutes)
                with clock.at(at):
                    pushing.run_once(hospital)
                ageing.sweep(at)
                assert [row.list_name for row in listed("practice", at, handoff="mend-exchange")] == lists
        later = now + timedelta(days=3)
        assert listed("practice", later, handoff="mend-exchange", label="overdue"), "like any other work"
        with clock.at(later):
            pushing.run_once(hospital)
        assert ehr.all("Task")
        assert listed("practice", later, handoff="mend-exchange") == []


def test_13_late_and_duplicate_updates_never_undo_newer_ones(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    hour = timedelta(hours=1)
    with clock.at(MONDAY + 5 * hour):
        newer = answer(fulfil, "accepted", MONDAY + 4 * hour)
        late = answer(fulfil, "received", MONDAY + 2 * hour)
        for message in (newer, newer, late):
            intake.receive(message, ward.partner)
        about: dict[str, Any] = {"basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}]}
        present = [{"actor": {"reference": "Patient/pat"}, "status": "accepted"}]
        for _time in range(2):
            intake.receive(appointment("booked", MONDAY + 4 * hour, participant=present, **about), ward.partner)
        intake.receive(answer(fulfil, "accepted", MONDAY + 3 * hour), ward.partner)
        intake.receive(answer(fulfil, "rejected", MONDAY + 3 * hour), ward.partner)
    fulfil.refresh_from_db()
    assert fulfil.stage == "scheduled"
    with clock.at(MONDAY + 7 * hour):
        off = appointment("cancelled", MONDAY + 6 * hour, participant=present, **about)
        booked = appointment("booked", MONDAY + 5 * hour, participant=present, **about)
        for message in (off, booked, off):
            intake.receive(message, ward.partner)
    fulfil.refresh_from_db()
    assert fulfil.stage == "appointment-cancelled", "the booking is older than its cancellation"
    actions = Event.objects.filter(handoff=fulfil).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["accept", "book", "cancel-appointment"], "each step once"


def test_14_a_death_reaches_all_open_loops_at_once(ward: Ward) -> None:
    loops = [ward.sent()[0], ward.sent("test-order")[0], ward.order("follow-up", performer="practice")]
    patient = {name: value for name, value in store.get("Patient", "pat").items() if name != "meta"}
    intake.receive(patient | {"deceasedBoolean": True}, ehr_of(ward.coordinator))
    assert all(loop.closed_at is None for loop in refreshed(loops)), "a person confirms it first"
    confirm = Handoff.objects.get(kind="confirm-death", closed_at=None)
    workflow.perform(confirm.id, "confirm", ward.coordinator)
    assert {loop.end_reason for loop in refreshed(loops)} == {"patient-died"}
    assert all(loop.closed_at for loop in refreshed(loops))


def test_14_a_merge_and_a_move_reach_all_open_loops_at_once(ward: Ward) -> None:
    loops = [ward.sent()[0], ward.sent("test-order")[0]]
    same = {"resourceType": "Patient", "id": "twin", "name": [{"family": "Иванова"}]}
    store.write(same, actor=SYSTEM, audience=["practice", "clinic"])
    patient = {name: value for name, value in store.get("Patient", "pat").items() if name != "meta"}
    home = {"address": [{"use": "home", "state": "Bavaria"}]}
    for state in ("Bavaria", "Saxony"):
        home["address"][0]["state"] = state
        intake.receive(patient | home, ehr_of(ward.coordinator))
    assert all("decide-next-step" in ward.open_kinds(loop) for loop in loops), "whoever is accountable is asked"
    link = {"active": False, "link": [{"other": {"reference": "Patient/twin"}, "type": "replaced-by"}]}
    intake.receive(patient | home | link, ehr_of(ward.coordinator))
    assert {loop.patient_id for loop in refreshed(loops)} == {"twin"}


def ehr_of(person: Actor) -> Actor:
    """The practice's own system, which keeps the patients."""
    return Actor(id="client:ehr", kind="client", display="Practice EHR", organization=person.organization)


def refreshed(loops: list[Loop]) -> list[Loop]:
    return list(Loop.objects.filter(pk__in=[loop.pk for loop in loops]))


def test_15_the_receipt_of_a_consult_report_is_stored_for_the_measure(ward: Ward) -> None:
    """What CMS50 asks of a Task: based on the first referral, completed, the end of its period when the report came."""
    loop, fulfil = ward.sent()
    came = MONDAY + timedelta(days=12)
    with clock.at(came):
        ward.report(fulfil)
    row = row_class("Task").rows("Task").get(id__startswith="receipt-")
    task = store.get("Task", row.id)
    assert task["code"]["coding"][0] == {"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"}
    assert (task["status"], task["basedOn"][0]["reference"]) == ("completed", f"ServiceRequest/{loop.request_id}")
    assert datetime.fromisoformat(task["executionPeriod"]["end"]) == came
    assert people.roles_in(ward.stranger, fulfil) == set()
