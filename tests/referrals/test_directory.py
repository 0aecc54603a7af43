"""What a composer looks up: patients that one may see, and services with their waits."""

import pytest
from django.conf import settings

from records.json import loads
from referrals import composer, directory, workflow
from tests.referrals import region
from tests.referrals.region import CARDIOLOGY, CLINIC, MRN, PRACTICE, Region

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def here() -> Region:
    return region.build()


def a_service(key: str, name: str, wait: int | None, **elements: object) -> None:
    url = f"{settings.BATON_BASE_URL}/StructureDefinition/wait-days"
    extension = {"extension": [{"url": url, "valueInteger": loads(str(wait))}]} if wait is not None else {}
    service = {"resourceType": "HealthcareService", "id": key, "name": name, **extension, **elements}
    region.keep({**service, "providedBy": {"reference": f"Organization/{CARDIOLOGY}"}})


@pytest.mark.parametrize(
    "text", ["rui", "Ana Ruiz", "ruiz ana", "1980-01-31", "4711", f"{MRN}|4711", "RUÍZ 1980", "Ruiz, Ana", "ana;"]
)
def test_a_patient_is_found_by_name_birth_date_or_identifier(here: Region, text: str) -> None:
    found = directory.find_patients(here.gp, text)
    assert [(one.id, one.name, one.birth_date) for one in found] == [("ana", "Ana Ruiz", "1980-01-31")]
    assert found[0].identifiers == ((MRN, "4711"),)


@pytest.mark.parametrize("text", ["", "   ", "Ana Okafor", "Foreign", "4713", "x,y|z$"])
def test_nobody_else_is_found(here: Region, text: str) -> None:
    assert directory.find_patients(here.gp, text) == []


def test_services_come_with_their_wait_the_shortest_first(here: Region) -> None:
    a_service("slow", "Heart failure clinic", 40)
    a_service("quick", "Chest pain clinic", 9)
    a_service("closed", "Heart rhythm clinic", 1, active=False)
    found = directory.find_services(here.gp, "clinic")
    assert [(one.id, one.wait_days, one.is_accepting) for one in found] == [
        ("quick", 9, True),
        ("slow", 40, True),
        ("heart-clinic", None, True),
        ("closed", 1, False),
    ]
    assert found[0].organization == "Cardiology"


def test_every_word_must_fit_name_specialty_or_organisation(here: Region) -> None:
    a_service("skin", "Skin clinic", 3, specialty=[{"text": "Dermatology", "coding": [{"system": "x", "code": "d"}]}])
    assert [one.id for one in directory.find_services(here.gp, "clinic cardiology dermatology")] == ["skin"]
    assert [one.id for one in directory.find_services(here.gp, specialty="x|d")] == ["skin"]
    assert directory.find_services(here.gp, "oncology") == []


def test_who_has_declined_and_the_own_house_come_last_when_it_is_sent_elsewhere(here: Region) -> None:
    for key, organization in (("own", PRACTICE), ("other", CLINIC)):
        owner = {"providedBy": {"reference": f"Organization/{organization}"}}
        region.keep({"resourceType": "HealthcareService", "id": key, "name": f"A service, {key}", **owner})
    loop = composer.submit(composer.draft(here.gp, "ana", "heart-clinic", reason="Murmur"), here.gp)
    declined = {"reason": "no-capacity", "reason_text": "Full."}
    workflow.perform(loop.handoffs.get(kind="fulfil").id, "decline", here.partner, data=declined)
    assert [one.id for one in directory.find_performers(here.gp, loop)] == ["other", "own", "heart-clinic"]
