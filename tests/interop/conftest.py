"""The bridge against real FHIR servers: FHIR_PARTNER, or those of the shared folder; afterwards a table of what each can."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings
from rich.console import Console
from rich.table import Table

from fhir_bridge import operations
from fhir_bridge.capabilities.choices import WAYS
from fhir_bridge.connecting import partners
from fhir_bridge.models import Partner
from tests import partner as servers
from tests.conftest import ROOT
from tests.fhir_bridge.story import HOSPITAL, Story, build

SHOWN = ("Task", "ServiceRequest", "Patient", "Appointment", "DocumentReference")
_seen = pytest.StashKey[dict[str, Partner]]()


@pytest.fixture(scope="session")
def medplum() -> Iterator[str]:
    with servers.careless(Path(os.environ.get("BATON_FIXTURES", ROOT.parent / "shared"))) as url:
        yield url


@pytest.fixture(params=["fhir_partner"] if os.environ.get("FHIR_PARTNER") else ["medplum", "fhir_partner"])
def base_url(request: pytest.FixtureRequest) -> str:
    """A server that knows nothing of Baton."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def story(settings: Settings, db: None) -> Story:
    """An installation of its own for each story: the servers have seen many."""
    run = uuid.uuid4().hex[:10]
    settings.BATON_BASE_URL = f"https://baton-{run}.example"
    return build(run)


@pytest.fixture
def hospital(story: Story, base_url: str, request: pytest.FixtureRequest) -> Partner:
    """The hospital with that server as its EHR; what it can is found out."""
    partners.add("Hospital", base_url, organization=HOSPITAL, steward_pool=story.pool)
    partner = partners.by_name("Hospital")
    operations.test(partner)
    partner.refresh_from_db()
    partner.lag_seconds = -2.0  # its Date has whole seconds; here nobody commits late
    partner.save()
    request.config.stash.setdefault(_seen, {})[base_url] = partner
    return partner


def pytest_terminal_summary(config: pytest.Config) -> None:
    """What each server can, and which way we took."""
    for base_url, partner in config.stash.get(_seen, {}).items():
        can = partner.can()
        title = f"{can.software or 'a server'} at {base_url}, FHIR {can.fhir_version or '?'}, as its {can.source} says"
        table = Table("", *SHOWN, title=title)
        for aspect in WAYS:
            ways = (getattr(partner.ways(type_), aspect) for type_ in SHOWN)
            table.add_row(aspect, *(str(choice.way) for choice in ways))
        Console().print(table)
