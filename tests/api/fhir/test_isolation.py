"""What one hospital keeps is for another neither there nor not there."""

import pytest

from api.models import Client
from records import access, store
from records.access import SYSTEM
from records.types import TYPES
from tests.api.fhir.conftest import System

FORM = "application/x-www-form-urlencoded"
DIRECTORY = sorted(name for name in TYPES if access.policy(name) == "directory")
PRIVATE = [*sorted(name for name in TYPES if access.policy(name) != "directory"), "Immunization"]


def answers(system: System, type_name: str) -> list[tuple[int, bytes]]:
    """Everything that a system can ask about a type, for the id ``secret``."""
    queries = ["", "_id=secret", "_total=accurate", "_total=estimate", "_summary=count", "_lastUpdated=gt2000"]
    queries += ["_sort=_id&_count=1", "_sort=-_lastUpdated", "identifier=1", "identifier:missing=false", "_id:not=x"]
    queries += ["_elements=id", "_tag:missing=true", "_count=0", "foo=secret"]
    paths = [f"{type_name}/secret", f"{type_name}/secret/_history/1", *(f"{type_name}?{query}" for query in queries)]
    got = [system.get(path) for path in paths]
    got += [system.post(f"{type_name}/_search", query, FORM) for query in queries]
    return [(answer.status_code, answer.content) for answer in got]


def keep(type_name: str, system: System) -> None:
    body = {"resourceType": type_name, "id": "secret", "identifier": [{"system": "http://x", "value": "1"}]}
    store.write(body, actor=SYSTEM, audience=[system.organization], validate=False)


@pytest.mark.parametrize("type_name", PRIVATE)
def test_nothing_that_another_hospital_keeps_changes_any_answer(north: System, south: System, type_name: str) -> None:
    before = answers(south, type_name)
    keep(type_name, north)
    assert answers(south, type_name) == before
    assert north.get(f"{type_name}/secret").status_code == 200
    store.delete(type_name, "secret", actor=SYSTEM)
    assert answers(south, type_name) == before


@pytest.mark.parametrize("type_name", PRIVATE)
def test_nothing_that_another_hospital_keeps_can_be_changed(north: System, south: System, type_name: str) -> None:
    keep(type_name, north)
    if type_name != "AuditEvent":
        body = f'{{"resourceType":"{type_name}","id":"secret"}}'
        if type_name == "Bundle":
            body = body.replace("}", ',"type":"document"}')
        answer = south.put(f"{type_name}/secret", body)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    assert store.read(type_name, "secret").version == 1


@pytest.mark.parametrize("type_name", DIRECTORY)
def test_the_directory_is_for_everybody_to_read_and_for_its_keeper_to_change(
    north: System, south: System, type_name: str
) -> None:
    keep(type_name, north)
    assert south.get(f"{type_name}/secret").status_code == 200
    body = f'{{"resourceType":"{type_name}","id":"secret","partOf":{{"reference":"Organization/south"}}}}'
    assert south.put(f"{type_name}/secret", body).status_code == 403
    assert store.read(type_name, "secret").version == 1


def test_a_hospital_sees_what_was_shared_with_it(north: System, south: System) -> None:
    keep("Task", north)
    store.share("Task", "secret", ["south"])
    assert south.get("Task/secret").status_code == 200
    assert len(south.get("Task?identifier=1").json()["entry"]) == 1


def test_a_client_of_no_organisation_sees_nothing(north: System) -> None:
    keep("Task", north)
    Client.objects.update(organization="")
    assert "entry" not in north.get("Task").json()
    assert north.get("Task/secret").status_code == 404
