"""The generated region: who is there, and that a seed always gives the same one."""

import re
from typing import Any

import pytest
from django.db import transaction

from demo.accounts import logins
from demo.loading import Region
from demo.region import EXTERNAL, PLACES
from records import access, store
from records.models import Tenant
from records.types import row_class
from referrals import people
from referrals.models import Calendar, Pool, User
from tests.demo.conftest import load_region

MOST_LOOPS = 4


def snapshot(seed: int) -> dict[str, list[Any]]:
    """All that a seed leaves in the database, taken back afterwards."""
    kinds = ("Organization", "Practitioner", "Patient", "CareTeam", "ServiceRequest", "Task")
    found: dict[str, list[Any]] = {}
    with transaction.atomic():
        load_region(seed=seed, most_loops=8)
        for kind in kinds:
            found[kind] = list(row_class(kind).rows(kind).order_by("id").values_list("id", "body"))
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db
def test_a_seed_always_gives_the_same_region_and_another_seed_another() -> None:
    first, again, other = snapshot(seed=3), snapshot(seed=3), snapshot(seed=4)
    assert first == again
    assert {kind: len(rows) for kind, rows in first.items()}.keys() == other.keys()
    assert first["Patient"] != other["Patient"]


def test_three_hospitals_six_practices_and_forty_practitioners_work_here(region: Region) -> None:
    assert Tenant.objects.filter(organization__startswith="hospital-").count() == 3
    assert Tenant.objects.filter(organization__startswith="practice-").count() == 6
    assert row_class("Practitioner").rows("Practitioner").count() == 40 == len(region.staff)
    assert row_class("PractitionerRole").rows("PractitionerRole").count() == 40
    assert Tenant.objects.order_by("organization").values_list("organization", flat=True)[0] == "hospital-harbour"


def test_patients_have_names_in_three_scripts(region: Region) -> None:
    names = [patient.person.display for patient in region.patients]
    assert any(re.search("[а-яё]", name) for name in names)
    assert any(re.search("[áéíóúñ]", name) for name in names)
    assert any(name.isascii() for name in names)
    assert len({patient.id for patient in region.patients}) == 60


def test_every_service_says_how_long_one_waits_and_who_gives_it(region: Region) -> None:
    assert region.staff
    rows = row_class("HealthcareService").rows("HealthcareService")
    assert rows.count() == sum(len(place.services) for place in PLACES)
    for row in rows:
        body = store.get("HealthcareService", row.id)
        assert body["extension"][0]["url"].endswith("/StructureDefinition/wait-days")
        organization = body["providedBy"]["reference"].removeprefix("Organization/")
        assert access.root(organization) in {place.id for place in PLACES}


def test_an_external_organisation_is_in_the_directory_and_nobody_signs_in_for_it(region: Region) -> None:
    assert region.staff
    for place in EXTERNAL:
        assert store.get("Organization", place.id)["name"] == place.name
        assert not access.is_tenant(place.id)


def test_everybody_who_is_shown_a_login_can_use_it_and_has_a_list(region: Region) -> None:
    assert region.staff
    for login in logins():
        user = User.objects.get(username=login.username)
        actor = people.actor_for(user)
        assert user.check_password(login.password)
        assert actor.roles
        assert actor.practitioner in store.read("Practitioner", actor.practitioner).body
        assert login.role == "doctor" or people.lists_of(actor)


def test_every_organisation_of_ours_has_a_supervised_pool_and_a_calendar(region: Region) -> None:
    assert region.staff
    for tenant in Tenant.objects.all():
        pool = Pool.objects.get(organization=tenant.organization, is_default=True)
        assert pool.supervisor is not None
        assert store.get("CareTeam", pool.id)["name"] == pool.name
        assert Calendar.objects.filter(organization=tenant.organization).exists()


def test_a_practice_sees_its_own_patients_and_no_others(region: Region) -> None:
    actor = people.actor_for(User.objects.get(username="alder.coordinator"))
    seen = set(access.visible(actor, "Patient").values_list("id", flat=True))
    assert seen == {patient.id for patient in region.patients if patient.place.id == "practice-alder"}
