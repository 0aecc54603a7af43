"""The people who stand in every story of the screens: Ana refers, Boris coordinates, Olga is an outsider."""

import pytest
from django.test import Client

from records import store
from records.access import SYSTEM
from records.models import Tenant
from referrals import people
from referrals.models import Membership, Pool, PoolMember, User
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
def hospital(db: None) -> str:
    return organization("org-hospital", "Northfield Hospital")


@pytest.fixture
def clinic(db: None) -> str:
    return organization("org-clinic", "Lakeside Clinic")


@pytest.fixture
def ana(hospital: str) -> User:
    return person("ana", "Ana", "Fernández", at=hospital, roles=["practitioner"])


@pytest.fixture
def boris(hospital: str) -> User:
    return person("boris", "Борис", "Иванов", at=hospital, roles=["coordinator"], language="ru")


@pytest.fixture
def olga(db: None) -> User:
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
