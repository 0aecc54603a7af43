"""What people do on both sides, and what they were told: the history that the checker holds against the end.

Somebody who is not told that it worked, since the database went down, looks whether it did, and else does it again. So
each line of the history is a fact, and its text is there nowhere else.
"""

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import requests
from django.db import InterfaceError, OperationalError, connection

from bench.fake_ehr.moods import SPARED
from bench.fake_ehr.wire import Body
from fhir_bridge.connecting import partners
from fhir_bridge.models import Partner
from fhir_bridge.sharing import references
from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import BatonError, Stale
from records.json import Resource
from records.models import Tenant
from referrals import intake, people, workflow
from referrals.models import Handoff, Membership, User

log = logging.getLogger(__name__)
T = TypeVar("T")

PRACTICE, HOSPITAL, GP = "practice", "hospital", "gp"
REGISTER = "https://register.example/chaos"
NAME = "Hospital"
PATH = ("requested", "received", "accepted", "in-progress")
REFERRALS_PER_PATIENT = 5
RECENT = 20
TRIES = 200
ODDS = {"refer": 10, "note-here": 35, "note-there": 35, "go-on-there": 20}


@dataclass
class History:
    """What was told: the texts of each referral's notes (by its Task), how far the hospital went, and the patients."""

    notes: dict[str, list[str]] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    patients: list[str] = field(default_factory=list)
    done: int = 0


