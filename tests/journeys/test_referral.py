"""The main job: a referral composed by a person travels to another EHR, comes back, and closes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import known_patient
from tests.journeys.ehr import Ehr, booked, eventually, finished, letter
from tests.journeys.office import Office
from tests.journeys.product import Product
from tests.journeys.screen import Screen, signed_in

ASKED = "Do what was asked"
PLAN = {"Plan": "Continue treatment, recheck in six weeks", "The clinical question is answered": "yes"}

pytestmark = [pytest.mark.browser, pytest.mark.partner, pytest.mark.usefixtures("riverside")]


def compose(screen: Screen, family: str, service: str) -> None:
    page = screen.page
    page.get_by_role("navigation", name="Main").get_by_role("link", name="New referral").click()
    page.get_by_label("Name, birth date or identifier").fill(family)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name=family).first.click()
    page.get_by_label("Specialty, service or organisation").fill(service)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name=service).first.click()
    page.get_by_label("Reason and question").fill("Palpitations on exertion. Arrhythmia?")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("It is on its way.")


def instant(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def test_a_referral_travels_to_another_ehr_comes_back_and_closes(
    baton: Product, ehr: Ehr, browser: Browser, fixtures: Path
) -> None:
    person = known_patient(Office(baton, "practice-alder"), fixtures, "Alva*")
    family = person["name"][0]["family"]
    with signed_in(browser, baton, baton.login("doctor")) as screen:
        compose(screen, family, "Riverside cardiology")
        loop = screen.page.url
        token = person["identifier"][0]
        patient = ehr.one(f"Patient?identifier={token['system']}|{token['value']}")
        request = ehr.one(f"ServiceRequest?subject=Patient/{patient['id']}&identifier={baton.url}/id/servicerequest|")
        task = ehr.one(f"Task?focus=ServiceRequest/{request['id']}")
        owner = ehr.read(task["owner"]["reference"])
        assert owner["name"] == "Riverside Clinic"
        named = (f"ServiceRequest/{request['id']}", f"Patient/{patient['id']}")

        ehr.change(f"Task/{task['id']}", status="accepted")
        screen.sees(ASKED, "Accepted, to be booked")

        baton.kill_worker()
        ehr.create(booked(*named, instant(0.01), instant(0.02)))
        screen.sees(ASKED, "Booked")
        ehr.create(finished(*named, instant(-0.01), instant(0)))
        screen.sees(ASKED, "Seen, report awaited")

        document = ehr.create(letter(f"Patient/{patient['id']}", "Cardiology letter"))
        output = {"type": {"text": "report"}, "valueReference": {"reference": f"DocumentReference/{document['id']}"}}
        ehr.change(f"Task/{task['id']}", status="completed", output=[output])
        screen.sees("Review the report")
        screen.press("Acknowledge", "Review the report", PLAN)
        screen.sees("Tell the patient")

    with signed_in(browser, baton, baton.login("coordinator")) as screen:
        screen.page.goto(loop)
        screen.press("The patient was told", "Tell the patient", {"How": "phone"})
        screen.sees_the_end()
        screen.page.goto("/")

    assert ehr.read(f"Task/{task['id']}")["status"] == "completed"
    eventually("request completed", lambda: ehr.read(named[0])["status"] == "completed")
    for query in (
        f"Task?focus={named[0]}",
        f"ServiceRequest?subject={named[1]}&identifier={baton.url}/id/servicerequest|",
    ):
        assert len(ehr.search(query)) == 1
