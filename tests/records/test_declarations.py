"""Every search parameter leads to an element that exists, fills its column, and is answered by an index."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from records import search, store
from records.access import POLICIES, SYSTEM
from records.json import Resource
from records.models import StringIndex
from records.params import Compartment, Date, Param, Quantity, Reference, String, Token, Tokens, Uri
from records.paths import steps
from records.rows import ResourceRow
from records.types import R4_TYPES, TYPES, row_class
from records.validation.primitives import PRIMITIVES
from records.validation.tables import Element, shape

pytestmark = pytest.mark.django_db

FITS: dict[type[Param], set[str]] = {
    Tokens: {
        "Code",
        "Boolean",
        "String",
        "Uri",
        "Canonical",
        "Coding",
        "CodeableConcept",
        "Identifier",
        "ContactPoint",
    },
    Token: {"Code", "Boolean", "String", "Id", "Uri"},
    Reference: {"Reference", "Canonical"},
    Date: {"Date", "DateTime", "Instant", "Period", "Timing"},
    String: {"String", "Markdown", "HumanName", "Address"},
    Uri: {"Uri", "Url"},
    Quantity: {"Quantity"},
}
SAMPLES: dict[str, Any] = {
    "Boolean": True,
    "Date": "2024-02-03",
    "DateTime": "2024-02-03T04:05:06Z",
    "Instant": "2024-02-03T04:05:06Z",
    "Period": {"start": "2024-02-03", "end": "2024-02-03"},
    "Timing": {"event": ["2024-02-03"]},
    "Canonical": "http://example.org/word",
    "Coding": {"system": "urn:s", "code": "word"},
    "CodeableConcept": {"coding": [{"system": "urn:s", "code": "word"}]},
    "Identifier": {"system": "urn:s", "value": "word"},
    "HumanName": {"family": "Word"},
    "Address": {"city": "Word"},
    "Quantity": {"value": 1.5, "system": "urn:s", "code": "word"},
}
WORDY = {"Coding", "CodeableConcept", "Identifier", "ContactPoint"}  # one value can hold several words
WORDS = {"token": "word", "date": "2024-02-03", "string": "word", "quantity": "1.5|urn:s|word"}


def declared(type_name: str) -> list[Param]:
    return [param for param in TYPES[type_name].search_params.values() if not param.is_built_in]


def elements(type_name: str, path: str) -> Iterator[Element]:
    """The element of each step of a path."""
    for step in steps(path):
        element = shape(type_name).elements.get(step.name)
        assert element is not None, f"{type_name} has no element {step.name}"
        yield element
        type_name = element.type


def sample(param: Param, element: Element) -> Any:
    if isinstance(param, Tokens) and element.type == "Canonical":
        return "word"
    if element.type == "Reference":
        return {"reference": f"{next(iter(param.targets or element.targets or ('Patient',)))}/word"}
    if element.type == "ContactPoint":
        return {"system": param.paths[0].partition("=")[2].rstrip("]") or "phone", "value": "word"}
    return SAMPLES.get(element.type, "word")


def body_with(type_name: str, param: Param) -> Resource:
    """A resource that has nothing but a value at the parameter's first path."""
    path = param.paths[0]
    trail = list(elements(type_name, path))
    value: Any = sample(param, trail[-1])
    for element, step in zip(reversed(trail), reversed(steps(path)), strict=True):
        if step.key and isinstance(value, dict):
            value.setdefault(step.key, f"http://here{step.value}" if step.is_suffix else step.value)
        value = {element.name: [value] if element.many else value}
    assert isinstance(value, dict)
    return {"resourceType": type_name, "id": "sample", **value}


@pytest.mark.parametrize("type_name", TYPES)
def test_every_path_leads_to_an_element_of_a_type_that_fits_the_parameter(type_name: str) -> None:
    for param in declared(type_name):
        fitting = next(types for kind, types in FITS.items() if isinstance(param, kind))
        for path in param.paths:
            trail = list(elements(type_name, path))
            assert trail[-1].type in fitting, f"{param.name}: {path}"
            if not isinstance(param, Compartment | Date | String | Quantity):
                repeats = any(element.many for element in trail) or len(param.paths) > 1
                assert param.many == (repeats or trail[-1].type in WORDY), (
                    f"{param.name}: a list for several words only"
                )


@pytest.mark.parametrize("type_name", TYPES)
def test_every_parameter_is_filled_and_finds_its_resource_by_an_index(type_name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    for param in declared(type_name):
        store.write(body_with(type_name, param), actor=SYSTEM, validate=False)
        row = row_class(type_name).rows(type_name).get(id="sample")
        texts = StringIndex.objects.filter(type=type_name, parameter=param.name)
        assert any(getattr(row, column) for column in columns(param)) or texts.exists(), param.name

        condition = search.compile(type_name, [(param.name, word(type_name, param, row))])
        found = row_class(type_name).rows(type_name).filter(condition)
        assert [match.id for match in found] == ["sample"], param.name
        plan = found.order_by().explain()
        assert "Seq Scan" not in plan, param.name


def columns(param: Param) -> list[str]:
    return [param.column] if isinstance(param, Compartment) else list(param.fields())


def word(type_name: str, param: Param, row: ResourceRow) -> str:
    element = list(elements(type_name, param.paths[0]))[-1]
    if element.type == "Boolean":
        return "true"
    if isinstance(param, Compartment):
        return f"Patient/{row.patient}"
    if isinstance(param, Reference):
        stored = getattr(row, param.column)
        return str(stored[0] if param.many else stored)
    return WORDS.get(param.kind, "word")


def test_every_type_of_r4_has_a_policy_and_a_row_and_primitives_are_known() -> None:
    assert set(POLICIES) == set(R4_TYPES)
    assert all(row_class(type_name) for type_name in R4_TYPES)
    described = [element for type_name in TYPES for element in shape(type_name).elements.values()]
    assert all(element.is_primitive or element.type[0].isupper() for element in described)
    assert {element.type for element in described if element.is_primitive} <= set(PRIMITIVES)
