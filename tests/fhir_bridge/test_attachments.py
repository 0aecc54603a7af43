"""Documents with what is attached to them, and people whom a partner may know under several numbers."""

import base64

import pytest
from django.conf import settings

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import material, pushing
from records import store
from records.access import SYSTEM
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, MRN, Story, keep

LETTER = base64.b64encode(b"All well").decode()
PASSPORT = "https://passports.example"


def refer_with_letter(story: Story, data: str) -> Handoff:
    keep({"resourceType": "Binary", "id": "scan", "contentType": "application/pdf", "data": data})
    attachment = {"url": "Binary/scan", "title": "Letter"}
    about = {"status": "current", "subject": {"reference": f"Patient/{ANA}"}}
    keep({"resourceType": "DocumentReference", "id": "letter", **about, "content": [{"attachment": attachment}]})
    return story.refer(supportingInfo=[{"reference": "DocumentReference/letter"}])


def test_what_is_attached_travels_in_the_document(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    refer_with_letter(story, LETTER)

    pushing.run_once(hospital)
    pushing.run_once(hospital)

    sent = ehr.all("DocumentReference")[0]["content"][0]["attachment"]
    assert sent == {"contentType": "application/pdf", "title": "Letter", "data": LETTER}
    assert ehr.all("Binary") == []
    assert not Link.objects.filter(type="Binary").exists()


def test_what_is_too_big_to_travel_says_where_it_is_kept(
    story: Story, hospital: Partner, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "MOST_ATTACHED", 4)
    refer_with_letter(story, LETTER)

    pushing.run_once(hospital)

    sent = ehr.all("DocumentReference")[0]["content"][0]["attachment"]
    assert sent == {"url": f"{settings.BATON_BASE_URL}/fhir/Binary/scan", "title": "Letter"}


def test_a_letter_of_theirs_comes_with_the_file_that_it_points_to(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    ehr.put({"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": LETTER})
    related = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
    letter = {"resourceType": "DocumentReference", "status": "current", "docStatus": "final"}
    subject = {"reference": f"Patient/{Link.objects.get(type='Patient').remote_id}"}
    content = [{"attachment": {"contentType": "text/plain", "url": f"{ehr.base_url}/Binary/b"}}]
    ehr.put(letter | {"subject": subject, "content": content, "context": {"related": related}})

    polling.poll(hospital)
    applying.apply_pending(hospital)

    link = Link.objects.get(type="DocumentReference")
    url = store.get("DocumentReference", link.local_id)["content"][0]["attachment"]["url"]
    assert url == f"Binary/{Link.objects.get(type='Binary').local_id}"
    assert store.get("Binary", url.partition("/")[2])["data"] == LETTER
    handoff.refresh_from_db()
    assert handoff.stage == "report-sent"


def test_two_patients_who_each_bear_one_of_the_numbers_are_a_persons_work(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ana = store.get("Patient", ANA)
    store.write(ana | {"identifier": [*ana["identifier"], {"system": PASSPORT, "value": "P1"}]}, actor=SYSTEM)
    ehr.put({"resourceType": "Patient", "identifier": [{"system": MRN, "value": f"4711-{story.run}"}]})
    ehr.put({"resourceType": "Patient", "identifier": [{"system": PASSPORT, "value": "P1"}]})
    story.refer()

    pushing.run_once(hospital)

    link = Link.objects.get(type="Patient")
    assert (link.state, len(ehr.all("Patient"))) == (Link.State.STUCK, 2)
    assert "more than one" in link.error_text
