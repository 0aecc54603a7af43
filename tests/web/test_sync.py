"""The page of the exchange: what is wrong now, apart from what was wrong once."""

from datetime import timedelta

import pytest
from django.test import Client

from fhir_bridge.models import Partner, Reconciliation, Subscription
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


def test_how_the_exchange_works_is_told(as_dana: Client, partner: Partner) -> None:
    now = clock.now()
    Partner.objects.update(failures=7, not_before_at=now + timedelta(minutes=5), chosen={"update": "read-first"})
    Reconciliation.objects.create(
        partner=partner, scope="all", started_at=now, finished_at=now, read=4711, changed=12, missing=13, differing=14
    )
    Subscription.objects.create(partner=partner, type="Task", key="k", state="active", created_at=now, heard_at=now)
    Subscription.objects.create(
        partner=partner, type="Patient", key="l", state="off", created_at=now, error_text="Too many failures."
    )

    page = as_dana.get("/sync/").content.decode()

    assert "left alone after 7 failures in a row, until" in page
    for said in ("a read before", "It was set so.", "a search before", "It does not promise If-None-Exist."):
        assert said in page
    for number in (4711, 12, 13, 14):
        assert f">{number}</td>" in page
    assert "switched off there" in page
    assert "Too many failures." in page


def test_a_partner_of_whom_nothing_is_known_yet_has_its_ways_too(as_dana: Client, partner: Partner) -> None:
    page = as_dana.get("/sync/").content.decode()
    assert "How the exchange works: in use" in page
    assert "Nothing was read again by id yet." in page
    assert "It notifies us of nothing: it is polled." in page


def steer(client: Client, partner: Partner, action: str, **typed: str) -> tuple[int, str, str]:
    """The answer to the button, the state after it, and the page."""
    status = client.post(f"/sync/partner/{partner.pk}/{action}/", typed).status_code
    return status, Partner.objects.get().state, client.get("/sync/").content.decode()


def test_the_exchange_is_paused_with_a_reason_and_gone_on_with_by_a_button(as_dana: Client, partner: Partner) -> None:
    status, state, page = steer(as_dana, partner, "pause", reason="They move house.")
    assert (status, state) == (302, "paused")
    assert "nothing is sent or read until somebody resumes it" in page
    assert "They move house." in page
    status, state, page = steer(as_dana, partner, "resume")
    assert (status, state) == (302, "active")
    assert "They move house." not in page


def test_a_restored_partner_says_why_it_stands_still_and_is_resumed_once_it_was_read(
    as_dana: Client, partner: Partner
) -> None:
    Partner.objects.update(state="rewound", state_reason="Task 7 is older than it was.")
    run = Reconciliation.objects.create(partner=partner, scope="rewound", started_at=clock.now())
    status, state, page = steer(as_dana, partner, "resume")
    assert (status, state) == (302, "rewound")
    assert "Task 7 is older than it was." in page
    assert "Not everything that is linked with this partner has been read again yet." in page
    Reconciliation.objects.filter(pk=run.pk).update(finished_at=clock.now())
    assert "look at the differences below, then resume it" in as_dana.get("/sync/").content.decode()
    assert steer(as_dana, partner, "resume")[1] == "active"


def test_only_who_operates_it_and_only_the_own_partners(hospital: str, clinic: str, partner: Partner) -> None:
    doctor = browser_of(person("doc", "Doc", "Tor", at=hospital, roles=["practitioner"]))
    stranger = browser_of(person("far", "Far", "Away", at=clinic, roles=["coordinator"]))
    for client in (doctor, stranger):
        assert client.post(f"/sync/partner/{partner.pk}/pause/").status_code == 404
    assert "Pause the exchange" not in doctor.get("/sync/").content.decode()
    assert Partner.objects.get().state == "active"
