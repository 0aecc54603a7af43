"""Evidence that names no order of ours: what its page tells, and how whoever knows the order matches it."""

from typing import Any

import pytest
from django.test import Client

from records import clock, store
from records.access import SYSTEM, Actor
from referrals.evidence import asking
from referrals.models import Handoff, Loop, User
from tests.web.conftest import Story

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hospital")]


@pytest.fixture
def as_coordinator(as_boris: Client, boris: User) -> Client:
    boris.language = "en"
    boris.save()
    return as_boris


def came_in(story: Story, **elements: Any) -> str:
    """The id of the loop in which somebody says to which order a report about Ben belongs."""
    other = {"resourceType": "Patient", "id": "other", "name": [{"given": ["Ben"], "family": "Brown"}]}
    store.write(other | {"birthDate": "1950-02-01"}, actor=SYSTEM)
    report = {
        "resourceType": "DiagnosticReport",
        "id": "strange",
        "status": "final",
        "code": {"text": "Echocardiogram"},
        "subject": {"reference": "Patient/other"},
        "performer": [{"reference": "Organization/org-clinic"}],
        "issued": clock.now().isoformat(),
        "conclusion": "Ejection fraction 35 %.",
        **elements,
    }
    store.write(report, actor=SYSTEM, audience=["org-clinic"])
    lakeside = Actor(id="client:clinic", kind="client", display="Lakeside", organization="org-clinic")
    return asking.ask_for_match(report, story.loop.accountable, lakeside)


def test_whoever_matches_a_report_reads_it_and_sees_that_its_patient_is_not_the_orders(
    as_coordinator: Client, story: Story
) -> None:
    loop_id = came_in(story, basedOn=[{"reference": f"ServiceRequest/{story.loop.request_id}"}])

    assert "Match a result to its order: Echocardiogram" in as_coordinator.get("/?scope=organisation").content.decode()
    page = as_coordinator.get(f"/loops/{loop_id}/").content.decode()
    for words in (
        "Echocardiogram</h1>",
        "Lakeside Clinic",
        "Ben Brown · 1 Feb 1950",
        "María José García · 12 Apr 1961 · MRN-4471",
        "The request matches, the patient differs.",
        "it names this order",
    ):
        assert words in page, words
    document = as_coordinator.get(f"/loops/{loop_id}/evidence/DiagnosticReport/strange/")
    assert "Ejection fraction 35 %." in document.content.decode()


def test_whoever_knows_the_patient_finds_the_order_that_nothing_in_the_report_names(
    as_coordinator: Client, story: Story
) -> None:
    address = f"/loops/{came_in(story)}/"
    assert "Nothing here fits." in as_coordinator.get(address).content.decode()
    nobody = as_coordinator.post(address, {"find": "Nobody"}, follow=True).content.decode()
    assert "No order for anybody of that name here." in nobody

    answer = as_coordinator.post(address, {"find": "garcia"})
    assert (answer.status_code, answer["Location"]) == (302, address)
    page = as_coordinator.get(address).content.decode()
    assert "you looked for this patient" in page
    handoff = Handoff.objects.get(kind="match-evidence")
    typed = {"version": str(handoff.version), f"{handoff.id}-match-request": story.loop.request_reference}
    assert as_coordinator.post(f"{address}handoffs/{handoff.id}/match/", typed).status_code == 302
    assert Loop.objects.get(pk=story.loop.pk).handoffs.filter(kind="review-report", closed_at=None).exists()


def test_where_several_perform_an_order_whoever_matches_says_whose_result_it_is(
    as_coordinator: Client, story: Story
) -> None:
    store.write({"resourceType": "Organization", "id": "org-heart", "name": "Heart House"}, actor=SYSTEM)
    story.does(story.clara, "decline", reason="no-capacity", reason_text="Full.")
    both = ["Organization/org-clinic", "Organization/org-heart"]
    story.does(story.ana, "redirect", "decide-next-step", performer=both)
    address = f"/loops/{came_in(story, performer=[{'display': 'The lab'}], basedOn=[{'reference': story.loop.request_reference}])}/"
    handoff = Handoff.objects.get(kind="match-evidence")
    typed = {"version": str(handoff.version), f"{handoff.id}-match-request": story.loop.request_reference}

    refused = as_coordinator.post(f"{address}handoffs/{handoff.id}/match/", typed)
    assert refused.status_code == 422
    assert "Say whose result it is." in refused.content.decode()

    whose = f"{handoff.id}-match-done_by"
    as_coordinator.post(f"{address}handoffs/{handoff.id}/match/", {**typed, whose: "Organization/org-heart"})
    parts = story.loop.handoffs.filter(kind="fulfil").exclude(stage="declined")
    assert {one.owner.organization: one.is_open for one in parts} == {"org-clinic": True, "org-heart": False}


def test_what_was_looked_for_on_one_page_stands_on_no_other(as_coordinator: Client, story: Story) -> None:
    loop_id = came_in(story)
    as_coordinator.post("/loops/another/", {"find": "garcia"})
    assert "garcia" not in as_coordinator.get(f"/loops/{loop_id}/").content.decode()
