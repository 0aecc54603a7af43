"""A request that an EHR has placed is the EHR's to change: Baton proposes, and the EHR answers (PATHWAYS §1)."""

from typing import Any

import pytest
from django.conf import settings

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.sharing import references
from records.json import Resource
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import Story, keep, put_order

CLINIC = "clinic"


@pytest.fixture
def placed(story: Story, office: Partner, ehr: FakeEhr) -> Resource:
    """The practice's EHR refers Ana to the hospital."""
    keep({"resourceType": "Organization", "id": CLINIC, "name": "Heart clinic"})
    put_order(ehr, story.run)
    exchange(office)
    return ehr.all("ServiceRequest")[0]


def exchange(partner: Partner) -> None:
    partner.refresh_from_db()
    pushing.run_once(partner)
    polling.poll(partner)
    applying.apply_pending(partner)
    pushing.run_once(partner)
    assert not Inbox.objects.filter(state="quarantined").values_list("error_text", flat=True)


def the(kind: str) -> Handoff:
    return Handoff.objects.filter(kind=kind).latest("opened_at", "id")


def open_kinds() -> list[str]:
    return sorted(Handoff.objects.filter(closed_at=None).values_list("kind", flat=True))


def asked(ehr: FakeEhr) -> list[dict[str, Any]]:
    """The proposals that the EHR has."""
    return [one for one in ehr.all("Task") if one["intent"] == "proposal"]


def do(story: Story, kind: str, action: str, **data: Any) -> None:
    workflow.perform(the(kind).id, action, story.gp if action in ("redirect", "close") else story.nina, data=data)


def redirected(story: Story, office: Partner, **more: Any) -> None:
    """The hospital declines, and the coordinator sends it to the clinic instead."""
    do(story, "dispatch", "send")
    loop = Loop.objects.get()
    told = {"channel": "phone", "spoken_to": "Ms Ray", "reason": "no-capacity", "reason_text": "Full until May"}
    workflow.perform(the("fulfil").id, "decline", story.nina, data=told, attested=True)
    workflow.perform(
        the("decide-next-step").id, "redirect", story.nina, data={"performer": [f"Organization/{CLINIC}"], **more}
    )
    loop.refresh_from_db()
    exchange(office)


def test_another_performer_goes_on_at_once_and_the_ehr_is_asked_to_say_so(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    redirected(story, office, note="The hospital is full")
    assert the("fulfil").owner.key == CLINIC
    (task,) = asked(ehr)
    assert (task["status"], task["focus"]["reference"]) == ("requested", "ServiceRequest/sr1")
    assert task["code"]["coding"][0]["code"] == "propose-change"
    assert task["reasonCode"]["text"] == "The hospital is full"
    assert task["input"][1]["valueReference"]["display"] == "Heart clinic"
    assert "partOf" not in task
    assert ehr.all("ServiceRequest")[0] == placed
    waiting = the("propose-change")
    assert (waiting.owner.kind, waiting.list.key, waiting.is_outside) == ("partner", story.pool, True)

    ehr.put(task | {"status": "completed"})
    exchange(office)

    assert (the("propose-change").stage, the("propose-change").task_status) == ("change-made", "completed")
    assert "propose-change" not in open_kinds()


def test_the_request_may_say_so_itself(story: Story, office: Partner, placed: Resource, ehr: FakeEhr) -> None:
    redirected(story, office)
    (task,) = asked(ehr)
    clinic = {"resourceType": "Organization", "id": "o2", "name": "Heart clinic"}
    ehr.put(clinic | {"identifier": [references.identifier(settings.BATON_BASE_URL, "Organization", CLINIC)]})
    ehr.put(placed | {"performer": [{"reference": "Organization/o2"}]})
    exchange(office)
    assert the("propose-change").stage == "change-made"
    assert (the("fulfil").stage, the("fulfil").owner.key) == ("sent", CLINIC)
    assert asked(ehr)[0]["status"] == "cancelled", "it is asked no longer"
    assert task["status"] == "requested"


def test_what_the_ehr_refuses_is_the_referrers_to_decide(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    redirected(story, office)
    ehr.put(asked(ehr)[0] | {"status": "rejected", "statusReason": {"text": "Signed already"}})
    exchange(office)
    refused = the("propose-change")
    assert (refused.stage, refused.reason_code, refused.reason_text) == ("change-refused", "other", "Signed already")
    assert the("decide-next-step").stage == "in-question"
    assert the("fulfil").is_open


def test_a_withdrawn_order_stays_in_sight_until_its_ehr_has_revoked_it(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    do(story, "dispatch", "withdraw", reason="no-longer-needed")
    exchange(office)
    (task,) = asked(ehr)
    assert task["input"][0]["valueCode"] == "revoked"
    assert task["reasonCode"]["coding"][0]["code"] == "no-longer-needed"
    assert (open_kinds(), Loop.objects.get().closed_at) == (["propose-change"], None)

    ehr.put(placed | {"status": "revoked"})
    exchange(office)

    assert (the("propose-change").stage, Loop.objects.get().stage) == ("change-made", "cancelled")


def test_a_hold_is_proposed_and_taken_back_when_it_goes_on(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    do(story, "dispatch", "hold")
    exchange(office)
    assert asked(ehr)[0]["input"][0]["valueCode"] == "on-hold"
    workflow.perform(the("decide-next-step").id, "keep", story.gp)
    exchange(office)
    assert the("propose-change").stage == "overtaken"
    assert [one["status"] for one in asked(ehr)] == ["cancelled"]


def test_a_hold_that_was_made_is_asked_to_end_when_it_goes_on(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    do(story, "dispatch", "hold")
    exchange(office)
    ehr.put(placed | {"status": "on-hold"})
    exchange(office)
    assert the("propose-change").stage == "change-made"
    workflow.perform(the("decide-next-step").id, "keep", story.gp)
    exchange(office)
    assert the("propose-change").stage == "resumption-proposed"


def test_a_person_may_drop_it_with_a_reason(story: Story, office: Partner, placed: Resource, ehr: FakeEhr) -> None:
    redirected(story, office)
    do(story, "propose-change", "drop-proposal", reason="mended-elsewhere")
    exchange(office)
    assert (the("propose-change").stage, asked(ehr)[0]["status"]) == ("proposal-dropped", "cancelled")


def test_an_ehr_that_decides_itself_is_asked_nothing(
    story: Story, office: Partner, placed: Resource, ehr: FakeEhr
) -> None:
    ehr.put(placed | {"status": "revoked"})
    exchange(office)
    assert not Handoff.objects.filter(kind="propose-change").exists()
    assert Loop.objects.get().stage == "cancelled"


def test_what_was_placed_in_baton_is_changed_here(story: Story) -> None:
    handoff = story.refer()
    workflow.perform(handoff.id, "cancel", story.gp, data={"reason": "no-longer-needed"})
    assert not Handoff.objects.filter(kind="propose-change").exists()
