"""Loops and handoffs as Tasks: valid R4, ours in what is ours, and the other side's words untouched."""

from datetime import timedelta

from django.conf import settings

from records import store, validation
from records.json import Resource
from referrals import workflow
from referrals.models import Handoff, Loop
from referrals.pathways import LOOP_STAGES, STAGES
from referrals.projection import handoff_task, loop_task
from tests.referrals.ward import MONDAY, Ward

BASE = settings.BATON_BASE_URL


def task(row: Handoff | Loop) -> Resource:
    return store.get("Task", row.id)


def test_the_tasks_of_a_whole_referral_are_valid_r4(ward: Ward) -> None:
    loop, fulfil = ward.sent(requester="referrer", needed_by=MONDAY + timedelta(days=30))
    ward.does(ward.clinic, fulfil, "ask-information", question="Since when?")
    ward.does(ward.referrer, ward.only(loop, "provide-information"), "answer", answer="Since May")
    ward.report(fulfil)
    ward.acknowledge(loop)
    ward.tell(loop)
    rows: list[Handoff | Loop] = [Loop.objects.get(pk=loop.pk), *Handoff.objects.filter(loop=loop)]
    for row in rows:
        validation.check(task(row))


def test_every_stage_gives_a_valid_task(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    for kind, code in STAGES:
        fulfil.kind, fulfil.stage, fulfil.task_status = kind, code, STAGES[kind, code].task_status or "received"
        validation.check(handoff_task(fulfil, loop))
    for loop.stage in LOOP_STAGES:
        validation.check(loop_task(loop))


def test_a_handoff_says_who_what_for_whom_and_by_when(ward: Ward) -> None:
    loop, fulfil = ward.sent(requester="referrer", priority="urgent", needed_by=MONDAY + timedelta(days=30))
    body = task(fulfil)
    assert body["code"]["coding"][0] == {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
    assert body["identifier"][0]["value"] == fulfil.id
    assert body["identifier"][0]["system"] == f"{BASE}/id/task"
    assert body["partOf"] == [{"reference": f"Task/{loop.id}"}]
    assert body["basedOn"] == [{"reference": f"ServiceRequest/{loop.request_id}"}] == [body["focus"]]
    assert (body["for"]["reference"], body["requester"]["reference"]) == ("Patient/pat", "Practitioner/referrer")
    assert (body["status"], body["priority"]) == ("requested", "urgent")
    assert body["restriction"]["period"]["end"].startswith("2026-04-01"), "the needed-by date, set once"
    assert body["extension"] == [
        {"url": f"{BASE}/StructureDefinition/stage", "valueCode": "sent"},
        {
            "url": f"{BASE}/StructureDefinition/stage-due",
            "valueDateTime": fulfil.due_at.isoformat(timespec="milliseconds"),
        },
    ]
    assert "owner" not in body, "unclaimed: it stands on a pool's list"
    assert task(loop)["owner"]["reference"] == f"CareTeam/{ward.practice_pool.key}"


def test_other_kinds_carry_our_own_codes_and_their_due_time(ward: Ward) -> None:
    dispatch = ward.only(ward.order(), "dispatch")
    body = task(dispatch)
    assert body["code"]["coding"][0]["system"] == f"{BASE}/CodeSystem/handoff"
    assert body["code"]["coding"][0]["code"] == "dispatch"
    assert body["businessStatus"]["coding"][0]["code"] == "to-send"
    assert body["restriction"]["period"]["end"].startswith("2026-03-03")


def test_the_performers_words_stay_when_the_performer_works_elsewhere(ward: Ward) -> None:
    _loop, fulfil = ward.sent(performer="elsewhere")
    theirs = task(fulfil) | {
        "status": "accepted",
        "businessStatus": {"coding": [{"system": "https://ehr.example", "code": "BOOKED-SOON"}]},
        "note": [{"text": "Call us"}],
        "extension": [*task(fulfil)["extension"], {"url": "https://ehr.example/room", "valueString": "4"}],
    }
    workflow.perform(fulfil.id, "accept", ward.partner, base=theirs)
    body = task(fulfil)
    assert body["status"] == "accepted"
    assert body["businessStatus"] == theirs["businessStatus"]
    assert body["note"] == theirs["note"]
    assert [one["url"].rsplit("/", 1)[1] for one in body["extension"]] == ["room", "stage", "stage-due"]
    slot_end = MONDAY + timedelta(days=3)
    workflow.perform(fulfil.id, "book", ward.partner, data={"slot_end": slot_end}, evidence="Appointment/1")
    body = task(fulfil)
    assert body["status"] == "accepted", "evidence moves our stage, never a performer's Task"
    assert body["extension"][1]["valueCode"] == "scheduled"
    assert body["owner"]["reference"] == "Organization/elsewhere"


def test_a_performer_in_baton_has_its_codings_beside_the_others(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "decline", reason="other", reason_text="We move house")
    body = task(fulfil)
    assert (body["status"], body["statusReason"]["text"]) == ("rejected", "We move house")
    assert body["statusReason"]["coding"][0]["code"] == "other"
    _loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "accept")
    ward.does(ward.clinic, fulfil, "decline", reason="other", reason_text="We move house")
    assert task(fulfil)["status"] == "failed", "after acceptance"


def test_our_own_request_is_completed_with_its_outcome(ward: Ward) -> None:
    def request(system: str) -> str:
        body: Resource = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/pat"},
            "identifier": [{"system": system, "value": "1"}],
        }
        return store.write(body, actor=ward.referrer, audience=["practice"]).id

    ours, theirs = request(f"{BASE}/id/request"), request("https://ehr.example/orders")
    for key in (ours, theirs):
        ward.report(ward.sent(request=key)[1])
    assert store.get("ServiceRequest", ours)["status"] == "completed"
    assert store.get("ServiceRequest", theirs)["status"] == "active", "an EHR writes its own"
