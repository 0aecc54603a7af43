"""Baton with one practice, and a hospital with an EHR of its own: a real FHIR server, or the fake one that misbehaves."""

import os
import uuid
from collections.abc import Iterator

import pytest
import requests
from pytest_django import Settings

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations, partners
from fhir_bridge.models import Partner
from tests.fhir_bridge.story import HOSPITAL, Story, build

DEFAULT_PARTNER = "http://127.0.0.1:58105/fhir"


@pytest.fixture
def story(settings: Settings, db: None) -> Story:  # noqa: ARG001 (the database, before anything is kept in it)
    """An installation of its own for each story: the shared partner has seen many."""
    run = uuid.uuid4().hex[:10]
    settings.BATON_BASE_URL = f"https://baton-{run}.example"
    return build(run)


@pytest.fixture(scope="session")
def fhir_partner() -> str:
    """The base URL of an independent FHIR R4 server: FHIR_PARTNER, by default HAPI FHIR where it runs."""
    url = os.environ.get("FHIR_PARTNER", DEFAULT_PARTNER).rstrip("/")
    try:
        requests.get(f"{url}/Patient?_count=1", timeout=10).raise_for_status()
    except requests.RequestException:
        pytest.skip(f"independent FHIR server needed: none at {url}; set FHIR_PARTNER to the base URL of one")
    return url


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
    partner.takes_if_match = partner.takes_if_none_exist = True
    partner.lag_seconds = -2.0  # it counts whole seconds in its Date; here nobody commits late
    partner.save()
    return partner
