"""The description of v1: valid, complete, and served to everybody."""

from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from api.docs.urls import DESCRIBED
from tests.api.v1.test_closed import addresses


def description() -> Any:
    generator: Any = SchemaGenerator
    return generator(patterns=DESCRIBED).get_schema(request=None, public=True)


def test_the_schema_is_valid_and_gives_no_warning() -> None:
    with GENERATOR_STATS.silence():
        schema = description()
        assert not GENERATOR_STATS._warn_cache
        assert not GENERATOR_STATS._error_cache
    validate_schema(schema)  # type: ignore[no-untyped-call]


def test_every_address_is_described_with_its_problems() -> None:
    schema = description()
    for method, path in addresses():
        operation = schema["paths"][path.replace("/x", "/{id}")][method]
        assert operation["description"]
        assert operation["security"] == [{"bearer": []}]


@pytest.mark.django_db
def test_the_page_and_the_schema_need_no_token() -> None:
    page, schema = Client().get("/api/docs/"), Client().get("/api/schema/")
    assert page.status_code == schema.status_code == 200
    assert b"swagger-ui" in page.content
    assert b"cdn" not in page.content
    assert "'unsafe-inline'" not in page["Content-Security-Policy"].split("style-src")[0]


@pytest.mark.parametrize("address", ["/api/", "/api/v1/"])
def test_whoever_opens_the_root_is_led_to_the_description(address: str) -> None:
    answer = Client().get(address)
    assert answer["Content-Type"] == "application/json"
    for found in answer.json().values():
        assert Client().get(found.removeprefix("http://testserver")).status_code == 200
