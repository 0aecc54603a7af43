"""A referral to a hospital with a real FHIR server, from the order to the report: each step of theirs is seen here."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import store
from records.types import row_class
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import ANA, MRN, Story

pytestmark = pytest.mark.partner


class Clerk:
    """Somebody who works in the hospital's EHR: plain FHIR writes, no knowledge of Baton."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def read(self, type_: str, id_: str) -> dict[str, Any]:
        return self._json(requests.get(f"{self.base_url}/{type_}/{id_}", timeout=30))

    def find(self, type_: str, **query: str) -> list[dict[str, Any]]:
        headers = {"Cache-Control": "no-cache"}
        found = self._json(requests.get(f"{self.base_url}/{type_}", params=query, headers=headers, timeout=30))
        return [entry["resource"] for entry in found.get("entry", [])]

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._json(requests.post(f"{self.base_url}/{body['resourceType']}", json=body, timeout=30))

    def change(self, type_: str, id_: str, **elements: Any) -> dict[str, Any]:
        body = self.read(type_, id_) | elements
        return self._json(requests.put(f"{self.base_url}/{type_}/{id_}", json=body, timeout=30))

    def _json(self, reply: requests.Response) -> dict[str, Any]:
        assert reply.ok, reply.text
        found: dict[str, Any] = reply.json()
        return found


@pytest.fixture
def clerk(hapi: Partner) -> Clerk:
    return Clerk(hapi.base_url)


def exchange(partner: Partner) -> None:
    """What the worker does in one round; nobody commits late here, and the partner's Date has whole seconds."""
    partner.refresh_from_db()
    partner.lag_seconds = -2.0
    partner.save()
    pushing.run_once(partner)
    polling.poll(partner)
    applying.apply_pending(partner)
    pushing.run_once(partner)
    partner.refresh_from_db()


def stage(handoff: Handoff) -> str:
    return str(Handoff.objects.get(pk=handoff.pk).stage)


def remote(type_: str) -> str:
    return str(Link.objects.get(type=type_, origin="ours").remote_id)


def iso(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


@dataclass
class Visit:
    """The hospital's side of one referral: what its clerk and its physician write about it."""

    clerk: Clerk
    request: str
    patient: str

    def book(self) -> None:
        who = {"actor": self._patient(), "status": "accepted"}
        slot = {"start": iso(1), "end": iso(1.02), "participant": [who]}
        self.clerk.post({"resourceType": "Appointment", "status": "booked", **slot, **self._about()})

    def see(self) -> None:
        ambulatory = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        seen = {"status": "finished", "class": ambulatory, "subject": self._patient()}
        self.clerk.post({"resourceType": "Encounter", **seen, **self._about()})

    def write_letter(self, author: str) -> str:
        """The letter says nothing of the request; its reference."""
        doctor = self.clerk.post({"resourceType": "Practitioner", "name": [{"family": author}]})
        letter = self.clerk.post(
            {
                "resourceType": "DocumentReference",
                "status": "current",
                "docStatus": "final",
                "author": [{"reference": f"Practitioner/{doctor['id']}"}],
                "content": [{"attachment": {"contentType": "text/plain", "data": "QWxsIHdlbGw="}}],
                "subject": self._patient(),
            }
        )
        return f"DocumentReference/{letter['id']}"

    def _patient(self) -> dict[str, str]:
        return {"reference": f"Patient/{self.patient}"}

    def _about(self) -> dict[str, Any]:
        return {"basedOn": [{"reference": f"ServiceRequest/{self.request}"}]}


def test_the_hospital_receives_books_sees_and_reports(story: Story, hapi: Partner, clerk: Clerk) -> None:
    handoff = story.refer()
    exchange(hapi)
    task, visit = remote("Task"), Visit(clerk, remote("ServiceRequest"), remote("Patient"))
    assert clerk.read("Task", task)["focus"]["reference"] == f"ServiceRequest/{visit.request}"
    assert len(clerk.find("Patient", identifier=f"{MRN}|4711-{story.run}")) == 1

    clerk.change("Task", task, status="accepted")
    exchange(hapi)
    assert stage(handoff) == "awaiting-booking"

    visit.book()
    exchange(hapi)
    assert stage(handoff) == "scheduled"

    visit.see()
    exchange(hapi)
    assert stage(handoff) == "seen-awaiting-report"

    output = {"type": {"text": "report"}, "valueReference": {"reference": visit.write_letter(f"Heart-{story.run}")}}
    clerk.change("Task", task, status="completed", output=[output])
    exchange(hapi)
    assert stage(handoff) == "report-sent"
    assert Handoff.objects.get(loop=handoff.loop, kind="review-report").is_open
    nothing_is_left_to_mend()
    held = store.get("DocumentReference", Link.objects.get(type="DocumentReference").local_id)
    author = held["author"][0]["reference"].split("/")[1]
    assert held["subject"]["reference"] == f"Patient/{ANA}"
    assert store.get("Practitioner", author)["name"] == [{"family": f"Heart-{story.run}"}]


def nothing_is_left_to_mend() -> None:
    assert Inbox.objects.exclude(state__in=["applied", "discarded"]).count() == 0
    assert not Loop.objects.filter(kind__in=["upkeep", "unsolicited"]).exists()


def test_a_decline_comes_back_as_a_decision_for_the_referrer(story: Story, hapi: Partner, clerk: Clerk) -> None:
    handoff = story.refer()
    exchange(hapi)

    clerk.change("Task", remote("Task"), status="rejected", statusReason={"text": "No capacity"})
    exchange(hapi)

    assert stage(handoff) == "declined"
    assert Handoff.objects.filter(loop=handoff.loop, kind="decide-next-step", closed_at=None).exists()


def test_a_repeated_poll_and_the_echo_of_our_own_writes_change_nothing(
    story: Story, hapi: Partner, clerk: Clerk
) -> None:
    handoff = story.refer()
    exchange(hapi)
    clerk.change("Task", remote("Task"), status="accepted")
    exchange(hapi)
    before = (Inbox.objects.count(), store.read("Task", handoff.id).version, row_class("Task").rows("Task").count())

    for _round in range(3):
        exchange(hapi)

    assert (
        Inbox.objects.count(),
        store.read("Task", handoff.id).version,
        row_class("Task").rows("Task").count(),
    ) == before
    assert set(Link.objects.values_list("state", flat=True)) == {"clean"}


def test_what_does_not_concern_us_is_not_taken(story: Story, hapi: Partner, clerk: Clerk) -> None:
    story.refer()
    exchange(hapi)
    other = clerk.post({"resourceType": "Patient", "name": [{"family": f"Nobody-{story.run}"}]})
    clerk.post(
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "for": {"reference": f"Patient/{other['id']}"},
        }
    )
    coded = {"text": "Blood pressure"}
    ana = {"reference": f"Patient/{remote('Patient')}"}
    clerk.post({"resourceType": "Observation", "status": "final", "code": coded, "subject": ana})

    exchange(hapi)

    assert not Inbox.objects.exclude(type="Task").exists()
    assert not row_class("Patient").rows("Patient").exclude(id=ANA).exists()


def test_a_cancelled_referral_is_cancelled_there(story: Story, hapi: Partner, clerk: Clerk) -> None:
    handoff = story.refer()
    exchange(hapi)
    offers = {offer.action for offer in workflow.available(story.gp, handoff)}
    assert "cancel" in offers, offers

    workflow.perform(handoff.id, "cancel", story.gp, data={"reason": "duplicate"})
    exchange(hapi)

    assert clerk.read("Task", remote("Task"))["status"] == "cancelled"
