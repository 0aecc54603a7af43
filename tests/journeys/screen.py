"""Baton's pages as a person uses them: what they press, and what they then read."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.product import Login, Product

WAIT_MS = 1_000
PATIENCE = 120


class Screen:
    """One person's browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, summary: str, within: str, fields: Mapping[str, str]) -> None:
        """Open an action on a handoff, fill its form (label → value), send it."""
        self.page.reload()
        offer = (
            self._handoff(within).locator("details.offer").filter(has=self.page.locator("summary", has_text=summary))
        )
        offer.first.locator("summary").click()
        for label, value in fields.items():
            fill(offer.first.get_by_label(label).first, value)
        offer.first.get_by_role("button", name=summary).click()
        expect(self.page.get_by_role("alert")).to_have_count(0)

    def _handoff(self, title: str) -> Locator:
        return self.page.locator("section.handoff").filter(has=self.page.get_by_role("heading", name=title))

    def sees(self, title: str, stage: str = "") -> None:
        """Reload until a handoff of that title stands at that stage."""
        handoff = self._handoff(title).filter(has=self.page.locator(".chip", has_text=re.compile(f"^{stage}")))
        self._await(handoff, f"{title} at {stage}")

    def sees_the_end(self) -> None:
        """Reload until the loop is closed."""
        self._await(self.page.locator("main .chip", has_text="Closed"), "closed")

    def _await(self, sought: Locator, what: str) -> None:
        for _ in range(PATIENCE):
            self.page.reload()
            if sought.count():
                return
            self.page.wait_for_timeout(WAIT_MS)
        raise AssertionError(f"never read {what} in:\n{self.page.locator('main').inner_text()}")


def fill(field: Locator, value: str) -> None:
    """Type or choose."""
    if field.evaluate("node => node.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)


@contextmanager
def signed_in(browser: Browser, baton: Product, login: Login) -> Iterator[Screen]:
    """A person at their worklist."""
    context = browser.new_context(base_url=baton.url, locale="en-GB")
    page = context.new_page()
    page.goto("/sign-in/")
    page.get_by_label("User name").fill(login.username)
    page.get_by_label("Password").fill(login.password)
    page.get_by_role("button", name="Sign in").click()
    yield Screen(page)
    context.close()
