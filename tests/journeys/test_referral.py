"""The main job: a referral composed by a person travels to another EHR, comes back, and closes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import known_patient
from tests.journeys.ehr import Ehr, booked, eventually, finished, letter, reference
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


@dataclass
class Copies:
    """What the other EHR holds of one referral, by reference there."""

    ehr: Ehr
    patient: str
    request: str
    task: str

    @classmethod
    def found(cls, ehr: Ehr, baton: Product, token: dict[str, str]) -> "Copies":
        """Wait for them: one of each."""
        patient = reference(ehr.one(f"Patient?identifier={token['system']}|{token['value']}"))
        request = reference(ehr.one(f"ServiceRequest?subject={patient}&identifier={baton.url}/id/servicerequest|"))
        return cls(ehr, patient, request, reference(ehr.one(f"Task?focus={request}")))

    def report(self) -> None:
        """The specialist writes the letter and completes the Task with it."""
        document = self.ehr.create(letter(self.patient, "Cardiology letter"))
        output = {"type": {"text": "report"}, "valueReference": {"reference": reference(document)}}
        self.ehr.change(self.task, status="completed", output=[output])

    def are_single_and_completed(self, baton: Product) -> None:
        """However often it was sent, there is one of each; both say that it has been done."""
        assert self.ehr.read(self.task)["status"] == "completed"
        eventually("request completed", lambda: self.ehr.read(self.request)["status"] == "completed")
        ours = f"ServiceRequest?subject={self.patient}&identifier={baton.url}/id/servicerequest|"
        assert [len(self.ehr.search(query)) for query in (f"Task?focus={self.request}", ours)] == [1, 1]


def test_a_referral_travels_to_another_ehr_comes_back_and_closes(
    baton: Product, ehr: Ehr, browser: Browser, fixtures: Path
) -> None:
    person = known_patient(Office(baton, "practice-alder"), fixtures, "Alva*")
    with signed_in(browser, baton, baton.login("doctor")) as screen:
        compose(screen, person["name"][0]["family"], "Riverside cardiology")
        loop = screen.page.url
        there = Copies.found(ehr, baton, person["identifier"][0])
        assert ehr.read(ehr.read(there.task)["owner"]["reference"])["name"] == "Riverside Clinic"

        ehr.change(there.task, status="accepted")
        screen.sees(ASKED, "Accepted, to be booked")

        baton.kill_worker()
        ehr.create(booked(there.request, there.patient, instant(0.01), instant(0.02)))
        screen.sees(ASKED, "Booked")
        ehr.create(finished(there.request, there.patient, instant(-0.01), instant(0)))
        screen.sees(ASKED, "Seen, report awaited")

        there.report()
        screen.sees("Review the report")
        screen.press("Acknowledge", "Review the report", PLAN)
        screen.sees("Tell the patient")

    with signed_in(browser, baton, baton.login("coordinator")) as screen:
        screen.page.goto(loop)
        screen.press("The patient was told", "Tell the patient", {"How": "phone"})
        screen.sees_the_end()
        screen.page.goto("/")

    there.are_single_and_completed(baton)
