"""What a performer asks is somebody's to answer, wherever the performing stands and whatever has been asked before."""

from datetime import datetime
from typing import Any

import pytest

from records import clock
from records.access import Actor
from referrals import intake, workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import appointment
from tests.referrals.region import client
from tests.referrals.ward import Ward, hours


def asks(ward: Ward, loop: Loop, text: str, at: datetime, by: Actor | None = None, **elements: Any) -> None:
    """An EHR, the performer's unless another is named, sends a message that names the order."""
    message = {
        "resourceType": "Communication",
        "id": clock.new_id(),
        "status": "completed",
        "basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}],
        "subject": {"reference": f"Patient/{loop.patient_id}"},
        "sent": at.isoformat(),
        "payload": [{"contentString": text}],
        "meta": {"lastUpdated": at.isoformat()},
    } | elements
    with clock.at(at):
        intake.receive(message, by or ward.partner)


def questions(loop: Loop) -> int:
    return Handoff.objects.filter(loop=loop, kind="provide-information", closed_at=None).count()


def test_a_second_question_is_work_beside_the_first(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    asks(ward, loop, "ECG?", hours(1))
    asks(ward, loop, "Allergies?", hours(2))

    fulfil.refresh_from_db()
    assert (fulfil.stage, questions(loop)) == ("awaiting-information", 2)
    said = Event.objects.filter(loop=loop, action__in=["ask-information", "ask"]).order_by("pk")
    assert [one.details["question"] for one in said] == ["ECG?", "Allergies?"]


def test_a_question_about_what_is_booked_leaves_the_visit_and_its_clock_as_they_are(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    order: dict[str, Any] = {"basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}]}
    comes = [{"actor": {"reference": f"Patient/{loop.patient_id}"}, "status": "accepted"}]
    with clock.at(hours(1)):
        intake.receive(appointment("booked", hours(1), participant=comes, **order), ward.partner)
    fulfil.refresh_from_db()
    before = (fulfil.stage, fulfil.due_at)
    asks(ward, loop, "Which side?", hours(2))

    fulfil.refresh_from_db()
    assert (before[0], (fulfil.stage, fulfil.due_at), questions(loop)) == ("scheduled", before, 1)
    answer = ward.only(loop, "provide-information")
    ward.does(ward.referrer, answer, "answer", answer="The left one.")
    fulfil.refresh_from_db()
    assert ((fulfil.stage, fulfil.due_at), questions(loop)) == (before, 0)


@pytest.mark.parametrize("kind", ["test-order", "follow-up"])
def test_a_question_about_any_other_order_is_work_too(ward: Ward, kind: str) -> None:
    loop, fulfil = ward.sent(kind, performer="elsewhere")
    stage = fulfil.stage
    asks(ward, loop, "Which side?", hours(2))

    fulfil.refresh_from_db()
    assert (fulfil.stage, questions(loop)) == (stage, 1)


ELSEWHERE, LAKESIDE = "elsewhere", "clinic"


@pytest.fixture
def both(ward: Ward) -> tuple[Loop, dict[str, Handoff], dict[str, Actor]]:
    """A referral that two are asked to perform: the part of each, and its system."""
    loop = ward.order()
    named = [f"Organization/{one}" for one in (ELSEWHERE, LAKESIDE)]
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=named)
    parts = Handoff.objects.select_related("owner").filter(loop=loop, kind="fulfil")
    systems = {ELSEWHERE: ward.partner, LAKESIDE: client("clinic", LAKESIDE)}
    return loop, {one.owner.organization: one for one in parts}, systems


Both = tuple[Loop, dict[str, Handoff], dict[str, Actor]]


@pytest.mark.parametrize("who", [ELSEWHERE, LAKESIDE])
def test_each_of_two_performers_may_ask_by_a_message(ward: Ward, both: Both, who: str) -> None:
    loop, parts, systems = both
    asks(ward, loop, "Which pills?", hours(1), systems[who])
    assert ward.only(loop, "provide-information").opened_by == parts[who]


@pytest.mark.parametrize("who", [ELSEWHERE, LAKESIDE])
def test_an_answer_is_to_the_question_that_it_names_and_to_none_where_it_names_none_of_several(
    ward: Ward, both: Both, who: str
) -> None:
    loop, parts, systems = both
    for number, (asker, system) in enumerate(systems.items()):
        asks(ward, loop, f"{asker}?", hours(1 + number), system)
    ours = client("practice-ehr", "practice")
    asks(ward, loop, "Four.", hours(3), ours)
    assert questions(loop) == 2, "nobody guesses whom it tells"
    asks(ward, loop, "Five.", hours(4), ours, about=[{"reference": f"Task/{parts[who].id}"}])
    left = ward.only(loop, "provide-information")
    assert left.opened_by != parts[who]


def test_what_becomes_more_urgent_while_it_waits_for_an_answer_is_due_as_urgently_once_it_is_given(ward: Ward) -> None:
    loop, part = ward.sent()
    ward.does(ward.clinic, part, "receive")
    with clock.at(hours(1)):
        ward.does(ward.clinic, part, "ask-information", question="Which side?")
        workflow.revise(Loop.objects.get(pk=loop.pk), {"priority": "stat"}, ward.referrer)
    with clock.at(hours(2)):
        ward.does(ward.referrer, ward.only(loop, "provide-information"), "answer", answer="The left one.")
    part.refresh_from_db()
    assert (part.stage, part.due_at) == ("in-triage", hours(26))
