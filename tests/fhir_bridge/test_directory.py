"""A partner's directory is kept here as it is there: news, changes and deletions, and nothing of ours touched."""

from collections.abc import Callable
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.inbound import applying, polling, reconciling
from fhir_bridge.models import Link, Partner, Watermark
from records import clock, store
from records.errors import Unavailable
from tests.fhir_bridge.story import HOSPITAL, NPI, REGISTER, Story

Sync = Callable[[], dict[str, int]]


@pytest.fixture
def sync(hospital: Partner) -> Sync:
    """One round with the hospital, which is a directory."""
    hospital.is_directory = True
    hospital.save()

    def once() -> dict[str, int]:
        polling.poll(hospital)
        return dict(applying.apply_pending(hospital))

    return once


def history(ehr: FakeEhr) -> Callable[[Request, Answer], Answer]:
    """The fake's history with its deletions, as servers give it: newest first."""

    def answer(request: Request, honest: Answer) -> Answer:
        if not request.path.endswith("/_history"):
            return honest
        kind = request.path.partition("/")[0]
        gone = [
            {"request": {"method": "DELETE", "url": f"{kind}/{id_}"}, "response": {"status": "204"}}
            for type_, id_ in ehr.shelf.gone
            if type_ == kind
        ]
        body: dict[str, Any] = honest.body or {}
        return Answer(200, {**body, "type": "history", "entry": [*gone, *reversed(body.get("entry", []))]})

    return answer


def local(type_: str, remote_id: str) -> dict[str, Any]:
    return store.get(type_, Link.objects.get(type=type_, remote_id=remote_id).local_id)


def clinic(ehr: FakeEhr) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A clinic, its cardiologist, and her role there."""
    place = ehr.put({"resourceType": "Organization", "id": "clinic", "active": True, "name": "Heart clinic"})
    doctor = ehr.put({"resourceType": "Practitioner", "id": "heart", "active": True, "name": [{"family": "Heart"}]})
    role = ehr.put(
        {
            "resourceType": "PractitionerRole",
            "id": "role",
            "active": True,
            "practitioner": {"reference": "Practitioner/heart"},
            "organization": {"reference": "Organization/clinic"},
        }
    )
    return place, doctor, role


@pytest.mark.parametrize("has_history", [True, False])
def test_who_is_there_is_here_and_who_leaves_is_inactive(
    has_history: bool, sync: Sync, hospital: Partner, ehr: FakeEhr
) -> None:
    place, _doctor, _role = clinic(ehr)
    with ehr.faulty(history(ehr)) if has_history else ehr.refusing(Answer(404), "GET", "Practitioner/_history"):
        assert sync() == {"applied": 3}
        role = local("PractitionerRole", "role")
        assert role["organization"]["reference"] == f"Organization/{local('Organization', 'clinic')['id']}"

        ehr.put(place | {"name": "Heart and lung clinic"})
        ehr.remove("Practitioner", "heart")
        sync()
    if not has_history:
        reconciling.run(hospital, reconciling.Scope.ALL)

    assert local("Organization", "clinic")["name"] == "Heart and lung clinic"
    assert local("Practitioner", "heart")["active"] is False
    assert local("Practitioner", "heart")["name"] == [{"family": "Heart"}]


def test_everything_that_was_there_before_is_read_too(sync: Sync, hospital: Partner, ehr: FakeEhr) -> None:
    clinic(ehr)
    Partner.objects.filter(pk=hospital.pk).update(created_at=clock.now())
    sync()
    assert Watermark.objects.get(type="Organization").read_at is not None
    assert Link.objects.filter(type="Practitioner").count() == 1


def test_what_is_ours_or_was_known_before_is_linked_and_not_touched(
    story: Story, sync: Sync, hospital: Partner, ehr: FakeEhr
) -> None:
    before = store.get("Organization", HOSPITAL)
    named = [{"system": REGISTER, "value": f"hospital-{story.run}"}]
    ehr.put({"resourceType": "Organization", "id": "o1", "identifier": named, "name": "Another name", "active": True})
    gp = [{"system": NPI, "value": f"gp-{story.run}"}]
    ehr.put({"resourceType": "Practitioner", "id": "p1", "identifier": gp, "name": [{"family": "Another"}]})

    sync()
    ehr.remove("Organization", "o1")
    with ehr.faulty(history(ehr)):
        sync()

    assert store.get("Organization", HOSPITAL) == before
    assert store.get("Practitioner", "gp")["name"] == [{"family": "Gp"}]
    link = Link.objects.get(type="Organization")
    assert (link.local_id, link.follows, link.state) == (HOSPITAL, False, Link.State.GONE)
    assert hospital.is_directory


def test_of_a_partner_that_is_no_directory_nobody_is_taken(hospital: Partner, ehr: FakeEhr) -> None:
    clinic(ehr)
    polling.poll(hospital)
    assert applying.apply_pending(hospital) == {}


def test_a_history_whose_next_page_is_itself_is_not_read_for_ever(sync: Sync, hospital: Partner, ehr: FakeEhr) -> None:
    def circle(request: Request, honest: Answer) -> Answer:
        if not request.path.endswith("/_history"):
            return honest
        link = {"relation": "next", "url": f"{ehr.base_url}/{request.path}?page=2"}
        return Answer(200, {"resourceType": "Bundle", "type": "history", "link": [link]})

    with ehr.faulty(circle), pytest.raises(Unavailable):
        sync()
    asked = [request.path for request in ehr.requests if request.path == "Practitioner/_history"]
    assert len(asked) == len(("the first page", "the second"))
