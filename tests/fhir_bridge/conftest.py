"""Baton with one practice, and a hospital with an EHR of its own: a real FHIR server, or the fake one that misbehaves."""

import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations
from fhir_bridge.connecting import keys, partners
from fhir_bridge.connecting.credentials import Credentials, put
from fhir_bridge.models import Partner
from fhir_bridge.outbound import pushing
from referrals.models import Handoff
from tests.fhir_bridge.authority import Authority
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story, build, promise


@pytest.fixture
def story(settings: Settings, db: None) -> Story:
    """An installation of its own for each story: the shared partner has seen many."""
    run = uuid.uuid4().hex[:10]
    settings.BATON_BASE_URL = f"https://baton-{run}.example"
    return build(run)


@pytest.fixture
def hapi(story: Story, fhir_partner: str) -> Partner:
    """The hospital, with a real FHIR server as its EHR."""
    partner = partners.add("Hospital", fhir_partner, organization=HOSPITAL, steward_pool=story.pool)
    operations.test(partner)
    return partners.by_name("Hospital")


@pytest.fixture
def ehr() -> Iterator[FakeEhr]:
    with FakeEhr() as fake:
        yield fake


@pytest.fixture
def hospital(story: Story, ehr: FakeEhr) -> Partner:
    """The hospital, with the fake EHR; it promises what it keeps."""
    partner = partners.add("Hospital", ehr.base_url, organization=HOSPITAL, steward_pool=story.pool)
    partner.lag_seconds = -2.0  # it counts whole seconds in its Date; here nobody commits late
    promise(partner)
    return partner


@pytest.fixture
def office(story: Story, ehr: FakeEhr) -> Partner:
    """The practice's own EHR, which is the fake one."""
    partner = partners.add("Office", ehr.base_url, organization=PRACTICE, tenant=PRACTICE)
    partner.lag_seconds = -2.0
    promise(partner)
    return partner


@pytest.fixture
def authority() -> Iterator[Authority]:
    with Authority() as server:
        yield server


@pytest.fixture
def backend(hospital: Partner, authority: Authority) -> Partner:
    """The hospital's EHR wants SMART Backend Services; its authorisation server is registered."""
    put(
        hospital,
        Credentials("smart-backend", "", "baton", "system/Task.cruds", authority.url).checked(hospital.base_url),
    )
    hospital.abilities |= {"smart": {"signing_algs": ["ES384"]}}
    hospital.save()
    keys.rotate("ES384")
    authority.key_set = Client().get("/.well-known/jwks.json").json()
    return hospital


@pytest.fixture
def handoff(story: Story, hospital: Partner) -> Handoff:
    """A referral that the hospital has."""
    made = story.refer()
    pushing.run_once(hospital)
    return made
