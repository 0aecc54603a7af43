"""Ordered in a real server as the practice's EHR, performed in another: both sides end alike."""

from collections.abc import Iterator

import pytest

from bench.fake_ehr import FakeEhr
from fhir_bridge import operations
from fhir_bridge.models import Link
from tests.fhir_bridge.story import Story, promise
from tests.fhir_bridge.two_ehrs import PANEL, Region, build_region

pytestmark = [pytest.mark.partner, pytest.mark.xdist_group("partner")]


@pytest.fixture
def region(story: Story, fhir_partner: str) -> Iterator[Region]:
    with FakeEhr() as hospitals:
        region = build_region(story, fhir_partner, hospitals)
        operations.test(region.office)
        promise(region.clinic)
        yield region


def test_a_test_order_ends_alike_on_both_sides(region: Region) -> None:
    hospital = region.hospital
    region.order(PANEL)

    hospital.say("in-progress", businessStatus={"text": "Specimen collected"})
    region.exchange()
    region.agrees("in-progress", "specimen-collected")

    report = hospital.write_report(hospital.measure("Sodium"), hospital.measure("Potassium"))
    hospital.say("completed", output=[{"type": {"text": "result"}, "valueReference": {"reference": report}}])
    region.exchange()
    region.agrees("completed", "final")
    assert set(Link.objects.filter(type="Task").values_list("state", flat=True)) == {Link.State.CLEAN}


def test_both_may_write_the_same_task_at_once(region: Region) -> None:
    practice, hospital = region.practice, region.hospital
    region.order(PANEL)

    said = [*practice.people.read(practice.task)["note"], {"text": "She moves in May"}]
    practice.people.change(practice.task, note=said, priority="urgent")
    known = [*hospital.people.read(hospital.task)["note"], {"text": "Fasting, please"}]
    hospital.say("accepted", note=known)
    region.exchange()

    region.agrees("accepted")
    for task in (practice.people.read(practice.task), hospital.people.read(hospital.task)):
        assert sorted(each["text"] for each in task["note"]) == [
            "Fasting, please",
            "Please call first",
            "She moves in May",
        ]
        assert task["priority"] == "urgent"
    assert set(Link.objects.filter(type="Task").values_list("state", flat=True)) == {Link.State.CLEAN}
