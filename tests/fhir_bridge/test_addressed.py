"""The first order that a partner addresses to an organisation of ours is heard, though nothing is linked with it yet."""

from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import HOSPITAL, MRN, PRACTICE, REGISTER, Story

FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
CARDIOLOGY = {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}


def ask(ehr: FakeEhr, story: Story, whom: dict[str, Any]) -> None:
    """The hospital orders cardiology for Ana, by a request and a Task."""
    for id_, name in (("us", PRACTICE), ("them", HOSPITAL), ("others", "clinic")):
        named = [{"system": REGISTER, "value": f"{name}-{story.run}"}]
        ehr.put({"resourceType": "Organization", "id": id_, "identifier": named, "name": name})
    ehr.put({"resourceType": "Patient", "id": "p1", "identifier": [{"system": MRN, "value": f"4711-{story.run}"}]})
    asked: dict[str, Any] = {"intent": "order", "requester": {"reference": "Organization/them"}}
    patient = {"reference": "Patient/p1"}
    order = {"status": "active", "code": CARDIOLOGY, "subject": patient, "performer": [whom]}
    ehr.put({"resourceType": "ServiceRequest", "id": "sr1", **asked, **order})
    task = {"status": "requested", "code": FULFILL, "focus": {"reference": "ServiceRequest/sr1"}, "for": patient}
    ehr.put({"resourceType": "Task", "id": "t1", **asked, **task, "owner": whom})


def take(partner: Partner) -> None:
    polling.poll(partner)
    applying.apply_pending(partner)


def read(ehr: FakeEhr, path: str) -> int:
    return sum((request.verb, request.path) == ("GET", path) for request in ehr.requests)


def opened() -> list[tuple[str, str, str]]:
    """Of each order: who has placed it, and who has it now at what stage."""
    handoffs = Handoff.objects.filter(kind="fulfil", closed_at=None)
    return list(handoffs.values_list("loop__placer", "owner__organization", "stage"))


def test_the_first_order_that_is_addressed_to_us_is_opened(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/us"})

    take(hospital)

    [(placer, _owner, _stage)] = opened()
    assert placer == HOSPITAL
    assert Link.objects.filter(type="Organization", remote_id="us", local_id=PRACTICE).exists()
    assert Link.objects.filter(type="Task", remote_id="t1").exists()


def test_it_is_opened_where_we_are_named_by_an_identifier_alone(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"identifier": {"system": REGISTER, "value": f"{PRACTICE}-{story.run}"}})

    take(hospital)

    [(placer, _owner, _stage)] = opened()
    assert placer == HOSPITAL


@pytest.mark.parametrize(
    "whom",
    [{"reference": "Organization/others"}, {"identifier": {"system": REGISTER, "value": "clinic"}}, {"display": "Us"}],
)
def test_an_order_for_others_is_forgotten_and_they_are_asked_for_once(
    whom: dict[str, Any], story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, whom)

    take(hospital)
    take(hospital)

    assert not Inbox.objects.exists()
    assert not Loop.objects.exists()
    assert read(ehr, "Organization/others") == int("reference" in whom)


def test_an_organisation_that_can_not_be_read_for_a_while_is_asked_for_again(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(Answer(500), "GET", "Organization/us"):
        take(hospital)
    assert opened() == []

    take(hospital)

    assert len(opened()) == 1
