"""What goes in comes out, once, with its versions."""

import pytest
from pytest_django import DjangoAssertNumQueries

from records import access, reactions, references, store
from records.access import SYSTEM
from records.errors import Incorrect
from records.json import Resource
from records.models import StringIndex

pytestmark = pytest.mark.django_db

TASK = b"""{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/p1"},
"code":{"coding":[{"system":"s","code":"fulfill"}]},"owner":{"reference":"Organization/o1"},
"input":[{"type":{"text":"x"},"valueDecimal":1.50}],"authoredOn":"2024-02-03"}"""


def test_a_resource_comes_back_with_its_numbers_as_they_were_sent() -> None:
    written = store.write(store.parse(TASK), actor=SYSTEM, audience=["o1"])

    assert '"valueDecimal":1.50' in store.read("Task", written.id).body


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other room listens."""
    monkeypatch.setattr(reactions, "_registered", [])


@pytest.mark.usefixtures("alone")
def test_a_write_takes_four_statements_and_a_write_of_fifty_does_too(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    body = store.parse(TASK)

    with django_assert_num_queries(4):
        first = store.write(body, actor=SYSTEM, audience=["o1"])
    with django_assert_num_queries(4):
        store.write({**body, "id": first.id, "status": "accepted"}, actor=SYSTEM, audience=["o1"])
    with django_assert_num_queries(4):
        store.write_many([body] * 50, actor=SYSTEM, audience=["o1", "o2"])
    with django_assert_num_queries(1):
        store.write({**body, "id": first.id, "status": "accepted"}, actor=SYSTEM)
    assert access.visible(SYSTEM, "Task").count() == 51


@pytest.mark.usefixtures("alone")
def test_names_are_found_by_their_folded_beginning_and_cost_two_statements_only_when_they_change(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Núñez", "given": ["Ana"]}]}

    with django_assert_num_queries(5):
        store.write(patient, actor=SYSTEM)
    with django_assert_num_queries(4):
        store.write({**patient, "gender": "female"}, actor=SYSTEM)
    with django_assert_num_queries(6):
        store.write({**patient, "name": [{"family": "Nunez"}]}, actor=SYSTEM)

    assert set(StringIndex.objects.filter(row="p", parameter="family").values_list("value", "written")) == {
        ("nunez", "Nunez")
    }


def test_several_resources_of_one_write_must_be_of_one_type_and_different() -> None:
    body = store.parse(TASK)

    with pytest.raises(Incorrect):
        store.write_many([{**body, "id": "a"}, {**body, "id": "a"}], actor=SYSTEM)
    with pytest.raises(Incorrect):
        store.write_many([body, {"resourceType": "Patient"}], actor=SYSTEM)


def test_an_identifier_is_found_by_system_and_value_together() -> None:
    for resource_id, system in (("a", "urn:one"), ("b", "urn:two")):
        identifiers = [{"system": system, "value": "7"}]
        store.write({"resourceType": "Patient", "id": resource_id, "identifier": identifiers}, actor=SYSTEM)
    store.write({"resourceType": "Claim", "id": "a", "identifier": [{"system": "urn:one", "value": "7"}]}, actor=SYSTEM)

    assert [found.id for found in store.find_by_identifier("Patient", "urn:one", "7")] == ["a"]
    assert [found.type for found in store.find_by_identifier("Claim", "urn:one", "7")] == ["Claim"]
    assert store.find_by_identifier("Patient", "urn:one", "8") == []


def test_two_undeclared_types_may_use_the_same_id() -> None:
    store.write({"resourceType": "Claim", "id": "same", "patient": {"reference": "Patient/p"}}, actor=SYSTEM)
    store.write({"resourceType": "Device", "id": "same"}, actor=SYSTEM)

    assert '"Claim"' in store.read("Claim", "same").body
    assert '"Device"' in store.read("Device", "same").body
    assert access.visible(SYSTEM, "Claim").get().patient == "p"


def test_references_are_listed_with_their_paths_and_rewritten_in_a_copy() -> None:
    body: Resource = {
        "resourceType": "Task",
        "for": {"reference": "Patient/p"},
        "contained": [{"resourceType": "Group", "member": [{"entity": {"reference": "Patient/q"}}]}],
    }

    copied = references.rewrite(body, lambda reference: "Patient/r" if reference == "Patient/q" else None)

    assert [path for path, _value in references.iter(body)] == ["Task.for", "Task.contained[0].member[0].entity"]
    assert [value["reference"] for _path, value in references.iter(copied)] == ["Patient/p", "Patient/r"]
    assert body["contained"][0]["member"][0]["entity"]["reference"] == "Patient/q"
