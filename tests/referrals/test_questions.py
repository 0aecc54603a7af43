"""What a performer asks is somebody's to answer, wherever the performing stands and whatever has been asked before."""

from datetime import datetime
from typing import Any

import pytest

from records import clock
from referrals import intake
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import appointment
from tests.referrals.ward import Ward, hours


def asks(ward: Ward, loop: Loop, text: str, at: datetime) -> None:
    """The performer's EHR sends a message that names the order."""
    message = {
        "resourceType": "Communication",
        "id": clock.new_id(),
        "status": "completed",
        "basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}],
        "subject": {"reference": f"Patient/{loop.patient_id}"},
        "sent": at.isoformat(),
        "payload": [{"contentString": text}],
        "meta": {"lastUpdated": at.isoformat()},
    }
    with clock.at(at):
        intake.receive(message, ward.partner)


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
