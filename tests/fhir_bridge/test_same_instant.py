"""Two versions of one instant, from a server that counts whole seconds: the newer one holds, in whichever order they are stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, reconciling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from records import clock, store
from referrals.models import Handoff

BEFORE = {"Task": "accepted", "Observation": "preliminary"}


def take(partner: Partner, *versions: dict[str, Any]) -> None:
    """Each is stored and applied before the next one comes."""
    for each in versions:
        inbox.put(partner, [each])
        applying.apply_pending(partner)


@pytest.fixture
def current(handoff: Handoff, ehr: FakeEhr) -> dict[str, Any]:
    """What the hospital's Task says now; it has said something else in the same second."""
    return ehr.put(ehr.all("Task")[0] | {"status": "in-progress"})


def earlier(current: dict[str, Any], version: str) -> dict[str, Any]:
    return current | {"status": BEFORE[current["resourceType"]], "meta": {**current["meta"], "versionId": version}}


def test_the_lower_number_is_the_older_version(
    current: dict[str, Any], handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    for version, number in ((current, 10), (before := earlier(current, ""), 9)):
        version["meta"]["versionId"] = str(number)
    take(hospital, current, before)
    assert Handoff.objects.get(pk=handoff.pk).stage == "in-progress"
    assert Link.objects.get(type="Task").remote_version == "10"


@pytest.mark.parametrize("type_", ["Task", "Observation"])
def test_where_versions_are_no_numbers_the_reading_by_id_finds_out(
    type_: str, current: dict[str, Any], handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    if type_ == "Observation":
        request = Link.objects.get(type="ServiceRequest").remote_id
        value = {"resourceType": type_, "id": "o", "status": "final", "code": {"text": "Hb"}}
        current = ehr.put(value | {"basedOn": [{"reference": f"ServiceRequest/{request}"}]})
    take(hospital, current, earlier(current, "an-older-one"))
    link = Link.objects.get(type=type_, remote_id=current["id"])
    assert store.get(type_, link.local_id)["status"] == BEFORE[type_]

    with clock.at(datetime.now(UTC) + timedelta(hours=2)):
        for scope in ("open", "all", "all"):
            reconciling.run(hospital, scope)
            applying.apply_pending(hospital)
    assert store.get(type_, link.local_id)["status"] == current["status"]
    assert Inbox.objects.filter(type=type_).count() == len(("current", "earlier"))
