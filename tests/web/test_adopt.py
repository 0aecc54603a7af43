"""The list to adopt in the browser, without JavaScript."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from records import clock, store
from records.access import SYSTEM, Actor
from referrals import intake
from referrals.models import Adoptable, Loop, User
from tests.web.conftest import browser_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def imported(hospital: str, ana: User, boris: User) -> Iterator[None]:
    """Two orders of the hospital came with an import."""
    with clock.at(NOON):
        actor = Actor(id="client:1", kind="client", display="Import", organization=hospital)
        patient = {"resourceType": "Patient", "id": "pat", "name": [{"family": "García", "given": ["María"]}]}
        store.write(patient, actor=SYSTEM, audience=[hospital])
        for number in (1, 2):
            intake.receive(_order(f"order-{number}", ana.practitioner), _with_scopes(actor), opens=False)
        yield


def _with_scopes(actor: Actor) -> Actor:
    return Actor(
        **{**{name: getattr(actor, name) for name in actor.__slots__}, "scopes": frozenset({"system/*.cruds"})}
    )


def _order(key: str, requester: str) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}], "text": "Cardiology"},
        "subject": {"reference": "Patient/pat"},
        "requester": {"reference": f"Practitioner/{requester}"},
        "authoredOn": "2026-01-15",
    }


def decide(browser: Client, **form: Any) -> Any:
    return browser.post("/adopt/decide/", form, follow=True)


def test_a_coordinator_finds_the_orders_in_the_navigation_and_adopts_them(boris: User) -> None:
    browser = browser_of(boris)
    assert 'href="/adopt/"' in browser.get("/").content.decode()
    shown = browser.get("/adopt/").content.decode()
    assert shown.count('name="request"') == 2
    assert "María García" in shown
    decide(browser, request=["order-1", "order-2"], do="adopt")
    assert list(Loop.objects.order_by("request_id").values_list("request_id", flat=True)) == ["order-1", "order-2"]
    assert 'name="request"' not in browser.get("/adopt/").content.decode()


def test_a_dismissal_without_a_reason_comes_back_with_what_was_chosen(boris: User) -> None:
    browser = browser_of(boris)
    answer = decide(browser, request=["order-1"], do="dismiss", reason="other", reason_text="")
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert 'value="order-1" checked' in shown
    assert 'value="other" selected' in shown
    assert not Adoptable.objects.filter(dismissed_at__isnull=False).exists()
    decide(browser, request=["order-1"], do="dismiss", reason="duplicate", reason_text="")
    assert 'value="order-1"' not in browser.get("/adopt/").content.decode()
    assert 'value="order-1"' in browser.get("/adopt/?state=dismissed").content.decode()


def test_nothing_chosen_changes_nothing_and_says_so(boris: User) -> None:
    assert decide(browser_of(boris), do="adopt").status_code == 422
    assert not Loop.objects.exists()


def test_who_is_no_coordinator_sees_the_list_and_cannot_decide(ana: User, olga: User) -> None:
    shown = browser_of(ana).get("/adopt/").content.decode()
    assert "Cardiology" in shown
    assert 'name="request"' not in shown
    assert decide(browser_of(ana), request=["order-1"], do="adopt").status_code == 403
    assert "Cardiology" not in browser_of(olga).get("/adopt/").content.decode()
    decide(browser_of(olga), request=["order-1"], do="adopt")
    assert not Loop.objects.exists()


def test_the_address_of_the_form_leads_to_the_list(boris: User) -> None:
    answer = browser_of(boris).get("/adopt/decide/")
    assert (answer.status_code, answer["Location"]) == (302, "/adopt/")
    assert browser_of(boris).get("/adopt/?after=nonsense~%00").status_code == 200
