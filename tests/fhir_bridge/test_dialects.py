"""Partners that speak as their guides do: the guides' own examples come in, and our answers go out in their words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.profiles import PROFILES, bser, reasons
from records import store
from referrals import workflow
from referrals.models import Handoff
from referrals.reading import contradiction_in
from tests.fhir_bridge.story import Story

_FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
_REFERRAL = {"category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}]}
# What an example says of the performer; the rest of it is about other people
SAID = ("status", "businessStatus", "statusReason", "output")


def speaking(hospital: Partner, dialect: str) -> None:
    Partner.objects.filter(pk=hospital.pk).update(profile=dialect)
    hospital.refresh_from_db()


def take(partner: Partner) -> None:
    polling.poll(partner)
    applying.apply_pending(partner)


def example(fixtures: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((fixtures / "data" / name).read_text())
    return found


def codes(task: dict[str, Any]) -> list[str]:
    return [each["code"] for each in task.get("businessStatus", {}).get("coding", [])]


def coded(dialect: str, code: str) -> dict[str, Any]:
    return {"businessStatus": {"coding": [{"system": PROFILES[dialect].system, "code": code}]}}


def test_what_bser_calls_requested_and_completed_in_one_is_sent_and_its_outcome_is_read(
    story: Story, hospital: Partner, ehr: FakeEhr, fixtures: Path
) -> None:
    speaking(hospital, "bser")
    handoff = story.refer()
    pushing.run_once(hospital)
    said = example(fixtures, "bser/Task-task-bser-referral-task.json")
    about = {"subject": {"reference": f"Patient/{ehr.all('Patient')[0]['id']}"}, "author": [{"display": "Dr. Eight"}]}
    summary = {"resourceType": "Composition", "status": "final", "date": "2027-01-04", "title": "Feedback"} | about
    entry = {"fullUrl": "urn:uuid:0198b2c4-0000-7000-8000-000000000000", "resource": summary | {"type": {"text": "x"}}}
    ehr.put({"resourceType": "Bundle", "id": "feedback", "type": "document", "entry": [entry]})
    output = [said["output"][0] | {"valueReference": {"reference": "Bundle/feedback"}}]

    ehr.put(ehr.all("Task")[0] | {name: said[name] for name in SAID if name in said} | {"output": output})
    take(hospital)

    handoff.refresh_from_db()
    held = store.get("Task", handoff.pk)
    assert handoff.stage == "sent"
    assert contradiction_in(held) == "report-sent"
    assert held["businessStatus"]["coding"][0] == said["businessStatus"]["coding"][0]
    assert Handoff.objects.filter(loop=handoff.loop, kind="review-report", closed_at=None).exists()
    pushing.run_once(hospital)
    assert codes(ehr.all("Task")[0]) == ["7.0"]


def test_a_patient_who_did_not_come_is_known_by_the_number_that_bser_gives_it(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, "bser")
    handoff = story.refer()
    pushing.run_once(hospital)

    for status, code in (("accepted", "3.0"), ("in-progress", "5.x"), ("in-progress", "5.1.2")):
        ehr.put(ehr.all("Task")[0] | {"status": status} | coded("bser", code))
        take(hospital)

    handoff.refresh_from_db()
    assert handoff.stage == "no-show"
    assert [each.action for each in handoff.events.order_by("id")][-3:] == ["accept", "start", "no-show"]


@pytest.mark.parametrize("name", ["taskfulfilment-imaging-1", "taskfulfilment-pathology-1"])
def test_the_australian_examples_are_sent_whatever_they_say_of_a_booking(
    name: str, story: Story, hospital: Partner, ehr: FakeEhr, fixtures: Path
) -> None:
    speaking(hospital, "au")
    handoff = story.order_test()
    pushing.run_once(hospital)
    assert ehr.all("Task")[0]["meta"]["tag"][0]["code"] == "fulfilment-task"

    said = example(fixtures, f"au-erequesting/{name}.json")
    ehr.put(
        ehr.all("Task")[0] | {element: said[element] for element in SAID if element in said} | {"note": [{"text": "x"}]}
    )
    take(hospital)

    handoff.refresh_from_db()
    assert handoff.stage == "ordered"
    is_booked = "service-booked" in codes(said)
    assert contradiction_in(store.get("Task", handoff.pk)) == ("collection-booked" if is_booked else "")


def test_a_laboratory_in_australia_is_followed_from_the_specimen_to_its_preliminary_word(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, "au")
    handoff = story.order_test()
    pushing.run_once(hospital)
    seen = []

    for status, code in (("accepted", ""), ("in-progress", "specimen-collected"), ("in-progress", "pathology-in-lab")):
        ehr.put(ehr.all("Task")[0] | {"status": status} | (coded("au", code) if code else {}))
        take(hospital)
        handoff.refresh_from_db()
        seen.append(handoff.stage)

    assert seen[1:] == ["specimen-collected", "in-lab"]


@contextmanager
def versions(ehr: FakeEhr, id_: str) -> Iterator[list[tuple[str, list[str]]]]:
    """(status, codes of the guide) of every version of a Task that is written within."""
    before = len(ehr.store["Task", id_])
    found: list[tuple[str, list[str]]] = []
    yield found
    for task in ehr.store["Task", id_][before:]:
        systems = {PROFILES["au"].system, bser.SYSTEM}
        said = [each for each in task.get("businessStatus", {}).get("coding", []) if each["system"] in systems]
        found.append((task["status"], [each["code"] for each in said]))


def asked_of_us(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """The hospital asks the practice for a visit, by a request and a Task of its own."""
    story.refer()
    pushing.run_once(hospital)
    us, them = (_named(ehr, name) for name in ("Practice", "Hospital Nord"))
    about = {"subject": {"reference": f"Patient/{ehr.all('Patient')[0]['id']}"}, "code": {"text": "Home visit"}}
    request = {"resourceType": "ServiceRequest", "id": "visit", "status": "active", "intent": "order"}
    ehr.put(request | about | _REFERRAL | {"requester": them, "performer": [us]})
    focus = {"reference": "ServiceRequest/visit"}
    task = {"resourceType": "Task", "id": "theirs", "status": "requested", "intent": "order", "code": _FULFILL}
    ehr.put(task | {"focus": focus, "for": about["subject"], "requester": them, "owner": us})
    take(hospital)
    return Handoff.objects.get(loop__answer_only=True)


def _named(ehr: FakeEhr, name: str) -> dict[str, str]:
    return next({"reference": f"Organization/{one['id']}"} for one in ehr.all("Organization") if one["name"] == name)


def test_what_we_do_for_an_australian_placer_is_written_step_by_step_in_its_words(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, "au")
    handoff = asked_of_us(story, hospital, ehr)
    slot = {"slot_start": "2027-01-04T09:00:00Z", "slot_end": "2027-01-04T09:30:00Z"}

    with versions(ehr, "theirs") as booked:
        workflow.perform(handoff.id, "book", story.nina, data=slot)
        pushing.run_once(hospital)
    with versions(ehr, "theirs") as declined:
        workflow.perform(handoff.id, "decline", story.nina, data={"reason": "no-capacity", "reason_text": "Full"})
        pushing.run_once(hospital)

    assert booked == [("received", []), ("accepted", ["service-booked"])]
    assert declined == [("cancelled", [])]
    assert Link.objects.get(type="Task", remote_id="theirs").state == Link.State.CLEAN
    take(hospital)
    assert not Inbox.objects.exclude(state="applied").exists()
    handoff.refresh_from_db()
    assert handoff.stage == "declined"


def test_what_we_do_for_a_bser_initiator_has_its_number_and_ours_beside_it(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, "bser")
    handoff = asked_of_us(story, hospital, ehr)

    with versions(ehr, "theirs") as written:
        workflow.perform(handoff.id, "seen", story.nina)
        pushing.run_once(hospital)

    assert written == [("received", []), ("accepted", []), ("in-progress", ["5.1.4"])]
    ours = {"system": f"{settings.BATON_BASE_URL}/CodeSystem/stage", "code": "seen-awaiting-report"}
    assert any(ours.items() <= each.items() for each in ehr.store["Task", "theirs"][-1]["businessStatus"]["coding"])


@pytest.mark.parametrize("dialect", PROFILES)
@pytest.mark.parametrize(
    ("status", "coding", "expected"),
    [
        ("rejected", (reasons.SNOMED, "105480006"), "patient-declined"),
        ("rejected", (reasons.HL7, "personnel-issue"), "no-capacity"),
        ("failed", (reasons.HL7, "personnel-issue"), "unable"),
    ],
)
def test_why_a_partner_ends_it_is_known_by_the_worlds_codes_and_theirs_stays(
    dialect: str, status: str, coding: tuple[str, str], expected: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, dialect)
    handoff = story.refer()
    pushing.run_once(hospital)
    theirs = {"system": coding[0], "code": coding[1]}

    ehr.put(ehr.all("Task")[0] | {"status": status, "statusReason": {"coding": [theirs], "text": "Not with us"}})
    take(hospital)

    handoff.refresh_from_db()
    assert (handoff.reason_code, handoff.reason_text) == (expected, "Not with us")
    assert store.get("Task", handoff.pk)["statusReason"]["coding"][0] == theirs
    pushing.run_once(hospital)
    take(hospital)
    assert ehr.all("Task")[0]["statusReason"] == {"coding": [theirs], "text": "Not with us"}
    assert not Inbox.objects.exclude(state="applied").exists()


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ({"coding": [{"system": "urn:theirs", "code": "X12"}]}, "X12"),
        ({"coding": [{"system": "urn:theirs", "code": "X12", "display": "Full"}]}, "Full [X12]"),
        ({"coding": [{"code": "X12"}], "text": "Not before May"}, "Not before May [X12]"),
        ({"coding": [{"system": reasons.HL7, "code": "misidentified"}]}, "misidentified"),
        ({"text": "Not before May"}, "Not before May"),
    ],
)
def test_a_reason_that_nobody_knows_is_shown_as_it_came(
    reason: dict[str, Any], shown: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)

    ehr.put(ehr.all("Task")[0] | {"status": "rejected", "statusReason": reason})
    take(hospital)

    handoff.refresh_from_db()
    assert (handoff.stage, handoff.reason_code, handoff.reason_text) == ("declined", "other", shown)
    assert store.get("Task", handoff.pk)["statusReason"] == reason


@pytest.mark.parametrize("dialect", PROFILES)
def test_why_we_end_it_is_written_in_the_worlds_code_and_in_ours(
    dialect: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    speaking(hospital, dialect)
    handoff = asked_of_us(story, hospital, ehr)

    said = {"reason": "patient-declined", "reason_text": "He wants to wait"}
    workflow.perform(handoff.id, "decline", story.nina, data=said)
    pushing.run_once(hospital)

    written = ehr.store["Task", "theirs"][-1]["statusReason"]
    ours = (f"{settings.BATON_BASE_URL}/CodeSystem/reason", "patient-declined")
    assert written["text"] == "He wants to wait"
    assert [(each["system"], each["code"]) for each in written["coding"]] == [ours, (reasons.SNOMED, "105480006")]
    take(hospital)
    assert Link.objects.get(type="Task", remote_id="theirs").state == Link.State.CLEAN
