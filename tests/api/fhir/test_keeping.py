"""Whoever may read a resource may not therefore rewrite it: only the organisation that keeps it does."""

import json

import pytest

from records import access, store
from records.access import SYSTEM
from records.json import Resource
from referrals import people
from tests.api.fhir.conftest import System

REPORT = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Potassium"}, "conclusion": "High"}
PATIENT = {"resourceType": "Patient", "name": [{"family": "Rossi"}]}


def put(system: System, body: Resource) -> int:
    return int(system.put(f"{body['resourceType']}/{body['id']}", json.dumps(body)).status_code)


@pytest.mark.parametrize(("body", "change"), [(REPORT, {"conclusion": "Low"}), (PATIENT, {"active": False})])
def test_what_one_organisation_wrote_another_may_read_and_not_rewrite(
    north: System, south: System, body: Resource, change: Resource
) -> None:
    kept = {**body, "id": north.post(body["resourceType"], json.dumps(body)).json()["id"]}
    store.share(body["resourceType"], kept["id"], ["south"])
    assert south.get(f"{body['resourceType']}/{kept['id']}").status_code == 200
    assert put(south, kept | change) == 403
    assert store.read(body["resourceType"], kept["id"]).version == 1
    assert put(north, kept | change) == 200


def test_what_baton_wrote_for_one_organisation_is_its_own_and_for_several_nobodys(north: System, south: System) -> None:
    store.write({**PATIENT, "id": "of-north"}, actor=SYSTEM, audience=["north"])
    store.share("Patient", "of-north", ["south"])
    store.write({**PATIENT, "id": "of-both"}, actor=SYSTEM, audience=["north", "south"])
    changed = {**PATIENT, "active": False}
    assert [put(one, changed | {"id": "of-north"}) for one in (south, north)] == [403, 200]
    assert [put(one, changed | {"id": "of-both"}) for one in (south, north)] == [403, 403]


def test_an_entry_of_the_directory_belongs_to_its_organisation_when_nobody_knows_who_wrote_it(
    north: System, south: System
) -> None:
    clinic = {"resourceType": "HealthcareService", "id": "clinic", "providedBy": {"reference": "Organization/north"}}
    store.write(clinic, actor=SYSTEM)
    assert access.author("HealthcareService", "clinic") == ""
    assert [put(one, clinic | {"name": "Heart"}) for one in (south, north)] == [403, 200]


def test_a_task_is_written_in_turns_by_those_who_share_it(north: System, south: System) -> None:
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    assert put(north, task) == 201
    store.share("Task", "t", ["south"])
    assert put(south, task | {"status": "accepted"}) == 200


@pytest.mark.parametrize(
    ("type_name", "element"),
    [
        ("HealthcareService", "providedBy"),
        ("Organization", "partOf"),
        ("Location", "managingOrganization"),
        ("PractitionerRole", "organization"),
    ],
)
def test_nobody_adds_to_another_organisation_that_works_here(
    north: System, south: System, type_name: str, element: str
) -> None:
    ward = {"resourceType": "Organization", "id": "ward", "name": "Ward"}
    store.write({**ward, "partOf": {"reference": "Organization/south"}}, actor=SYSTEM)
    for house, status in (("south", 403), ("ward", 403), ("north", 201), ("elsewhere", 201)):
        body = {"resourceType": type_name, "name": "Heart", element: {"reference": f"Organization/{house}"}}
        if type_name == "PractitionerRole":
            del body["name"]
        answer = north.post(type_name, json.dumps(body))
        assert answer.status_code == status, answer.content
    own = json.loads(north.post(type_name, json.dumps(body)).content)
    assert put(north, own | {element: {"reference": "Organization/south"}}) == 403


def test_the_team_of_a_list_changes_with_its_list_alone(north: System) -> None:
    pool = people.default_pool("north").pool
    team = store.get("CareTeam", pool.id)
    assert put(north, team | {"name": "Another name"}) == 403
    assert north.post("CareTeam", '{"resourceType":"CareTeam","name":"Ward round"}').status_code == 201
