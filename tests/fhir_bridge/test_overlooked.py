"""What comes while the order that it belongs to can't be read is heard once the order is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge.inbound import polling
from fhir_bridge.models import Link, Partner
from records import clock, store
from referrals.models import Loop
from tests.fhir_bridge.story import Story, put_order
from tests.fhir_bridge.test_unread import at

ORDER = [{"reference": "ServiceRequest/sr1"}]
FOLLOWING: dict[str, dict[str, Any]] = {
    "Appointment": {
        "status": "booked",
        "start": "2030-01-01T10:00:00Z",
        "end": "2030-01-01T10:30:00Z",
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
    },
    "DiagnosticReport": {"status": "final", "code": {"text": "X"}, "subject": {"reference": "Patient/p1"}},
}


def follow(ehr: FakeEhr, type_: str) -> None:
    ehr.put({"resourceType": type_, "id": "after", "basedOn": ORDER} | FOLLOWING[type_])


@pytest.mark.parametrize("type_", FOLLOWING)
def test_what_an_order_has_led_to_is_heard_though_the_order_could_not_be_read_for_half_an_hour(
    type_: str, story: Story, office: Partner, ehr: FakeEhr
) -> None:
    at(0, ehr, office)
    with ehr.refusing(Answer(500), "GET", "ServiceRequest"):
        at(4, ehr, office)
        put_order(ehr, story.run)
        follow(ehr, type_)
        for minutes in (10, 20, 30):
            at(minutes, ehr, office)
    for minutes in (46, 47, 48):
        at(minutes, ehr, office)

    assert Loop.objects.filter(kind="referral").exists()
    assert Link.objects.filter(type=type_, remote_id="after").exists()


def test_an_order_that_comes_in_time_has_nothing_read_twice(story: Story, office: Partner, ehr: FakeEhr) -> None:
    for minutes in (0, 6, 12):
        at(minutes, ehr, office)
    put_order(ehr, story.run)
    at(13, ehr, office)
    before = len(ehr.requests)

    with clock.at(datetime.now(UTC) + timedelta(minutes=13)):
        polling.poll(Partner.objects.get(pk=office.pk), unless_read_since=timedelta(seconds=30))

    assert Loop.objects.filter(kind="referral").exists()
    assert len(ehr.requests) == before + 1, "its clock alone is asked for"


def test_what_an_order_has_led_to_waits_until_the_order_is_corrected(
    story: Story, office: Partner, ehr: FakeEhr
) -> None:
    at(0, ehr, office)
    order = put_order(ehr, story.run, category={"coding": "?"})
    for type_ in FOLLOWING:
        follow(ehr, type_)
    at(1, ehr, office)
    assert not Link.objects.filter(remote_id="after").exists()

    ehr.put({name: value for name, value in order.items() if name not in {"category", "meta"}})
    for minutes in (2, 3, 19):
        at(minutes, ehr, office)

    ours = Link.objects.get(type="ServiceRequest").local_id
    for link in Link.objects.filter(remote_id="after"):
        assert store.get(link.type, link.local_id)["basedOn"][0]["reference"] == f"ServiceRequest/{ours}"
    assert Link.objects.filter(remote_id="after").count() == len(FOLLOWING)
