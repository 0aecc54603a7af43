"""A test ordered over the API travels to a laboratory's EHR; its result comes back, is corrected, and comes back again."""

from pathlib import Path

import pytest

from tests.journeys.conftest import known_patient
from tests.journeys.ehr import Ehr, eventually, reference, report
from tests.journeys.office import Json, Office
from tests.journeys.product import Product

pytestmark = [pytest.mark.partner, pytest.mark.usefixtures("riverside")]


def followers(office: Office, loop: str) -> list[Json]:
    rows = office.call("GET", "api/v1/test-orders?limit=50")["rows"]
    loops = (office.loop("test-orders", row["id"]) for row in rows)
    return [each for each in loops if each["loop"]["based_on"] == loop]


def completed_with_a_result(ehr: Ehr, office: Office, loop: str, token: dict[str, str]) -> str:
    """The laboratory accepts, collects, reports; the reference of its report there."""
    patient = reference(ehr.one(f"Patient?identifier={token['system']}|{token['value']}"))
    own = f"{office.url}/id/servicerequest|{office.loop('test-orders', loop)['loop']['request']}"
    request = reference(ehr.one(f"ServiceRequest?identifier={own}&subject={patient}"))
    task = reference(ehr.one(f"Task?focus={request}"))
    ehr.change(task, status="accepted")
    ehr.change(task, status="in-progress")
    office.open_one("test-orders", loop, "fulfil", "specimen-collected")
    named = reference(ehr.create(report(request, patient, "final", "Haemoglobin 9.1 g/dL")))
    ehr.change(task, status="completed", output=[{"type": {"text": "result"}, "valueReference": {"reference": named}}])
    return named


def test_a_result_is_reviewed_again_when_it_is_corrected(baton: Product, ehr: Ehr, fixtures: Path) -> None:
    office = Office(baton, "practice-alder")
    person = known_patient(office, fixtures, "Assunta*")
    loop = office.order(
        "test-orders",
        patient=person["id"],
        test="CBC panel",
        loinc="58410-2",
        service="riverside-laboratory",
        reason="Fatigue",
    )
    named = completed_with_a_result(ehr, office, loop, person["identifier"][0])
    first = office.open_one("test-orders", loop, "review-report")
    told = office.do(first, "acknowledge", plan="Iron, recheck", question_answered=True)
    assert told["loop_stage"] == "plan-to-patient"

    ehr.change(named, status="corrected", conclusion="Haemoglobin 11.9 g/dL")
    again = office.open_one("test-orders", loop, "review-report")
    assert again["id"] != first["id"]
    office.do(again, "acknowledge", plan="Nothing to do", question_answered=True)
    office.do(office.open_one("test-orders", loop, "notify-patient"), "tell", channel="phone")
    assert office.loop("test-orders", loop)["loop"]["stage"] == "closed"
    request = ehr.read(named)["basedOn"][0]["reference"]
    eventually("request completed", lambda: ehr.read(request)["status"] == "completed")

    ehr.change(named, status="amended", conclusion="Haemoglobin 11.9 g/dL, ferritin low")
    later = eventually("a new loop", lambda: followers(office, loop))
    assert len(later) == 1
    assert {each["kind"] for each in later[0]["handoffs"]} == {"review-report", "notify-patient"}
    assert office.loop("test-orders", loop)["loop"]["stage"] == "closed"
