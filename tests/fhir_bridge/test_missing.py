"""What an item names and nobody can read: it is waited for where the meaning depends on it, and never for long."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import tasks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import ageing
from records import clock, store
from records.json import Resource
from referrals import workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import Story
from tests.fhir_bridge.test_addressed import ask, opened

PAGE = Answer(text="<html>Sign in</html>", headers={"Content-Type": "text/html"})
CRITICAL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"}
TOO_BIG = "QUJD" * 2_700_000


def round_at(minutes: int, ehr: FakeEhr, partner: Partner) -> None:
    """All that the workers do, at a later time of both clocks."""
    ehr.skew = timedelta(minutes=minutes)
    with clock.at(datetime.now(UTC) + ehr.skew):
        partner.refresh_from_db()
        tasks.pull(partner.pk)
        tasks.push_due(clock.now())
        ageing.sweep(clock.now())


def their_id(type_: str) -> Resource:
    return {"reference": f"{type_}/{Link.objects.get(type=type_).remote_id}"}


def shown(ehr: FakeEhr, type_: str, id_: str) -> Resource:
    """What the hospital has."""
    return next(each for each in ehr.all(type_) if each["id"] == id_)


def to_mend() -> list[tuple[str, str]]:
    """(what it is about, priority) of what somebody is to mend."""
    open_ = Handoff.objects.filter(kind="mend-exchange", closed_at=None).select_related("loop").order_by("pk")
    items = Inbox.objects.exclude(mend_loop="").in_bulk(field_name="pk")
    about = {f"Inbox/{pk}": f"{item.type}/{item.remote_id}" for pk, item in items.items()}
    return [(about[each.loop.about], each.loop.priority) for each in open_]


@pytest.fixture
def test_order(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """A test order, whose report lists one critical value; the value names who has made it."""
    made = story.order_test()
    round_at(0, ehr, hospital)
    about = {"status": "final", "code": {"text": "Potassium"}, "subject": their_id("Patient")}
    made_by = {"performer": [{"reference": "Practitioner/m"}], "interpretation": [{"coding": [CRITICAL]}]}
    ehr.put({"resourceType": "Practitioner", "id": "m", "name": [{"family": "Moser"}]})
    ehr.put({"resourceType": "Observation", "id": "k", **about, **made_by, "valueString": "7.2"})
    listed = {"basedOn": [their_id("ServiceRequest")], "result": [{"reference": "Observation/k"}]}
    ehr.put({"resourceType": "DiagnosticReport", "id": "r", **about, **listed})
    return made


def time_for_review(order: Handoff) -> timedelta:
    review = Handoff.objects.get(loop=order.loop, kind="review-report", closed_at=None)
    return review.due_at - review.opened_at


def test_a_document_that_is_too_big_for_good_keeps_no_end_of_a_referral_from_being_heard_for_more_than_an_hour(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    scan = [{"attachment": {"contentType": "application/pdf", "data": TOO_BIG}}]
    ehr.put({"resourceType": "DocumentReference", "id": "d", "status": "current", "content": scan})
    output = [{"type": {"text": "report"}, "valueReference": {"reference": "DocumentReference/d"}}]
    ehr.put({**ehr.all("Task")[0], "status": "completed", "output": output})

    round_at(1, ehr, hospital)
    assert store.get("Task", handoff.pk)["status"] == "requested"
    round_at(62, ehr, hospital)
    round_at(63, ehr, hospital)

    task = store.get("Task", handoff.pk)
    assert task["status"] == "completed"
    assert task["output"][0]["valueReference"]["reference"] == f"{hospital.base_url}/DocumentReference/d"
    assert to_mend() == [("DocumentReference/d", "routine")]


@pytest.mark.parametrize("answer", [PAGE, Answer(500)], ids=["a page", "500"])
def test_who_has_written_a_note_is_not_waited_for_and_what_we_say_goes_out(
    answer: Answer, handoff: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    note = {"authorReference": {"reference": "Practitioner/m"}, "text": "Got it"}
    ehr.put({**ehr.all("Task")[0], "status": "received", "note": [note]})

    with ehr.refusing(answer, "GET", "Practitioner/m"):
        round_at(1, ehr, hospital)
        assert store.get("Task", handoff.pk)["status"] == "received"
        with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
            workflow.perform(handoff.pk, "cancel", story.gp, data={"reason": "no-longer-needed"})
        round_at(3, ehr, hospital)
        assert ehr.all("Task")[0]["status"] == "cancelled"
        round_at(65, ehr, hospital)
        assert to_mend() == [("Practitioner/m", "routine")], "that it can't be read is still seen"

    round_at(71, ehr, hospital)
    assert to_mend() == []


def test_what_we_say_goes_out_within_an_hour_whatever_cant_be_read(
    handoff: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    output = [{"type": {"text": "report"}, "valueReference": {"reference": "DiagnosticReport/r"}}]
    ehr.put({**ehr.all("Task")[0], "status": "in-progress", "output": output})

    with ehr.refusing(PAGE, "GET", "DiagnosticReport/r"):
        round_at(1, ehr, hospital)
        with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
            workflow.perform(handoff.pk, "cancel", story.gp, data={"reason": "no-longer-needed"})
        round_at(3, ehr, hospital)
        assert ehr.all("Task")[0]["status"] == "in-progress"
        for minutes in (62, 63, 80):
            round_at(minutes, ehr, hospital)
        assert not Inbox.objects.filter(type="Task", state=Inbox.State.WAITING).exists()
        assert not Link.objects.exclude(state=Link.State.CLEAN).exists()


def test_a_report_goes_on_after_an_hour_without_a_value_that_is_urgent_work_and_counts_once_it_comes(
    test_order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    reviews = Handoff.objects.filter(loop=test_order.loop, kind="review-report")
    with ehr.refusing(PAGE, "GET", "Observation/k"):
        for minutes in (1, 59):
            round_at(minutes, ehr, hospital)
        assert not reviews.exists()
        for minutes in (62, 63):
            round_at(minutes, ehr, hospital)
        assert reviews.exists()
        assert to_mend() == [("Observation/k", "urgent")]

        report = shown(ehr, "DiagnosticReport", "r")
        ehr.put({**report, "status": "amended", "conclusion": "Haemolysed."})
        round_at(64, ehr, hospital)
        local = Link.objects.get(type="DiagnosticReport").local_id
        assert store.get("DiagnosticReport", local)["status"] == "amended", "the next version doesn't wait again"

    round_at(70, ehr, hospital)
    assert time_for_review(test_order) <= timedelta(days=1)
    assert to_mend() == []


def test_a_value_is_not_lost_by_who_has_made_it(test_order: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(PAGE, "GET", "Practitioner/m"):
        round_at(1, ehr, hospital)

    assert time_for_review(test_order) == timedelta(days=1)


def test_a_report_waits_for_a_value_that_waits_itself(test_order: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    value = shown(ehr, "Observation", "k")
    ehr.put({**value, "hasMember": [{"reference": "Observation/part"}]})
    ehr.put({**value, "id": "part"})
    with ehr.refusing(PAGE, "GET", "Observation/part"):
        round_at(1, ehr, hospital)
        assert Inbox.objects.get(type="DiagnosticReport").state == Inbox.State.WAITING

    round_at(2, ehr, hospital)
    assert time_for_review(test_order) == timedelta(days=1)


@pytest.mark.parametrize("element", ["managingOrganization", "generalPractitioner"])
def test_an_order_for_a_patient_whose_house_cant_be_read_is_opened(
    element: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    place = {"reference": "Organization/m"}
    named = {element: place if element == "managingOrganization" else [place]}
    ehr.put({**shown(ehr, "Patient", "p1"), **named})

    with ehr.refusing(PAGE, "GET", "Organization/m"):
        round_at(1, ehr, hospital)

    assert len(opened()) == 1


@pytest.mark.parametrize("minutes", [5, 200])
def test_an_order_is_opened_as_soon_as_its_patient_can_be_read(
    minutes: int, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(PAGE, "GET", "Patient/p1"):
        for at in range(1, minutes, minutes // 3):
            round_at(at, ehr, hospital)
        assert opened() == []
        assert not Inbox.objects.filter(state=Inbox.State.QUARANTINED).exists()

    round_at(minutes + 1, ehr, hospital)
    assert len(opened()) == 1
    assert to_mend() == []
