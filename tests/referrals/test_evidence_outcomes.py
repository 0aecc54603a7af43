"""Messages, successions of documents, and the outcomes that only a Task names as its output."""

from datetime import datetime
from typing import Any

import pytest

from records import clock
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Loop
from tests.referrals.exchange import (
    answer,
    document,
    encounter,
    open_kinds,
    output,
    request,
    said,
    take,
    the,
    the_loop,
)
from tests.referrals.region import MRN, PRACTICE, Region
from tests.referrals.ward import hours

NAMED = {"context": {"related": [{"reference": "ServiceRequest/sr"}]}}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def sent(here: Region, **elements: Any) -> Loop:
    take(request(**elements), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    return loop


def arrives(resource: Resource, sender: Any) -> str | None:
    with clock.at(datetime.fromisoformat(resource["meta"]["lastUpdated"])):
        return take(resource, sender).loop_id


def message(at: datetime, text: str, key: str = "message", **elements: Any) -> Resource:
    resource = {
        "resourceType": "Communication",
        "id": key,
        "status": "completed",
        "subject": {"reference": "Patient/ana"},
        "basedOn": [{"reference": "ServiceRequest/sr"}],
        "sent": at.isoformat(),
        "payload": [{"contentString": text}],
        **elements,
    }
    return said(resource, at)


def test_the_performers_question_and_the_referrers_answer_are_heard_in_messages(here: Region) -> None:
    loop = sent(here)
    question = message(hours(2), "Since when?", recipient=[{"reference": f"Organization/{PRACTICE}"}])
    arrives(question, here.partner)
    arrives({**question, "priority": "urgent"}, here.partner)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("awaiting-information", ["fulfil", "provide-information"])
    assert Event.objects.get(loop=loop, action="ask-information").details["question"] == "Since when?"
    arrives(message(hours(3), "For a month.", key="reply"), here.ehr)
    assert (open_kinds(loop), Event.objects.get(loop=loop, action="answer").evidence) == (
        ["fulfil"],
        "Communication/reply",
    )


def test_a_message_of_somebody_who_may_not_take_the_step_is_only_kept(here: Region) -> None:
    loop = sent(here)
    arrives(message(hours(2), "Dear colleague"), here.ehr)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["fulfil"])


def test_a_letter_to_the_patient_tells_them_if_it_was_sent_after_the_review(here: Region) -> None:
    loop = sent(here)
    arrives(document(hours(2), **NAMED), here.partner)
    with clock.at(hours(4)):
        review = the(loop, "review-report")
        workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True})
    to_ana = {"recipient": [{"reference": "Patient/ana"}], "medium": [{"coding": [{"code": "MAILWRIT"}]}]}
    arrives({**message(hours(5), "Your visit", key="old", **to_ana), "sent": hours(1).isoformat()}, here.ehr)
    assert open_kinds(loop) == ["notify-patient"], "it was written before there was anything to tell"
    arrives(message(hours(6), "All is well", key="new", **to_ana), here.ehr)
    assert Loop.objects.get(pk=loop.pk).stage == "closed"
    assert Event.objects.get(loop=loop, action="tell").details["channel"] == "letter"


@pytest.mark.parametrize(("code", "state"), [("replaces", "amended"), ("appends", "appended")])
def test_a_document_that_follows_another_is_read_again(here: Region, code: str, state: str) -> None:
    loop = sent(here)
    arrives(document(hours(2), **NAMED), here.partner)
    follows = [{"code": code, "target": {"reference": "DocumentReference/note"}}]
    assert arrives(document(hours(4), id="second", relatesTo=follows), here.partner) == loop.id
    event = Event.objects.get(loop=loop, action="amend", evidence="DocumentReference/second")
    assert event.details["state"] == state
    before = open_kinds(loop)
    arrives(document(hours(5), status="superseded", **NAMED), here.partner)
    assert open_kinds(loop) == before == ["review-report"] * len(before), "what was superseded asks nobody"


def test_one_value_of_a_panel_ends_nothing_until_the_task_names_it(here: Region) -> None:
    loop = sent(
        here, code={"text": "CBC"}, category=[{"coding": [{"system": "http://snomed.info/sct", "code": "108252007"}]}]
    )
    value = {
        "resourceType": "Observation",
        "id": "hb",
        "status": "final",
        "code": {"text": "Hb"},
        "subject": {"reference": "Patient/ana"},
        "basedOn": [{"reference": "ServiceRequest/sr"}],
    }
    assert arrives(said(value, hours(2)), here.partner) == loop.id
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("ordered", ["fulfil"])
    arrives(answer(the(loop, "fulfil"), "completed", hours(3), output=output("Observation/hb")), here.partner)
    assert open_kinds(loop) == ["review-report"]
    arrives(said({**value, "status": "corrected", "valueString": "low"}, hours(5)), here.partner)
    assert Event.objects.get(loop=loop, action="amend").details["state"] == "corrected"


def test_a_document_bundle_that_the_task_names_is_the_report_of_its_patient(here: Region) -> None:
    loop = sent(here)
    patient = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "4711"}]}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "Feedback"},
        "subject": {"reference": "urn:uuid:c1a4a1a8-0000-4000-8000-000000000001"},
        "date": hours(2).isoformat(),
        "author": [{"display": "Dr Hart"}],
        "title": "Feedback",
    }
    bundle: Resource = {
        "resourceType": "Bundle",
        "id": "feedback",
        "type": "document",
        "identifier": {"system": "https://hospital.example/documents", "value": "1"},
        "timestamp": hours(2).isoformat(),
        "entry": [
            {"fullUrl": "urn:uuid:c1a4a1a8-0000-4000-8000-000000000000", "resource": composition},
            {"fullUrl": "urn:uuid:c1a4a1a8-0000-4000-8000-000000000001", "resource": patient},
        ],
    }
    arrives(answer(the(loop, "fulfil"), "in-progress", hours(1)), here.partner)
    arrives(answer(the(loop, "fulfil"), "completed", hours(3), output=output("Bundle/feedback")), here.partner)
    assert arrives(said(bundle, hours(4)), here.partner) == loop.id
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("report-sent", ["review-report"])
    amended = {
        **bundle,
        "entry": [{**bundle["entry"][0], "resource": {**composition, "status": "amended"}}, bundle["entry"][1]],
    }
    arrives(said(amended, hours(9)), here.partner)
    assert Event.objects.get(loop=loop, action="amend").details["state"] == "amended"


def test_a_procedure_that_was_done_for_the_referral_shows_that_the_patient_was_seen(here: Region) -> None:
    loop = sent(here)
    done = {"resourceType": "Procedure", "id": "echo", "status": "completed", "subject": {"reference": "Patient/ana"}}
    arrives(said({**done, "basedOn": [{"reference": "ServiceRequest/sr"}]}, hours(5)), here.partner)
    assert the(loop, "fulfil").stage == "seen-awaiting-report"
    arrives(encounter(hours(6)), here.partner)
    assert Event.objects.filter(loop=loop, action="seen").count() == 1
