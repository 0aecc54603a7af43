"""What came with a report is opened as its sender made it, by those who may see it, and runs nowhere."""

import base64
from typing import Any

import pytest
from django.test import Client

from records import store
from records.access import SYSTEM
from tests.web.conftest import Story

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.4 Ejection fraction 35 %"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def report(story: Story, *held: dict[str, Any]) -> str:
    """A document with these attachments, named by the loop's journal; gives the address of its page."""
    document = {
        "resourceType": "DocumentReference",
        "id": "doc-1",
        "status": "current",
        "content": [{"attachment": one} for one in held],
    }
    store.write(document, actor=SYSTEM, audience=[story.loop.placer, story.loop.performer])
    story.does(story.clara, "report", report="DocumentReference/doc-1")
    return f"/loops/{story.loop.id}/evidence/DocumentReference/doc-1/"


def test_a_pdf_is_opened_in_the_browser_and_nothing_of_it_runs_or_is_kept(as_ana: Client, story: Story) -> None:
    page = report(story, {"contentType": "application/pdf", "title": "Echo María", "data": encoded(PDF)})
    assert f'href="{page}1/"' in as_ana.get(page).content.decode()

    answer = as_ana.get(f"{page}1/")

    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, PDF, "application/pdf")
    assert answer["Content-Disposition"] == 'inline; filename="document-1.pdf"', "its title may name the patient"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]


def test_what_could_run_is_only_saved_or_read_as_plain_text(as_ana: Client, story: Story) -> None:
    script = b"<script>steal()</script><p>Hello</p>"
    page = report(
        story,
        {"contentType": "image/svg+xml", "data": encoded(script)},
        {"contentType": "text/html; charset=utf-8", "data": encoded(script + b"x" * 200_000)},
        {"contentType": 'application/pdf"; X-Evil: 1', "data": encoded(script)},
    )

    drawing, markup, odd = (as_ana.get(f"{page}{number}/") for number in (1, 2, 3))

    for one in (drawing, odd):
        assert one["Content-Type"] == "application/octet-stream"
        assert one["Content-Disposition"].startswith("attachment;")
    assert markup["Content-Type"] == "text/plain; charset=utf-8"
    assert "steal()" not in markup.content.decode()
    assert f'href="{page}2/"' in as_ana.get(page).content.decode(), "a long text is opened by itself"


def test_a_binary_that_is_held_here_is_opened_by_those_who_may_see_it(as_ana: Client, story: Story) -> None:
    binary = {"resourceType": "Binary", "id": "scan-1", "contentType": "image/png", "data": encoded(b"png")}
    store.write(binary, actor=SYSTEM, audience=[story.loop.placer, story.loop.performer])
    page = report(story, {"url": "Binary/scan-1"}, {"url": "Binary/none"})
    assert as_ana.get(f"{page}1/").content == b"png"
    assert as_ana.get(f"{page}2/").status_code == 404

    hidden = {"resourceType": "Binary", "id": "scan-2", "contentType": "image/png", "data": encoded(b"png")}
    store.write(hidden, actor=SYSTEM, audience=["org-other"])
    store.write(
        store.get("DocumentReference", "doc-1") | {"content": [{"attachment": {"url": "Binary/scan-2"}}]}, actor=SYSTEM
    )
    assert as_ana.get(f"{page}1/").status_code == 404
    assert "nothing of it is held here" in as_ana.get(page).content.decode()


def test_a_document_that_a_partner_keeps_says_so_without_its_address(as_ana: Client, story: Story) -> None:
    page = report(story, {"contentType": "application/pdf", "url": "https://ehr.example/doc?name=Garcia"})

    told = as_ana.get(page).content.decode()

    assert "This document is not held here; ehr.example keeps it." in told
    assert "name=Garcia" not in told
    assert as_ana.get(f"{page}1/").status_code == 404


def test_an_outsider_opens_no_attachment(as_ana: Client, as_olga: Client, story: Story) -> None:
    page = report(story, {"contentType": "application/pdf", "data": encoded(PDF)})

    assert as_ana.get(f"{page}1/").status_code == 200
    assert as_olga.get(f"{page}1/").status_code == 404
