"""One installation and one EHR for all journeys; each journey has its own patient."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.ehr import Ehr
from tests.journeys.product import Product, running


@pytest.fixture(scope="session")
def baton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("baton")) as product:
        yield product


@pytest.fixture(scope="session")
def ehr(fhir_partner: str, fixtures: Path) -> Ehr:
    """The receiving EHR with Synthea's directory and patients in it, as a real one has them."""
    ehr = Ehr(fhir_partner)
    folder = fixtures / "data" / "synthea"
    for name in ("hospital*", "practitioner*", "Alva*", "Assunta*", "Porsha*"):
        ehr.load(next(folder.glob(f"{name}.json.gz")))
    return ehr
