"""What we sent and took for refused comes back bearing our identifier: it is ours, and no second record of it is made."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import operations
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock
from records.types import row_class
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

BROKEN = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


@pytest.fixture
def refused(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """A referral whose Task the hospital's server refuses, and keeps all the same."""
    handoff = story.refer()

    def keeping(request: Request, honest: Answer) -> Answer:
        return Answer(422, BROKEN) if (request.verb, request.path) == ("POST", "Task") else honest

    with ehr.faulty(keeping):
        pushing.run_once(hospital)
    link = Link.objects.get(type="Task")
    assert (link.state, link.remote_id) == (Link.State.STUCK, None)
    return handoff


def exchange(partner: Partner) -> None:
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        polling.poll(partner)
        applying.apply_pending(partner)
        pushing.run_once(partner)


def test_it_is_linked_heard_and_no_longer_to_be_mended(refused: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    [theirs] = ehr.all("Task")
    tasks = row_class("Task").rows("Task").count()
    ehr.put(theirs | {"status": "accepted"})

    exchange(hospital)

    link = Link.objects.get(type="Task")
    assert (link.local_id, link.remote_id, link.state) == (refused.pk, theirs["id"], Link.State.CLEAN)
    assert Handoff.objects.get(pk=refused.pk).stage == "awaiting-booking"
    assert len(ehr.all("Task")) == 1
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}
    assert row_class("Task").rows("Task").count() == tasks


def test_what_a_person_has_given_up_is_linked_and_not_sent_again(
    refused: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    operations.discard(f"Link/{Link.objects.get(type='Task').pk}", story.nina, reason="not-worth-sending")
    [theirs] = ehr.all("Task")

    exchange(hospital)

    link = Link.objects.get(type="Task")
    assert (link.local_id, link.remote_id, link.state) == (refused.pk, theirs["id"], Link.State.CLEAN)
    assert ehr.all("Task") == [theirs]
