"""The people who stand in every story of the screens.

Ana refers at the hospital, Boris coordinates there, Clara works at the clinic that performs, Olga is an outsider.
Their patient is María; the clinic's service is Cardiology, with a wait of 18 days.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from records import clock, store
from records.access import SYSTEM
from records.models import Tenant
from referrals import people, workflow
from referrals.models import Handoff, Loop, Membership, Pool, PoolMember, User
from web.management.commands.translations import compile_all

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def catalogues() -> None:
    compile_all()


def organization(key: str, name: str) -> str:
    Tenant.objects.create(organization=key, name=name)
    store.write({"resourceType": "Organization", "id": key, "name": name, "active": True}, actor=SYSTEM)
    return key


def person(username: str, given: str, family: str, *, at: str, roles: list[str], language: str = "en") -> User:
    practitioner = f"practitioner-{username}"
    name = [{"given": [given], "family": family}]
    store.write({"resourceType": "Practitioner", "id": practitioner, "name": name}, actor=SYSTEM)
    user = User.objects.create_user(
        username, password=PASSWORD, first_name=given, last_name=family, practitioner=practitioner, language=language
    )
    Membership.objects.create(user=user, organization=at, roles=roles)
    PoolMember.objects.create(pool=Pool.objects.get(owner=people.default_pool(at)), user=user)
    return user


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def kept(db: None) -> None:
    """Where the story's rows live: in a transaction that is rolled back; the browser's stories commit theirs."""


@pytest.fixture
def hospital(kept: None) -> str:
    return organization("org-hospital", "Northfield Hospital")


@pytest.fixture
def clinic(kept: None) -> str:
    return organization("org-clinic", "Lakeside Clinic")


@pytest.fixture
def ana(hospital: str) -> User:
    return person("ana", "Ana", "Fernández", at=hospital, roles=["practitioner"])


@pytest.fixture
def boris(hospital: str) -> User:
    return person("boris", "Борис", "Иванов", at=hospital, roles=["coordinator"], language="ru")


@pytest.fixture
def olga(kept: None) -> User:
    return person("olga", "Olga", "Outsider", at=organization("org-other", "Other House"), roles=["coordinator"])


@pytest.fixture
def as_ana(ana: User) -> Client:
    return browser_of(ana)


@pytest.fixture
def as_boris(boris: User) -> Client:
    return browser_of(boris)


@pytest.fixture
def as_olga(olga: User) -> Client:
    return browser_of(olga)


@pytest.fixture
def clara(clinic: str) -> User:
    return person("clara", "Clara", "Consultant", at=clinic, roles=["practitioner"])


@pytest.fixture
def as_clara(clara: User) -> Client:
    return browser_of(clara)


@pytest.fixture
def maria(hospital: str, clinic: str) -> str:
    body = {
        "resourceType": "Patient",
        "id": "patient-maria",
        "identifier": [{"system": "urn:mrn", "value": "MRN-4471"}],
        "name": [{"given": ["María José"], "family": "García"}],
        "gender": "female",
        "birthDate": "1961-04-12",
    }
    return store.write(body, actor=SYSTEM, audience=[hospital, clinic]).id


@pytest.fixture
def cardiology(clinic: str) -> str:
    wait = {"url": f"{settings.BATON_BASE_URL}/StructureDefinition/wait-days", "valueInteger": 18}
    body = {
        "resourceType": "HealthcareService",
        "id": "service-cardiology",
        "active": True,
        "name": "Heart failure clinic",
        "providedBy": {"reference": f"Organization/{clinic}"},
        "specialty": [{"text": "Cardiology"}],
        "extension": [wait],
    }
    return store.write(body, actor=SYSTEM).id


@dataclass(frozen=True)
class Story:
    """A referral that Ana made for María to Clara's clinic, and the verbs to tell what happens to it."""

    loop: Loop
    ana: User
    clara: User

    def handoff(self, kind: str = "fulfil") -> Handoff:
        return Handoff.objects.select_related("loop__accountable", "owner").get(
            loop=self.loop, kind=kind, closed_at=None
        )

    def does(self, user: User, action: str, kind: str = "fulfil", **data: Any) -> None:
        workflow.perform(self.handoff(kind).id, action, people.actor_for(user), data=data)


def refer(ana: User, patient: str, performer: str, title: str = "Cardiology", **more: Any) -> Loop:
    """A referral, or what ``kind`` says, that has been sent."""
    actor = people.actor_for(ana)
    said: dict[str, Any] = {"title": title, "requester": ana.practitioner, "ordered_at": clock.now()}
    facts = {"kind": "referral"} | said | more
    order = workflow.Order(
        request=clock.new_id(), patient_id=patient, placer=actor.organization, performer=performer, **facts
    )
    loop = workflow.open_loop(order, actor)
    dispatch = Handoff.objects.get(loop=loop, kind="dispatch")
    workflow.perform(dispatch.id, "send", actor)
    return Loop.objects.get(pk=loop.pk)


@pytest.fixture
def story(ana: User, clara: User, maria: str, clinic: str) -> Story:
    return Story(refer(ana, maria, clinic), ana, clara)
