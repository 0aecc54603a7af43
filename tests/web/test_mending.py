"""The page of one failed exchange: its stewards see it in full and mend it there; for others it isn't there."""

import pytest
from django.test import Client

from fhir_bridge.models import Inbox, Partner
from records import clock
from referrals import people
from tests.web.conftest import browser_of, person

pytestmark = pytest.mark.django_db
RAW = '{"resourceType":"Task","id":"7","status":"<b>nonsense</b>"}'


@pytest.fixture
def item(hospital: str) -> Inbox:
    partner = Partner.objects.create(
        name="Lakeside EHR",
        base_url="https://ehr.example/fhir",
        organization="org-lakeside",
        steward_pool=people.default_pool(hospital),
        created_at=clock.now(),
    )
    return Inbox.objects.create(
        partner=partner,
        type="Task",
        remote_id="7",
        content_hash="x",
        body=RAW,
        state="quarantined",
        error_category="Incorrect",
        received_at=clock.now(),
    )


def as_who(hospital: str, *roles: str) -> Client:
    return browser_of(person("dana", "Dana", "Desk", at=hospital, roles=list(roles)))


def test_a_steward_reads_what_came_and_discards_it_with_a_reason(hospital: str, item: Inbox) -> None:
    dana = as_who(hospital, "coordinator")
    address = f"/sync/Inbox/{item.pk}/"
    assert address in dana.get("/sync/").content.decode()

    page = dana.get(address).content.decode()
    assert "&lt;b&gt;nonsense&lt;/b&gt;" in page
    refused = dana.post(f"{address}discard/", {"reason": ""}, follow=True).content.decode()
    assert "Say why this is given up." in refused
    dana.post(f"{address}discard/", {"reason": "not-worth-sending"})

    item.refresh_from_db()
    assert item.state == "discarded"


def test_all_of_its_kind_are_tried_again(hospital: str, item: Inbox) -> None:
    assert as_who(hospital, "supervisor").post(f"/sync/Inbox/{item.pk}/retry-all/").status_code == 302
    item.refresh_from_db()
    assert item.state == "pending"


def test_for_others_it_is_not_there(hospital: str, item: Inbox) -> None:
    doctor = as_who(hospital, "practitioner")

    assert doctor.get(f"/sync/Inbox/{item.pk}/").status_code == 404
    assert doctor.post(f"/sync/Inbox/{item.pk}/retry/").status_code == 404
    assert doctor.post(f"/sync/Inbox/{item.pk}/no-such-thing/").status_code == 404
    item.refresh_from_db()
    assert item.state == "quarantined"
