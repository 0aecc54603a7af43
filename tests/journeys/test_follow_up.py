"""A follow-up visit that another clinic's EHR books and holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.journeys.conftest import known_patient
from tests.journeys.ehr import Ehr, booked, eventually, finished, letter, reference
from tests.journeys.office import Json, Office
from tests.journeys.product import Product

pytestmark = pytest.mark.partner


def instant(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def wound_check(patient: str, performer: str) -> Json:
    """The practice's order, as its own system would write it."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "390906007"}]}],
        "code": {"text": "Wound check"},
        "subject": {"reference": f"Patient/{patient}"},
        "requester": {"reference": "Organization/practice-alder"},
        "performer": [{"reference": f"Organization/{performer}"}],
        "authoredOn": instant(0),
        "occurrencePeriod": {"start": instant(1), "end": instant(7)},
    }


def test_a_follow_up_is_booked_held_and_told(baton: Product, ehr: Ehr, riverside: str, fixtures: Path) -> None:
    office = Office(baton, "practice-alder")
    person = known_patient(office, fixtures, "Porsha*")
    visit = wound_check(person["id"], riverside)
    placed = office.call("POST", "fhir/ServiceRequest", visit)
    rows = office.call("GET", f"api/v1/follow-ups?patient={person['id']}")["rows"]
    loop = next(row["id"] for row in rows if row["request"] == placed["id"])

    token = person["identifier"][0]
    patient = reference(ehr.one(f"Patient?identifier={token['system']}|{token['value']}"))
    own = f"{office.url}/id/servicerequest|{placed['id']}"
    request = reference(ehr.one(f"ServiceRequest?identifier={own}"))
    task = reference(ehr.one(f"Task?focus={request}"))

    ehr.change(task, status="accepted")
    ehr.create(booked(request, patient, instant(0.01), instant(0.02)))
    office.open_one("follow-ups", loop, "fulfil", "booked")
    ehr.create(finished(request, patient, instant(-0.01), instant(0)))
    note = ehr.create(letter(patient, "Visit note"))
    output = {"type": {"text": "note"}, "valueReference": {"reference": f"DocumentReference/{note['id']}"}}
    ehr.change(task, status="in-progress")
    ehr.change(task, status="completed", output=[output])
    eventually("the note", lambda: office.loop("follow-ups", loop)["journal"][-1]["action"] == "amend")
    review = office.open_one("follow-ups", loop, "review-report")
    office.do(review, "acknowledge", plan="Stitches out next week", question_answered=True)
    office.do(office.open_one("follow-ups", loop, "notify-patient"), "tell", channel="at-visit")
    assert office.loop("follow-ups", loop)["loop"]["stage"] == "closed"

    # The practice placed the request, so the practice says that it has been carried out; the other copy follows.
    office.call("PUT", f"fhir/ServiceRequest/{placed['id']}", visit | {"id": placed["id"], "status": "completed"})
    eventually("request completed", lambda: ehr.read(request)["status"] == "completed")