class People:
    """Those who work at the practice, in Baton, and at the hospital, in its EHR; ``wait`` passes a moment."""

    def __init__(self, base_url: str, origin: str, seed: int, wait: Callable[[], None]) -> None:
        self.base_url, self.origin, self.wait = base_url, origin, wait
        self.random = random.Random(f"people {seed}")
        self.history = History()
        self.session = requests.Session()
        self.session.headers[SPARED] = "1"
        self.gp: Actor = SYSTEM

    def found(self) -> Partner:
        """Write who is there, and connect the hospital."""
        for id_ in (PRACTICE, HOSPITAL):
            named = [{"system": REGISTER, "value": id_}]
            _keep({"resourceType": "Organization", "id": id_, "identifier": named, "name": id_.title()})
        Tenant.objects.create(organization=PRACTICE, name="Practice")
        named = [{"system": REGISTER, "value": GP}]
        _keep({"resourceType": "Practitioner", "id": GP, "identifier": named, "name": [{"family": "Gp"}]})
        user = User.objects.create(username=GP, practitioner=GP)
        Membership.objects.create(user=user, organization=PRACTICE, roles=["practitioner", "coordinator"])
        pool = people.create_pool(PRACTICE, "Practice", members=[user], is_default=True)
        self.gp = people.actor_for(user)
        partner = partners.add(NAME, self.base_url, organization=HOSPITAL, steward_pool=pool.id)
        partners.discover(partner)
        return partner

    def act(self) -> str:
        """Somebody does something; give its name. Where the hospital can't yet, the practice says something instead."""
        name = self.random.choices(list(ODDS), list(ODDS.values()))[0]
        recent = list(self.history.notes)[-RECENT:]
        task = self.random.choice(recent) if recent else ""
        if name == "refer" or not task:
            self.refer()
        elif not self._do(name, task):
            self.note_here(task)
        self.history.done += 1
        return name

    def _do(self, name: str, task: str) -> bool:
        actions = {"note-here": self.note_here, "note-there": self.note_there, "go-on-there": self.go_on_there}
        return actions[name](task)

    def refer(self) -> None:
        """The GP refers somebody to the hospital."""
        number = len(self.history.notes)
        patient = f"patient-{number // REFERRALS_PER_PATIENT}"
        if patient not in self.history.patients:
            self._surely(lambda: _known("Patient", patient), lambda: self._register(patient))
            self.history.patients.append(patient)
        order = _order(f"request-{number}", patient)
        task = self._surely(lambda: _task_of(order.request), lambda: self._refer(order))
        self.history.notes[task], self.history.status[task] = [], PATH[0]

    def note_here(self, task: str) -> bool:
        """Somebody at the practice says something about a referral."""
        text = self._new_text(task, "here")
        self._surely(lambda: text in notes(store.get("Task", task)), lambda: self._note(task, text))
        self.history.notes[task].append(text)
        return True

    def note_there(self, task: str) -> bool:
        """Somebody at the hospital says something about it, if they have heard of it."""
        text = self._new_text(task, "there")
        changed = self._change(task, lambda held: {"note": [*held.get("note", []), {"text": text}]})
        if changed:
            self.history.notes[task].append(text)
        return changed

    def go_on_there(self, task: str) -> bool:
        """The hospital takes the next step of it, if there is one."""
        now = self.history.status[task]
        if now == PATH[-1]:
            return False
        further = PATH[PATH.index(now) + 1]
        changed = self._change(task, lambda _held: {"status": further})
        if changed:
            self.history.status[task] = further
        return changed

    def _new_text(self, task: str, where: str) -> str:
        return f"{where} {self.history.done} {len(self.history.notes[task])}"

    # Here, in Baton

    def _surely(self, look: Callable[[], T], do: Callable[[], object]) -> T:
        """What ``look`` finds once it was done, which it is once, through every outage of the database."""
        for _try in range(TRIES):
            try:
                found = look()
                if found:
                    return found
                do()
            except (OperationalError, InterfaceError) as error:
                log.debug("the database is away: %s", type(error).__name__)
                connection.close()
                self.wait()
            except Stale:
                continue
        message = "the database does not come back"
        raise RuntimeError(message)

    def _register(self, patient: str) -> None:
        named = [{"system": REGISTER, "value": patient}]
        body = {"resourceType": "Patient", "id": patient, "identifier": named, "name": [{"family": "Chaos"}]}
        _keep({**body, "birthDate": "1980-01-31"}, PRACTICE)

    def _refer(self, order: workflow.Order) -> None:
        _keep(_request(order))
        workflow.open_loop(order, self.gp)

    def _note(self, task: str, text: str) -> None:
        stored = store.read("Task", task)
        held = store.get("Task", task)
        said = {**held, "note": [*held.get("note", []), {"text": text}]}
        intake.receive(said, self.gp, if_match=stored.version)

    # There, in the EHR

    def _change(self, task: str, change: Callable[[Body], Body]) -> bool:
        """Whether the hospital has the Task and took the change; by its own rules, with the version that was read."""
        for _try in range(TRIES):
            named = references.identifier(self.origin, "Task", task)
            asked = {"identifier": f"{named['system']}|{named['value']}"}
            found = self.session.get(f"{self.base_url}/Task", params=asked, timeout=30).json().get("entry", [])
            if not found:
                return False
            held = found[0]["resource"]
            headers = {"If-Match": f'W/"{held["meta"]["versionId"]}"'}
            url = f"{self.base_url}/Task/{held['id']}"
            if self.session.put(url, json={**held, **change(held)}, headers=headers, timeout=30).ok:
                return True
        return False


def notes(task: Resource) -> Iterator[str]:
    """The texts of a Task's notes, in its order."""
    return (each["text"] for each in task.get("note", []))


def _order(request: str, patient: str) -> workflow.Order:
    return workflow.Order(
        kind="referral",
        request=request,
        patient_id=patient,
        placer=PRACTICE,
        performer=HOSPITAL,
        requester=GP,
        title="Cardiology",
        is_sent=True,
    )


def _request(order: workflow.Order) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "id": order.request,
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]},
        "subject": {"reference": f"Patient/{order.patient_id}"},
        "requester": {"reference": f"Practitioner/{GP}"},
        "performer": [{"reference": f"Organization/{HOSPITAL}"}],
        "authoredOn": clock.now().isoformat(timespec="seconds"),
    }


def _task_of(request: str) -> str:
    found = Handoff.objects.filter(loop__request_id=request, kind="fulfil").values_list("pk", flat=True).first()
    return found or ""


def _known(type_: str, id_: str) -> bool:
    try:
        store.read(type_, id_)
    except BatonError:
        return False
    return True


def _keep(resource: Resource, *audience: str) -> None:
    store.write(resource, actor=SYSTEM, audience=audience)
