"""What the partner's answer to our own write says beyond what we wrote: it is heard, and what every server adds is not."""

from dataclasses import replace
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.capabilities.choices import Send
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import store
from records.access import SYSTEM
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

DECLINED = {"status": "rejected", "statusReason": {"text": "Not our field"}}
ADDED: dict[str, Any] = {
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A task</div>'}
}
ADDED |= {"lastModified": "2026-11-22T12:00:00Z"}


def answering(ehr: FakeEhr, verb: str, said: dict[str, Any]) -> None:
    """From now on what is written to a Task there becomes, in the same moment, what their rules make of it."""

    def ruled(request: Request) -> Answer | None:
        if request.verb != verb or request.kind != "Task" or request.body is None:
            return None
        return ehr.answer(replace(request, body={**request.body, **said}))

    ehr.refusal = ruled


def exchange(partner: Partner) -> None:
    pushing.run_once(partner)
    polling.poll(partner)
    applying.apply_pending(partner)


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ({"status": "received"}, "in-triage"),
        ({"status": "accepted"}, "awaiting-booking"),
        (DECLINED, "declined"),
    ],
)
def test_what_their_rules_say_of_an_order_in_the_moment_of_its_arrival_is_heard(
    story: Story, hospital: Partner, ehr: FakeEhr, said: dict[str, Any], stage: str
) -> None:
    handoff = story.refer()
    answering(ehr, "POST", said)

    exchange(hospital)
    exchange(hospital)

    handoff.refresh_from_db()
    assert (handoff.stage, store.get("Task", handoff.id)["status"]) == (stage, said["status"])
    assert Link.objects.get(type="Task").state == Link.State.CLEAN
    assert len([each for each in ehr.requests if each.verb == "PUT"]) == 0


def test_it_is_heard_where_many_writes_went_in_one_request(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    hospital.chosen = {"send": Send.TRANSACTION}
    hospital.save()
    handoffs = [story.refer(), story.refer()]
    answering(ehr, "POST", DECLINED)

    exchange(hospital)

    assert any(request.path == "" for request in ehr.requests)
    assert set(Handoff.objects.filter(pk__in=[each.pk for each in handoffs]).values_list("stage", flat=True)) == {
        "declined"
    }


def test_a_declining_that_answers_a_change_of_ours_is_heard(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.refer()
    exchange(hospital)
    answering(ehr, "PUT", DECLINED)
    store.write(store.get("Task", handoff.id) | {"note": [{"text": "Please hurry"}]}, actor=SYSTEM)

    exchange(hospital)

    handoff.refresh_from_db()
    assert handoff.stage == "declined"
    assert store.get("Task", handoff.id)["note"] == [{"text": "Please hurry"}]


def test_a_note_that_they_added_to_what_we_sent_outlives_our_next_write(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    answering(ehr, "POST", {"note": [{"text": "Queue 4"}]})
    pushing.run_once(hospital)
    ehr.refusal = None
    store.write(store.get("Task", handoff.id) | {"description": "By the front door"}, actor=SYSTEM)

    exchange(hospital)
    Link.objects.filter(state=Link.State.WANTED).update(due_at="2026-01-01T00:00:00Z")
    exchange(hospital)

    assert store.get("Task", handoff.id)["note"] == [{"text": "Queue 4"}]
    assert [(each["note"], each["description"]) for each in ehr.all("Task")] == [
        ([{"text": "Queue 4"}], "By the front door")
    ]


def test_what_every_server_adds_to_a_resource_is_no_news(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.refer()
    sent = store.get("Task", handoff.id)
    answering(ehr, "POST", ADDED | {"identifier": [*reversed(sent["identifier"])], "priority": "routine"})
    exchange(hospital)
    before = len([each for each in ehr.requests if each.verb != "GET"])

    exchange(hospital)

    assert not Inbox.objects.exists()
    assert len([each for each in ehr.requests if each.verb != "GET"]) == before
