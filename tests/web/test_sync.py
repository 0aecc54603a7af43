"""The page of the exchange: what is wrong now, apart from what was wrong once."""

from datetime import timedelta

import pytest
from django.test import Client

from fhir_bridge.models import Partner
from records import clock
from referrals import people
from tests.web.conftest import browser_of, person

pytestmark = pytest.mark.django_db
WRONG = "The partner does not answer."


@pytest.fixture
def partner(hospital: str) -> Partner:
    return Partner.objects.create(
        name="Lakeside EHR",
        base_url="https://ehr.example/fhir",
        organization="org-lakeside",
        steward_pool=people.default_pool(hospital),
        last_error=WRONG,
        last_failure_at=clock.now() - timedelta(hours=3),
        created_at=clock.now() - timedelta(days=9),
    )


@pytest.fixture
def as_dana(hospital: str) -> Client:
    return browser_of(person("dana", "Dana", "Desk", at=hospital, roles=["coordinator"]))


def test_an_error_stands_there_as_a_warning_until_the_partner_answers(as_dana: Client, partner: Partner) -> None:
    page = as_dana.get("/sync/").content.decode()
    assert "notice warning" in page
    assert WRONG in page


def test_an_old_error_is_dated_and_no_longer_a_warning(as_dana: Client, partner: Partner) -> None:
    Partner.objects.update(last_success_at=clock.now())
    page = as_dana.get("/sync/").content.decode()
    assert "notice warning" not in page
    assert "Last error on" in page
    assert f"{WRONG} It has answered since, last on" in page


def test_an_error_after_the_last_answer_counts(as_dana: Client, partner: Partner) -> None:
    Partner.objects.update(last_success_at=clock.now() - timedelta(hours=4))
    assert "notice warning" in as_dana.get("/sync/").content.decode()
