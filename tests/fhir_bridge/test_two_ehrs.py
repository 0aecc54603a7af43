"""Ordered in one EHR, performed in another: both sides end alike, and what both write while nobody can be reached is kept."""

from collections.abc import Iterator

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations
from fhir_bridge.models import Link
from records import store
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import Story, promise
from tests.fhir_bridge.two_ehrs import CARDIOLOGY, PANEL, Region, build_region

BOOKED = {"text": "Booked for Thursday"}


@pytest.fixture
def region(story: Story) -> Iterator[Region]:
    """Two EHRs that know nothing of each other; their ids are the same numbers for other things."""
    with FakeEhr() as practices, FakeEhr() as hospitals:
        region = build_region(story, practices.base_url, hospitals, practices)
        for partner in (region.office, region.clinic):
            promise(partner)
        yield region


def reviewed(region: Region) -> None:
    """The GP reads the report, the coordinator tells the patient; that ends the loop."""
    story = region.story
    review = Handoff.objects.get(kind="review-report", closed_at=None)
    workflow.perform(review.id, "acknowledge", story.gp, data={"plan": "Go on", "question_answered": True})
    call = Handoff.objects.get(kind="notify-patient", closed_at=None)
    workflow.perform(call.id, "tell", story.nina, data={"channel": "phone"})
    assert Loop.objects.get().stage == "closed"


def notes(task: dict[str, object]) -> list[str]:
    found = task.get("note", [])
    assert isinstance(found, list)
    return sorted(each["text"] for each in found)


def test_a_referral_ends_alike_on_both_sides(region: Region) -> None:
    hospital = region.hospital
    region.order(CARDIOLOGY)

    hospital.say("accepted")
    region.exchange()
    region.agrees("accepted", "awaiting-booking")

    hospital.book()
    hospital.say("in-progress", businessStatus=BOOKED)
    region.exchange()
    region.agrees("in-progress", "scheduled")

    hospital.see()
    region.exchange()
    region.agrees("in-progress", "seen-awaiting-report")

    report = {"type": {"text": "report"}, "valueReference": {"reference": hospital.write_letter()}}
    hospital.say("completed", businessStatus={"text": "Seen and reported"}, output=[report])
    region.exchange()
    region.agrees("completed", "report-sent")
    (output,) = region.practice.people.outcome(region.practice.people.read(region.practice.task))
    assert output["valueReference"]["author"] == [{"name": [{"family": "Heart"}], "resourceType": "Practitioner"}]

    reviewed(region)
    region.exchange()
    region.agrees("completed", "report-sent")
    region.is_settled()


def test_a_test_order_ends_alike_and_its_correction_too(region: Region) -> None:
    hospital = region.hospital
    region.order(PANEL)

    hospital.say("accepted")
    region.exchange()
    region.agrees("accepted")
    hospital.say("in-progress", businessStatus={"text": "Specimen collected"})
    region.exchange()
    region.agrees("in-progress", "specimen-collected")

    report = hospital.write_report(hospital.measure("Sodium"), hospital.measure("Potassium"))
    output = {"type": {"text": "result"}, "valueReference": {"reference": report}}
    hospital.say("completed", output=[output])
    region.exchange()
    region.agrees("completed", "final")

    values = [*hospital.people.read(report)["result"], {"reference": hospital.measure("Chloride")}]
    hospital.people.change(report, status="amended", conclusion="Not quite normal", result=values)
    region.exchange()
    region.agrees("completed", "final")
    (told,) = region.practice.people.outcome(region.practice.people.read(region.practice.task))
    assert told["valueReference"]["conclusion"] == "Not quite normal"
    assert [each["valueString"] for each in told["valueReference"]["result"]][-1] == "Chloride is 1.50"

    reviewed(region)
    region.is_settled()


def test_a_refusal_is_read_where_it_was_ordered(region: Region) -> None:
    region.order(CARDIOLOGY)

    region.hospital.say("rejected", statusReason={"text": "No capacity until May"})
    region.exchange()

    region.agrees("rejected", "declined")
    assert Handoff.objects.filter(kind="decide-next-step", closed_at=None).exists()


def test_an_ehr_that_keeps_no_reports_hears_of_the_end_all_the_same(region: Region) -> None:
    able = region.office.abilities
    region.office.abilities = {**able, "types": {"DocumentReference": {"interactions": ["read", "search-type"]}}}
    region.office.save()
    region.order(CARDIOLOGY)

    output = {"type": {"text": "report"}, "valueReference": {"reference": region.hospital.write_letter()}}
    region.hospital.say("completed", output=[output])
    region.exchange()

    here = region.practice.people.read(region.practice.task)
    assert here["status"] == "completed"
    assert here["output"][0]["valueReference"]["identifier"]["system"].endswith("/id/documentreference")
    region.is_settled()


