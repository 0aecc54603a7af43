"""An order goes to the partner that is nearest to whom it is addressed: a department's own system before the house's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import tasks
from fhir_bridge.connecting import partners
from fhir_bridge.models import Partner
from fhir_bridge.outbound import pushing
from records import clock
from referrals import people, workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, GP, HOSPITAL, PRACTICE, Story, keep, promise, request_for_ana


@pytest.fixture
def own() -> Iterator[FakeEhr]:
    with FakeEhr() as fake:
        yield fake


@pytest.fixture
def psychiatry(story: Story, hospital: Partner, own: FakeEhr) -> Partner:
    """A department of the hospital's with an EHR of its own, and a ward in it."""
    for part, whole in (("psychiatry", HOSPITAL), ("ward", "psychiatry"), ("surgery", HOSPITAL)):
        above = {"reference": f"Organization/{whole}"}
        keep({"resourceType": "Organization", "id": part, "name": part.title(), "partOf": above})
    return connected(story, own)


def connected(story: Story, ehr: FakeEhr) -> Partner:
    partner = partners.add("Psychiatry", ehr.base_url, organization="psychiatry", steward_pool=story.pool)
    partner.lag_seconds = -2.0
    promise(partner)
    return partner


def refer(story: Story, department: str) -> Handoff:
    asked = {"performer": [{"reference": f"Organization/{department}"}]}
    order = workflow.Order(
        kind="referral",
        request=keep(request_for_ana(story.run) | asked),
        patient_id=ANA,
        placer=PRACTICE,
        performer=HOSPITAL,
        performer_owner=people.performing_owner(department),
        requester=GP,
        title="Talk",
        is_sent=True,
    )
    return Handoff.objects.get(loop=workflow.open_loop(order, story.gp), kind="fulfil")


@pytest.mark.parametrize(
    ("department", "is_theirs"), [("psychiatry", True), ("ward", True), ("surgery", False), (HOSPITAL, False)]
)
def test_an_order_goes_to_the_nearest_system(
    department: str, is_theirs: bool, story: Story, hospital: Partner, psychiatry: Partner, ehr: FakeEhr, own: FakeEhr
) -> None:
    refer(story, department)
    for partner in (hospital, psychiatry):
        pushing.run_once(partner)
    assert (len(own.all("Task")), len(ehr.all("Task"))) == (int(is_theirs), int(not is_theirs))


def test_the_department_is_the_performer(story: Story, psychiatry: Partner, own: FakeEhr) -> None:
    handoff = refer(story, "psychiatry")
    pushing.run_once(psychiatry)
    [theirs] = own.all("Task")
    own.put(theirs | {"status": "accepted"})
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        tasks.pull(psychiatry.pk)
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"


def test_what_the_house_has_already_is_not_sent_to_a_department_that_is_connected_later(
    story: Story, hospital: Partner, psychiatry: Partner, ehr: FakeEhr, own: FakeEhr
) -> None:
    Partner.objects.filter(pk=psychiatry.pk).delete()
    first = refer(story, "psychiatry")
    pushing.run_once(hospital)
    later = connected(story, own)
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        workflow.perform(first.pk, "cancel", story.gp, data={"reason": "no-longer-needed"})
        for partner in (hospital, later):
            pushing.run_once(partner)
    assert (len(ehr.all("Task")), len(own.all("Task"))) == (1, 0)
    assert ehr.all("Task")[0]["status"] == "cancelled"
