"""The practice works in one EHR and the hospital in another; Baton stands between, and each side has ids of its own.

Both are driven as their own users drive them: plain FHIR over HTTP, no word of Baton's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from bench.fake_ehr import FakeEhr
from bench.fake_ehr.moods import SPARED
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, errors
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import GP, HOSPITAL, MRN, NPI, PRACTICE, REGISTER, Story

Body = dict[str, Any]
FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
CARDIOLOGY = {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}], "text": "Cardiology"}
PANEL = {"coding": [{"system": "http://loinc.org", "code": "24323-8"}], "text": "Metabolic panel"}
AMBULATORY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
OF_THE_PERFORMER = ("status", "businessStatus", "statusReason", "executionPeriod")
ENOUGH_ROUNDS = 2
A_LONG_TIME_SECONDS = 3600.0  # longer than any pause after a failure


class People:
    """Who works at one EHR. What they do reaches their own server also while nobody else does."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = requests.Session()
        self.http.headers.update({SPARED: "1", "Cache-Control": "no-cache", "Content-Type": "application/fhir+json"})

    def read(self, reference: str) -> Body:
        return self._call("GET", reference)

    def find(self, query: str) -> list[Body]:
        return [entry["resource"] for entry in self._call("GET", query).get("entry", [])]

    def only(self, query: str) -> str:
        """The reference of the one that there is."""
        (found,) = self.find(query)
        return reference(found)

    def write(self, body: Body) -> str:
        """Create it; its reference."""
        return reference(self._call("POST", body["resourceType"], body))

    def change(self, what: str, **elements: Any) -> Body:
        """Set elements; None removes one."""
        body = self.read(what) | elements
        return self._call("PUT", what, {name: value for name, value in body.items() if value is not None})

    def outcome(self, task: Body) -> list[Body]:
        """What a Task has as output, followed through this server until nothing names an id of its own any more."""
        return [self._followed(each) for each in task.get("output", [])]

    def _followed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._followed(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "reference" in value:
            return self._told(self.read(value["reference"]))
        return {name: self._followed(each) for name, each in value.items()}

    def _told(self, body: Body) -> Body:
        """A resource without what each server or Baton puts there; of whom and what it is about, the name in the world."""
        if body["resourceType"] in {"Patient", "Organization"}:
            return {"identifier": body["identifier"][0]}
        if body["resourceType"] == "ServiceRequest":
            return {"code": body["code"]}
        return {name: self._followed(each) for name, each in body.items() if name not in {"id", "meta", "identifier"}}

    def _call(self, verb: str, path: str, body: Body | None = None) -> Body:
        reply = self.http.request(verb, f"{self.base_url}/{path}", json=body, timeout=60)
        assert reply.ok, f"{verb} {path}: {reply.status_code} {reply.text[:500]}"
        found: Body = reply.json()
        return found


def reference(body: Body) -> str:
    return f"{body['resourceType']}/{body['id']}"


def named(system: str, name: str, run: str) -> list[Body]:
    return [{"system": system, "value": f"{name}-{run}"}]


def iso(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


@dataclass
class Practice:
    """The placer's side: who orders, and what they see of it."""

    people: People
    run: str
    patient: str = ""
    hospital: str = ""
    request: str = ""
    task: str = ""

    def admit(self) -> None:
        """Ana and the hospital, as the practice's EHR knows them."""
        self.patient = self.people.write(
            {"resourceType": "Patient", "identifier": named(MRN, "4711", self.run), "name": [{"family": "Canary"}]}
        )
        self.hospital = self.people.write(
            {"resourceType": "Organization", "identifier": named(REGISTER, HOSPITAL, self.run), "name": "Hospital Nord"}
        )

    def order(self, code: Body) -> None:
        """A clinician orders something of the hospital's."""
        doctor = self.people.write({"resourceType": "Practitioner", "identifier": named(NPI, GP, self.run)})
        self.request = self.people.write(
            {
                "resourceType": "ServiceRequest",
                "status": "active",
                "intent": "order",
                "priority": "routine",
                "code": code,
                "subject": {"reference": self.patient},
                "requester": {"reference": doctor},
                "performer": [{"reference": self.hospital}],
                "authoredOn": iso(0),
            }
        )

    def ask(self) -> None:
        """The Task with which the hospital is asked to fulfil it."""
        self.task = self.people.write(
            {
                "resourceType": "Task",
                "status": "requested",
                "intent": "order",
                "code": FULFILL,
                "focus": {"reference": self.request},
                "for": {"reference": self.patient},
                "owner": {"reference": self.hospital},
                "note": [{"text": "Please call first"}],
            }
        )


@dataclass
class Hospital:
    """The performer's side: who gets the order, and what they write about it."""

    people: People

    @property
    def task(self) -> str:
        """The Task that asks for the fulfilment."""
        return self._task("fulfill")

    @property
    def abort(self) -> str:
        """The Task that asks to give it up."""
        return self._task("abort")

    @property
    def request(self) -> str:
        return self.people.only("ServiceRequest")

    @property
    def patient(self) -> str:
        return self.people.only("Patient")

    def say(self, status: str, **elements: Any) -> None:
        """The next version of the Task."""
        self.people.change(self.task, status=status, **elements)

    def book(self) -> None:
        who = {"actor": {"reference": self.patient}, "status": "accepted"}
        slot = {"start": iso(1), "end": iso(1.02), "participant": [who]}
        self.people.write({"resourceType": "Appointment", "status": "booked", **slot, **self._about()})

    def see(self) -> None:
        seen = {"status": "finished", "class": AMBULATORY, "subject": {"reference": self.patient}}
        self.people.write({"resourceType": "Encounter", **seen, **self._about()})

    def write_letter(self) -> str:
        """The specialist's letter; it says nothing of the request."""
        doctor = self.people.write({"resourceType": "Practitioner", "name": [{"family": "Heart"}]})
        return self.people.write(
            {
                "resourceType": "DocumentReference",
                "status": "current",
                "author": [{"reference": doctor}],
                "content": [{"attachment": {"contentType": "text/plain", "data": "QWxsIHdlbGw="}}],
                "subject": {"reference": self.patient},
            }
        )

    def measure(self, name: str) -> str:
        body = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": name},
            "valueString": f"{name} is 1.50",
        }
        return self.people.write({**body, "subject": {"reference": self.patient}, **self._about()})

    def write_report(self, *values: str) -> str:
        """The laboratory's report with these values."""
        body = {"resourceType": "DiagnosticReport", "status": "final", "code": PANEL, "conclusion": "Normal"}
        results = {"result": [{"reference": each} for each in values], "subject": {"reference": self.patient}}
        return self.people.write({**body, **results, **self._about()})

    def _task(self, code: str) -> str:
        (found,) = (each for each in self.people.find("Task") if each["code"]["coding"][0]["code"] == code)
        return reference(found)

    def _about(self) -> Body:
        return {"basedOn": [{"reference": self.request}]}


@dataclass
class Region:
    """Both sides, and Baton between them. ``passed``: how much later it is for Baton and the fakes than by the machine's clock."""

    story: Story
    practice: Practice
    hospital: Hospital
    fakes: tuple[FakeEhr, ...]
    office: Partner
    clinic: Partner
    passed: timedelta = field(default_factory=timedelta)

    def exchange(self, *, hospital_first: bool = False) -> None:
        """What the workers do in some rounds."""
        both = [self.office, self.clinic]
        for _round in range(ENOUGH_ROUNDS):
            with clock.at(datetime.now(UTC) + self.passed):
                for partner in reversed(both) if hospital_first else both:
                    partner.refresh_from_db()
                    _work(partner)

    def later(self) -> None:
        """Let time pass for everybody: whoever waits after a failure may try again."""
        self.passed += timedelta(seconds=A_LONG_TIME_SECONDS)
        for fake in self.fakes:
            fake.skew = self.passed

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Within, no exchange with either side gets through; people reach their own EHR."""
        for fake in self.fakes:
            fake.mood = lambda request: "" if SPARED in request.headers else "reset-before"
        try:
            yield
        finally:
            for fake in self.fakes:
                fake.mood = None

    def order(self, code: Body) -> None:
        """The practice orders, and the hospital has it."""
        self.practice.admit()
        self.practice.order(code)
        self.practice.ask()
        self.exchange()
        self.agrees("requested")

    def fulfil(self) -> Handoff:
        """What the practice's Task is here; its server may have others' too."""
        asked = Link.objects.get(partner=self.office, type="Task", remote_id=self.practice.task.split("/")[1])
        return Handoff.objects.get(pk=asked.local_id)

    def agrees(self, status: str, stage: str = "") -> None:
        """Both copies of the Task have this status, and say the same of how it stands and what came of it."""
        here, there = self.practice.people.read(self.practice.task), self.hospital.people.read(self.hospital.task)
        assert (here["status"], there["status"]) == (status, status)
        assert [here.get(name) for name in OF_THE_PERFORMER] == [there.get(name) for name in OF_THE_PERFORMER]
        assert self.practice.people.outcome(here) == self.hospital.people.outcome(there)
        assert stage in {"", self.fulfil().stage}

    def is_settled(self) -> None:
        """Nothing waits anywhere, and nobody has anything to mend."""
        assert not Link.objects.exclude(state=Link.State.CLEAN).values_list("type", "state", "error_text")
        done = (Inbox.State.APPLIED, Inbox.State.DISCARDED)
        assert not Inbox.objects.exclude(state__in=done).values_list("type", "state", "error_text")
        assert not Loop.objects.filter(kind__in=("upkeep", "unsolicited"), closed_at=None).exists()


def _work(partner: Partner) -> None:
    pushing.run_once(partner)
    try:
        polling.poll(partner)
    except errors.Unavailable:
        return
    applying.apply_pending(partner)
    pushing.run_once(partner)


def build_region(story: Story, office_url: str, clinic: FakeEhr, *fakes: FakeEhr) -> Region:
    """The practice's EHR is its own; the hospital's is somebody else's."""
    office = partners.add("Office", office_url, organization=PRACTICE, tenant=PRACTICE)
    hospital = partners.add("Hospital", clinic.base_url, organization=HOSPITAL, steward_pool=story.pool)
    for partner in (office, hospital):
        partner.lag_seconds = -2.0  # its Date has whole seconds; here nobody commits late
        partner.save()
    return Region(
        story,
        Practice(People(office_url), story.run),
        Hospital(People(clinic.base_url)),
        (clinic, *fakes),
        office,
        hospital,
    )
