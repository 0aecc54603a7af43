"""One installation and one EHR for all journeys; each journey has its own patient."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.ehr import Ehr
from tests.journeys.office import Json, Office
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


@pytest.fixture(scope="session")
def riverside(baton: Product, ehr: Ehr) -> str:
    """The clinic outside our region, which has that EHR."""
    mended_by = ("--steward-pool", "practice-alder")
    baton.manage("partner", "add", "riverside", ehr.base_url, "--organization", "riverside-clinic", *mended_by)
    return "riverside-clinic"


def known_patient(office: Office, fixtures: Path, name: str) -> Json:
    """Somebody whom that EHR has too; the practice registers them here, as its own system would."""
    bundle = json.loads(gzip.decompress(next((fixtures / "data" / "synthea").glob(f"{name}.json.gz")).read_bytes()))
    patient: Json = bundle["entry"][0]["resource"]
    office.register(patient)
    return patient
