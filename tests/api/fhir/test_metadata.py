"""The server says what it can do, and can do what it says."""

from typing import Any

import pytest
from django.test import Client as Browser
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from records.types import TYPES
from tests.api.fhir.conftest import System

SAMPLES = {"token": "x", "reference": "x", "string": "x", "date": "2026", "uri": "http://x", "quantity": "1"}


@pytest.fixture
def statement(db: None) -> Any:
    return Browser().get("/fhir/metadata").json()


def test_the_statement_is_valid_and_names_every_type(statement: Any) -> None:
    CapabilityStatement.model_validate(statement)
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert statement["date"]
    assert "application/fhir+json" in statement["format"]
    assert {resource["type"] for resource in statement["rest"][0]["resource"]} == set(TYPES)


def test_the_statement_promises_no_deletion(statement: Any) -> None:
    told = {one["code"] for resource in statement["rest"][0]["resource"] for one in resource["interaction"]}
    assert told == {"read", "vread", "search-type", "create", "update"}


def test_every_parameter_that_the_statement_names_is_accepted_by_a_strict_search(statement: Any, north: System) -> None:
    for resource in statement["rest"][0]["resource"]:
        query = "&".join(f"{param['name']}={SAMPLES[param['type']]}" for param in resource["searchParam"])
        answer = north.get(f"{resource['type']}?{query}", prefer="handling=strict")
        assert answer.status_code == 200, answer.content
