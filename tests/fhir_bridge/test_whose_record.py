"""Whose record a partner's is, where people share a number; and that nothing of another patient's goes along."""

from datetime import timedelta

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import tasks
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from records.json import Resource
from referrals.models import Loop
from tests.fhir_bridge.story import ANA, MRN, PRACTICE, Story, keep, put_order

pytestmark = pytest.mark.django_db
FAMILY = {"system": "https://insurer.example/member", "value": "family-1"}
NUMBER, BIRTH = "9999", "1975-05-05"


@pytest.fixture
def insured(story: Story) -> Resource:
    """Ana, who has a number in common with whoever is insured with her."""
    ana = store.get("Patient", ANA)
    keep({**ana, "identifier": [*ana["identifier"], FAMILY], "birthDate": "1980-01-31"}, PRACTICE)
    return ana


def there(ehr: FakeEhr, key: str, **elements: object) -> None:
    ehr.put({"resourceType": "Patient", "id": key, "identifier": [FAMILY], **elements})


def of_another() -> dict[str, object]:
    """What another person has: a number of their own in the same numbering, and another day of birth."""
    return {"identifier": [FAMILY, {"system": MRN, "value": NUMBER}], "birthDate": BIRTH}


@pytest.mark.usefixtures("insured")
def test_an_order_does_not_go_onto_the_chart_of_whoever_shares_a_number(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    there(ehr, "husband", **of_another())
    story.refer()
    pushing.run_once(hospital)
    [task] = ehr.all("Task")
    assert task["for"]["reference"] != "Patient/husband"
    assert len(ehr.all("Patient")) == 2, "Ana is somebody of her own there"


@pytest.mark.usefixtures("insured")
@pytest.mark.parametrize("doubt", [{"birthDate": BIRTH}, {"identifier": [FAMILY, {"system": MRN, "value": NUMBER}]}])
def test_who_may_be_another_is_for_a_person_to_decide(
    story: Story, hospital: Partner, ehr: FakeEhr, doubt: dict[str, object]
) -> None:
    there(ehr, "somebody", **doubt)
    story.refer()
    pushing.run_once(hospital)
    stuck = Link.objects.get(type="Patient")
    assert (stuck.state, "may be another person" in stuck.error_text) == ("stuck", True)
    assert not ehr.all("Task")


@pytest.mark.usefixtures("insured")
@pytest.mark.parametrize("known", [{}, {"birthDate": "1980-01-31"}, {"birthDate": "1980"}])
def test_who_may_be_nobody_else_is_taken_for_the_patient(
    story: Story, hospital: Partner, ehr: FakeEhr, known: dict[str, object]
) -> None:
    there(ehr, "ana", **known)
    story.refer()
    pushing.run_once(hospital)
    assert [task["for"]["reference"] for task in ehr.all("Task")] == ["Patient/ana"]


@pytest.mark.usefixtures("insured")
@pytest.mark.parametrize("contradicts", [{"birthDate": BIRTH}, of_another()])
def test_a_partners_order_for_whoever_shares_a_number_is_not_our_patients(
    story: Story, office: Partner, ehr: FakeEhr, contradicts: dict[str, object]
) -> None:
    put_order(ehr, story.run)
    there(ehr, "p1", **contradicts)
    ehr.skew = timedelta(minutes=1)
    with clock.at(clock.now() + ehr.skew):
        tasks.pull(office.pk)
    assert Loop.objects.get(kind="referral").patient_id != ANA


def letter(patient: str) -> None:
    body = {"resourceType": "DocumentReference", "id": "letter", "status": "current"}
    content = {"content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}]}
    keep(body | content | {"subject": {"reference": f"Patient/{patient}"}}, PRACTICE)


def attach(loop: Loop) -> None:
    request = store.get("ServiceRequest", str(loop.request_id))
    keep({**request, "supportingInfo": [{"reference": "DocumentReference/letter"}]})


def test_what_is_attached_to_an_order_after_it_was_sent_goes_after_it(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    loop = story.refer().loop
    pushing.run_once(hospital)
    letter(ANA)
    attach(loop)
    pushing.run_once(hospital)
    [there_now] = ehr.all("DocumentReference")
    [request] = ehr.all("ServiceRequest")
    assert request["supportingInfo"][0]["reference"] == f"DocumentReference/{there_now['id']}"


def test_what_is_another_patients_is_not_sent_though_somebody_has_attached_it(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    loop = story.refer().loop
    keep({"resourceType": "Patient", "id": "other", "name": [{"family": "Other"}]}, PRACTICE)
    letter("other")
    attach(loop)
    pushing.run_once(hospital)
    assert ehr.all("Task")
    assert not ehr.all("DocumentReference")
