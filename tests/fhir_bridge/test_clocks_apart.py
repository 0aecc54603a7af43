"""The nodes of one EHR, or its clock before and after it is put right, tell times that don't follow each other; its numbers do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from records import clock
from referrals.models import Handoff
from tests.fhir_bridge.shelf import put_at
from tests.fhir_bridge.test_unread import at


@pytest.fixture
def received(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> datetime:
    """When the hospital said that it has the referral."""
    now = datetime.now(UTC)
    put_at(ehr, ehr.all("Task")[0] | {"status": "received"}, now + timedelta(minutes=10))
    at(11, ehr, hospital)
    return datetime.fromisoformat(ehr.all("Task")[0]["meta"]["lastUpdated"])


def stage(handoff: Handoff) -> str:
    return Handoff.objects.get(pk=handoff.pk).stage


@pytest.mark.parametrize("behind", [timedelta(milliseconds=50), timedelta(minutes=5)], ids=["50 ms", "5 min"])
def test_the_next_version_from_a_node_whose_clock_is_behind_is_the_newer_one(
    behind: timedelta, received: datetime, handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    put_at(ehr, ehr.all("Task")[0] | {"status": "accepted"}, received - behind)

    for minutes in (12, 17, 25):
        at(minutes, ehr, hospital)

    assert Partner.objects.get(pk=hospital.pk).state == Partner.State.ACTIVE
    assert stage(handoff) == "awaiting-booking"
    assert not Inbox.objects.filter(state=Inbox.State.DISCARDED).exists()


def test_a_version_that_was_an_hour_ahead_silences_none_of_the_next(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    now, task = datetime.now(UTC), ehr.all("Task")[0]
    take(hospital, put_at(ehr, task | {"status": "received"}, now + timedelta(minutes=62)))
    take(hospital, put_at(ehr, task | {"status": "accepted"}, now + timedelta(minutes=5)))
    assert stage(handoff) == "awaiting-booking"

    take(hospital, put_at(ehr, task | {"status": "in-progress"}, now + timedelta(minutes=6)))

    assert stage(handoff) == "in-progress"
    assert Link.objects.get(type="Task").remote_version == "4"


def test_of_two_that_come_together_the_one_with_the_higher_number_holds(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    now, task = datetime.now(UTC), ehr.all("Task")[0]
    before = put_at(ehr, task | {"status": "received"}, now + timedelta(minutes=2))
    after = put_at(ehr, task | {"status": "accepted"}, now + timedelta(minutes=1))

    take(hospital, before, after)

    assert stage(handoff) == "awaiting-booking"


def take(partner: Partner, *versions: dict[str, Any]) -> None:
    with clock.at(datetime.now(UTC) + timedelta(minutes=10)):
        inbox.put(partner, versions)
        applying.apply_pending(partner)
