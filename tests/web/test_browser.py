"""The screens in a real browser: without JavaScript, with a narrow window, in the dark, and through axe's eyes."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from fhir_bridge.models import Inbox, Partner, Reconciliation, Subscription
from records import clock, store
from records.access import SYSTEM
from referrals import intake, people
from referrals.models import Loop, User
from tests.web.conftest import PASSWORD, Story, person

pytestmark = pytest.mark.browser
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="session")
def house(django_db_setup: None) -> Iterator[str]:
    """The address of a running Baton on the test database."""
    server = LiveServer("127.0.0.1")
    yield str(server.url)
    server.stop()


@pytest.fixture
def kept(commits: None) -> None:
    """The server reads on its own connection: what a story tells must be committed."""


@pytest.fixture
def plain(browser: Browser, house: str) -> Iterator[BrowserContext]:
    """A browser whose JavaScript is off."""
    context = browser.new_context(base_url=house, java_script_enabled=False)
    yield context
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_referral_is_composed_accepted_and_booked_without_javascript(
    plain: BrowserContext, ana: User, clara: User, maria: str, cardiology: str
) -> None:
    page = plain.new_page()
    sign_in(page, "ana")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="New referral").click()
    page.get_by_label("Name, birth date or identifier").fill("garcía")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="María José García").click()
    page.get_by_role("button", name="Heart failure clinic").click()
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("alert")).to_contain_text("Reason and question")
    page.get_by_label("Reason and question").fill("Breathless at night. Heart failure?")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("It is on its way.")
    expect(page.get_by_role("region", name="Patient")).to_contain_text("María José García")
    page.locator("details.me summary").click()
    page.get_by_role("button", name="Sign out").click()

    sign_in(page, "clara")
    page.get_by_role("link", name="Heart failure clinic").first.click()
    page.locator("summary", has_text="Accept").click()
    page.get_by_role("button", name="Accept").click()
    page.locator("summary", has_text="Book an appointment").click()
    page.get_by_label("Appointment ends").fill(f"{clock.now().year + 1}-03-04T10:30")
    page.get_by_role("button", name="Book an appointment").click()
    expect(page.locator("section.handoff").first).to_contain_text("Booked")
    assert [event.action for event in Loop.objects.get().events.order_by("id")][-2:] == ["accept", "book"]


@pytest.fixture
def dana(hospital: str) -> User:
    return person("dana", "Dana", "Desk", at=hospital, roles=["coordinator"])


@pytest.fixture
def twin(story: Story, dana: User) -> str:
    """A second record of María, which came in by the one door."""
    body = store.get("Patient", story.loop.patient_id) | {"id": "patient-twin"}
    number = [{"system": "urn:mrn", "value": "MRN-9"}]
    return intake.receive(body | {"identifier": number}, people.actor_for(dana)).written.id


def test_two_records_are_merged_and_parted_and_a_death_is_told_without_javascript(
    plain: BrowserContext, story: Story, twin: str
) -> None:
    page = plain.new_page()
    sign_in(page, "dana")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Patients").click()
    page.get_by_role("link", name="Possible duplicates 1").click()
    page.get_by_role("button", name="Same person: go on with record MRN-4471").click()
    expect(page.get_by_role("status")).to_contain_text("count as one person's")
    page.goto(f"/patients/{twin}/")
    page.get_by_role("link", name="Open the record that counts").click()
    expect(page.get_by_role("main")).to_contain_text("MRN-9 counts as this one.")
    page.goto("/duplicates/")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Different people").click()
    expect(page.get_by_role("heading", name="No two records look alike")).to_be_visible()

    page.goto(f"/patients/{story.loop.patient_id}/")
    page.locator("summary", has_text="The patient has died").click()
    page.get_by_role("button", name="Report the death").click()
    page.get_by_role("alert").get_by_role("link", name="Who says so").click()
    page.get_by_label("Who says so").fill("Her daughter, by telephone.")
    page.get_by_role("button", name="Report the death").click()
    page.get_by_role("link", name="Confirm or refute").click()
    page.locator("summary", has_text="Confirm").click()
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("region", name="Patient").get_by_role("link").click()
    page.locator("summary", has_text="The patient lives").click()
    page.get_by_label("How you know").fill("She has called herself.")
    page.get_by_role("button", name="Take the death back").click()
    expect(page.get_by_role("main")).to_contain_text("was refuted on")


def test_what_a_coordinator_decides_about_people_is_for_everybody(
    browser: Browser, house: str, story: Story, twin: str
) -> None:
    page = browser.new_context(base_url=house, viewport={"width": 360, "height": 740}).new_page()
    sign_in(page, "dana")
    findings = {}
    for address in ("/duplicates/", f"/patients/{twin}/", "/patients/", "/?scope=organisation"):
        page.goto(address)
        for summary in page.locator("main summary").all():
            summary.click()
        findings[address] = look(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    assert {name: found for name, found in findings.items() if found} == {}


def test_the_error_summary_leads_to_the_field(browser: Browser, house: str, story: Story) -> None:
    page = browser.new_context(base_url=house).new_page()
    sign_in(page, "clara")
    page.goto(f"/loops/{story.loop.id}/")
    page.locator("summary", has_text="Decline").click()
    page.get_by_role("button", name="Decline").click()
    page.get_by_role("alert").get_by_role("link", name="Reason").first.click()
    expect(page.get_by_label("Reason", exact=True).first).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, house: str, story: Story, cardiology: str, scheme: Any) -> None:
    page = browser.new_context(base_url=house, color_scheme=scheme).new_page()
    page.goto("/sign-in/")
    findings = {"sign in": look(page)}
    sign_in(page, "ana")
    for name, address in addresses(story).items():
        page.goto(address)
        findings[name] = look(page)
    page.goto(f"/loops/{story.loop.id}/")
    for summary in page.locator("details.offer summary").all():
        summary.click()
    findings["loop with a form"] = look(page)
    assert {name: found for name, found in findings.items() if found} == {}


def test_nothing_is_wider_than_a_telephone(browser: Browser, house: str, story: Story, cardiology: str) -> None:
    page = browser.new_context(base_url=house, viewport={"width": 360, "height": 740}).new_page()
    sign_in(page, "ana")
    for name, address in addresses(story).items():
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


@pytest.fixture
def failed(hospital: str, dana: User) -> Inbox:
    """Something of a partner's that could not be applied; the partner is left alone for now, and notifies us."""
    now = clock.now()
    partner = Partner.objects.create(
        name="Lakeside EHR",
        base_url="https://ehr.example/fhir",
        organization="org-lakeside",
        steward_pool=people.default_pool(hospital),
        created_at=now,
        failures=7,
        not_before_at=now + timedelta(minutes=5),
    )
    Reconciliation.objects.create(partner=partner, scope="all", started_at=now, read=4711)
    Subscription.objects.create(partner=partner, type="Task", key="k", state="active", created_at=now, heard_at=now)
    return Inbox.objects.create(
        partner=partner,
        type="Task",
        remote_id="7",
        content_hash="x",
        body='{"resourceType":"Task","id":"7","status":"nonsense"}',
        state="quarantined",
        error_category="Incorrect",
        received_at=now,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_failed_exchange_and_how_it_works_are_for_everybody(
    browser: Browser, house: str, failed: Inbox, scheme: Any
) -> None:
    page = browser.new_context(base_url=house, color_scheme=scheme, viewport={"width": 360, "height": 740}).new_page()
    sign_in(page, "dana")
    findings = {}
    for address in ("/sync/", f"/sync/Inbox/{failed.pk}/"):
        page.goto(address)
        for summary in page.locator("main summary").all():
            summary.click()
        findings[address] = look(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    assert {name: found for name, found in findings.items() if found} == {}


def addresses(story: Story) -> dict[str, str]:
    return {
        "worklist": "/?scope=organisation",
        "empty worklist": "/?scope=mine&priority=stat",
        "loop": f"/loops/{story.loop.id}/",
        "patient": f"/patients/{story.loop.patient_id}/",
        "patients": "/patients/",
        "composer": "/new/referral/patient/",
        "follow-up": "/new/follow-up/patient/",
        "sync": "/sync/",
        "nothing": "/loops/nothing/",
    }


def look(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def test_on_a_telephone_the_performers_to_choose_from_stand_below_one_another(
    browser: Browser, house: str, story: Story, clinic: str
) -> None:
    for number in range(8):
        name = f"Blood tests and everything else that a laboratory does, counter {number}"
        by = {"reference": f"Organization/{clinic}"}
        service = {"resourceType": "HealthcareService", "id": f"service-{number}", "name": name, "providedBy": by}
        store.write(service, actor=SYSTEM)
    page = browser.new_context(base_url=house, viewport={"width": 360, "height": 740}).new_page()
    sign_in(page, "ana")
    page.goto(f"/loops/{story.loop.id}/")
    page.locator("summary", has_text="Ask another performer").click()
    lines = page.locator("details[open] fieldset.choices .tick")
    labels = [box for box in (one.bounding_box() for one in lines.locator("label").all()) if box]
    assert len(labels) == 8
    assert [(one["y"] + one["height"] > after["y"]) for one, after in pairwise(labels)] == [False] * 7
    boxes = [box for box in (one.bounding_box() for one in lines.locator("input").all()) if box]
    assert {(round(box["width"]), round(box["height"])) for box in boxes} == {(24, 24)}