def test_a_withdrawal_before_the_beginning_reaches_the_hospital(region: Region) -> None:
    region.order(CARDIOLOGY)

    region.practice.people.change(region.practice.task, status="cancelled")
    region.exchange()

    region.agrees("cancelled", "cancelled")
    region.is_settled()


@pytest.mark.parametrize("hospital_first", [False, True])
def test_what_both_sides_write_while_the_line_is_cut_is_in_both_afterwards(
    region: Region, hospital_first: bool
) -> None:
    practice, hospital = region.practice, region.hospital
    region.order(CARDIOLOGY)
    hospital.say("accepted")
    region.exchange()

    with region.cut():
        asked = {"type": {"text": "language"}, "valueString": "Spanish"}
        said = [*practice.people.read(practice.task)["note"], {"text": "She moves in May"}]
        practice.people.change(practice.task, note=said, priority="urgent", input=[asked])
        known = [*hospital.people.read(hospital.task)["note"], {"text": "Bring the ECG"}]
        hospital.say("in-progress", businessStatus=BOOKED, note=known)
        region.exchange()
        assert region.fulfil().stage == "awaiting-booking"
    region.later()
    region.exchange(hospital_first=hospital_first)

    region.agrees("in-progress")
    here, there = practice.people.read(practice.task), hospital.people.read(hospital.task)
    for task in (here, there, store.get("Task", region.fulfil().id)):
        assert notes(task) == ["Bring the ECG", "Please call first", "She moves in May"]
        assert (task["priority"], task["input"], task["businessStatus"]) == ("urgent", [asked], BOOKED)
    assert Loop.objects.get().priority == "urgent"
    region.is_settled()


def cross(region: Region, *, hospital_first: bool) -> None:
    """The practice withdraws what the hospital begins while neither can be reached."""
    region.order(CARDIOLOGY)
    region.hospital.say("accepted")
    region.exchange()
    with region.cut():
        region.practice.people.change(region.practice.task, status="cancelled")
        region.hospital.say("in-progress", businessStatus=BOOKED)
        region.exchange()
    region.later()
    region.exchange(hospital_first=hospital_first)


@pytest.fixture(params=[False, True], ids=["practice-heard-first", "hospital-heard-first"])
def crossed(region: Region, request: pytest.FixtureRequest) -> Region:
    cross(region, hospital_first=request.param)
    return region


def test_a_withdrawal_of_what_was_begun_meanwhile_is_asked_of_who_has_begun(crossed: Region) -> None:
    crossed.agrees("in-progress")
    assert Handoff.objects.filter(kind="request-cancellation", closed_at=None).exists()
    asked = crossed.hospital.people.read(crossed.hospital.abort)
    assert (asked["status"], asked["focus"]["reference"]) == ("requested", crossed.hospital.task)
    crossed.is_settled()


def test_who_agrees_to_the_withdrawal_ends_it_on_both_sides(crossed: Region) -> None:
    hospital = crossed.hospital
    hospital.people.change(hospital.abort, status="completed")
    hospital.say("cancelled")
    crossed.exchange()

    crossed.agrees("cancelled", "cancelled")
    crossed.is_settled()


def test_who_does_not_agree_goes_on_on_both_sides(crossed: Region) -> None:
    hospital = crossed.hospital
    hospital.people.change(hospital.abort, status="rejected", statusReason={"text": "She is here already"})
    output = {"type": {"text": "report"}, "valueReference": {"reference": hospital.write_letter()}}
    hospital.say("completed", output=[output])
    crossed.exchange()

    crossed.agrees("completed")
    assert Handoff.objects.filter(kind="review-report", closed_at=None).exists()
    crossed.is_settled()


def test_what_was_agreed_but_not_yet_done_is_shown_until_it_is(region: Region) -> None:
    """Agreed to, and still begun: both versions are somebody's to look at, and nobody's once they fit."""
    cross(region, hospital_first=True)
    hospital = region.hospital
    hospital.people.change(hospital.abort, status="completed")
    region.exchange()

    [link] = Link.objects.filter(state=Link.State.CONFLICT)
    shown = operations.show(f"Link/{link.pk}", region.story.nina).comparison
    assert shown is not None
    assert [(row.ours, row.theirs) for row in shown.rows if row.is_clash] == [('"cancelled"', '"in-progress"')]

    hospital.say("cancelled")
    region.exchange()

    region.agrees("cancelled")
    assert Handoff.objects.get(kind="mend-exchange").stage == "mended"
    region.is_settled()
