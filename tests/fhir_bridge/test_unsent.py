"""What is not asked for yet: while the payer hasn't agreed a partner hears nothing, nor that it was cancelled."""

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing
from referrals import workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, GP, HOSPITAL, PRACTICE, Story, keep, request_for_ana


@pytest.fixture
def pending(story: Story, hospital: Partner) -> Handoff:
    """A referral to the hospital that waits for the payer."""
    order = workflow.Order(
        kind="referral",
        request=keep(request_for_ana(story.run)),
        patient_id=ANA,
        placer=PRACTICE,
        performer=HOSPITAL,
        requester=GP,
        title="Cardiology",
    )
    loop = workflow.open_loop(order, story.gp)
    story.sent.append(loop)
    dispatch = Handoff.objects.get(loop=loop, kind="dispatch")
    workflow.perform(dispatch.id, "send", story.gp, data={"authorisation_needed": True})
    return Handoff.objects.get(loop=loop, kind="fulfil")


def test_what_is_cancelled_before_it_was_sent_never_reaches_the_partner(
    story: Story, hospital: Partner, ehr: FakeEhr, pending: Handoff
) -> None:
    workflow.perform(pending.id, "cancel", story.gp, data={"reason": "no-longer-needed"})
    pushing.run_once(hospital)
    assert (ehr.all("Task"), Link.objects.filter(partner=hospital, type="Task").count()) == ([], 0)


def test_what_the_payer_agrees_to_is_sent_and_its_cancellation_as_well(
    story: Story, hospital: Partner, ehr: FakeEhr, pending: Handoff
) -> None:
    workflow.perform(pending.id, "authorise", story.gp, data={"authorisation": "A-4711"})
    pushing.run_once(hospital)
    assert [task["status"] for task in ehr.all("Task")] == ["requested"]
    workflow.perform(pending.id, "cancel", story.gp, data={"reason": "no-longer-needed"})
    pushing.run_once(hospital)
    assert [task["status"] for task in ehr.all("Task")] == ["cancelled"]
