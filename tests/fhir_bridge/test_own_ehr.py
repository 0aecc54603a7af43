"""A tenant's own EHR speaks for the tenant: its orders are ours before anything that they name is known here."""

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story, put_order


def take(partner: Partner) -> None:
    polling.poll(partner)
    applying.apply_pending(partner)


def test_the_first_order_of_a_patient_may_name_nobody_but_a_clinician(
    story: Story, office: Partner, ehr: FakeEhr
) -> None:
    put_order(ehr, story.run)
    assert not Link.objects.exists()

    take(office)

    loop = Loop.objects.get()
    assert (loop.placer, loop.patient_id) == (PRACTICE, "ana")
    assert list(loop.handoffs.values_list("kind", "stage")) == [("dispatch", "to-send")]


def test_an_order_and_its_task_may_come_in_one_round(story: Story, office: Partner, ehr: FakeEhr) -> None:
    put_order(ehr, story.run)
    ehr.put(
        {
            "resourceType": "Task",
            "id": "t1",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
            "focus": {"reference": "ServiceRequest/sr1"},
            "for": {"reference": "Patient/p1"},
            "owner": {"reference": "Organization/o1"},
        }
    )

    take(office)
    pushing.run_once(office)

    fulfil = Handoff.objects.get(kind="fulfil")
    assert (fulfil.owner.organization, fulfil.loop.placer) == (HOSPITAL, PRACTICE)
    assert not Handoff.objects.filter(kind="dispatch", closed_at=None).exists()


@pytest.mark.parametrize(
    "less", [{"status": "draft"}, {"intent": "plan"}, {"code": {"text": "Something"}}], ids=["draft", "plan", "unknown"]
)
def test_what_opens_no_loop_is_not_read(less: dict[str, object], story: Story, office: Partner, ehr: FakeEhr) -> None:
    put_order(ehr, story.run, **less)

    take(office)

    assert not Inbox.objects.exists()


def test_an_order_that_cannot_be_read_keeps_no_other_from_being_read(
    story: Story, office: Partner, ehr: FakeEhr
) -> None:
    order = put_order(ehr, story.run)
    ehr.put(order | {"id": "sr2", "category": {"coding": "?"}})

    take(office)

    assert Loop.objects.filter(kind="referral").count() == 1
    assert list(Inbox.objects.filter(remote_id="sr2").values_list("state", flat=True)) == [Inbox.State.QUARANTINED]


def test_orders_of_another_organisations_ehr_that_name_none_of_ours_are_not_read(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    put_order(ehr, story.run)

    take(hospital)

    assert not Inbox.objects.exists()
