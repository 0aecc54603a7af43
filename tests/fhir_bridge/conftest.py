"""Baton with one practice, and a hospital with an EHR of its own: a real FHIR server, or the fake one that misbehaves."""

import uuid
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations, partners
from fhir_bridge.models import Partner
from tests.fhir_bridge.story import HOSPITAL, Story, build, promise


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
