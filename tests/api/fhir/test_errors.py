"""Whatever goes wrong, the answer is an OperationOutcome that tells nothing it shouldn't."""

import logging
from typing import Any

import pytest
from django.test import Client as Browser

import records.errors
from api.fhir import errors
from records.errors import BatonError, Throttled
from tests.api.fhir.conftest import System

TASK = '{"resourceType":"Task","status":"requested","intent":"order"}'


def refused(answer: Any, status: int) -> str:
    """The issue code of an OperationOutcome with this status."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] and issue["code"] and issue["details"]["text"] for issue in body["issue"])
    return str(body["issue"][0]["code"])


@pytest.mark.parametrize(
    "path", ["nothing/at/all/here", "task", "Task/a/b", "Task/$nope", "Foo", "Foo/1", "Task/_history", "Task/a%0a"]
)
def test_an_address_that_means_nothing_is_a_404(north: System, path: str) -> None:
    refused(north.get(path), 404)


@pytest.mark.parametrize("method", ["patch", "delete", "put", "options"])
def test_a_method_that_means_nothing_is_a_405(north: System, method: str) -> None:
    answer = getattr(Browser(), method)("/fhir/Task", headers=north.headers())
    assert refused(answer, 405) == "not-supported"
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        "[" * 5000,
        '{"a":' * 5000,
        "{",
        "\x00",
        "\ufeff{}",
        '{"resourceType":"Task","resourceType":"Task","status":"requested","intent":"order"}',
        '{"resourceType":"Task","status":NaN}',
        "<Task/>",
    ],
)
def test_a_body_that_cant_be_read_is_a_400(north: System, body: str) -> None:
    refused(north.post("Task", body), 400)


def test_a_body_that_is_no_text_is_a_400(north: System) -> None:
    refused(north.post("Task", b"\xff\xfe\x00"), 400)


def test_a_body_against_fhir_is_a_422_that_names_the_element(north: System) -> None:
    answer = north.post("Task", '{"resourceType":"Task","status":"no-such-status","intent":"order"}')
    refused(answer, 422)
    assert "Task.status" in answer.json()["issue"][0]["expression"]


@pytest.mark.parametrize(
    "content_type", ["application/fhir+xml", "application/xml", "text/plain", "multipart/form-data", ""]
)
def test_another_media_type_than_json_is_a_415(north: System, content_type: str) -> None:
    refused(north.post("Task", TASK, content_type), 415)


def test_another_charset_or_a_compressed_body_is_a_415(north: System) -> None:
    refused(north.post("Task", TASK, "application/fhir+json; charset=utf-16"), 415)
    refused(north.post("Task", TASK, content_encoding="gzip"), 415)
    assert north.post("Task", TASK, "application/fhir+json; charset=UTF-8; fhirVersion=4.0").status_code == 201
    assert north.post("Task", TASK, "application/json").status_code == 201


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "application/xml;q=0.9, text/*"])
def test_whoever_wants_only_xml_gets_a_406(north: System, accept: str) -> None:
    refused(north.get("Task", accept=accept), 406)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+json", "application/fhir+json"),
        ("application/json", "application/json"),
        ("*/*;q=0.1", "application/fhir+json"),
        ("application/fhir+xml, application/json;q=0.5, */*;q=0.1", "application/json"),
        ("application/json;q=0.2, application/fhir+json;fhirVersion=4.0", "application/fhir+json"),
        ("text/html, */*", "application/fhir+json"),
        ("", "application/fhir+json"),
    ],
)
def test_the_best_of_the_accepted_types_is_sent(north: System, accept: str, expected: str) -> None:
    answer = north.get("Task", accept=accept)
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, expected)


def test_the_format_in_the_address_goes_before_the_header(north: System) -> None:
    assert north.get("Task?_format=json", accept="application/fhir+xml").status_code == 200
    assert north.get("Task?_format=application/fhir%2Bjson").status_code == 200
    refused(north.get("Task?_format=xml"), 406)


@pytest.mark.parametrize(
    "query", ["_count=-1", "_count=x", "_page=edited", "_sort=x", "status=%00", "_include=*", "status:x=1"]
)
def test_a_search_that_makes_no_sense_is_a_400(north: System, query: str) -> None:
    refused(north.get(f"Task?{query}"), 400)


def test_an_edited_page_key_is_a_400(north: System) -> None:
    for _number in range(2):
        north.post("Task", TASK)
    following = north.get("Task?_count=1").json()["link"][1]["url"].split("/fhir/")[1]
    assert north.get(following).status_code == 200
    edited = following[:-9] + ("A" if following[-9] != "A" else "B") + following[-8:]  # the last one may be padding
    refused(north.get(edited), 400)
    refused(north.get(following.replace("Task?", "Patient?")), 400)


def test_unknown_parameters_are_refused_only_by_whoever_is_strict(north: System) -> None:
    assert refused(north.get("Task?foo=1&bar=2", prefer="handling=strict"), 400) == "not-supported"
    assert north.get("Task?foo=1", prefer="handling=lenient").status_code == 200


def test_more_parameters_than_anybody_needs_are_a_400(north: System) -> None:
    refused(north.get("Task?" + "status=x&" * 501), 400)
    refused(north.get("Task?" + "status=x&" * 2000), 400)
    refused(north.post("Task/_search", "status=x&" * 2000, "application/x-www-form-urlencoded"), 400)


def test_an_error_that_nobody_foresaw_tells_nothing_and_logs_no_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("Jane Doe")  # noqa: TRY301
        except KeyError as error:
            answer = errors.handle(error, {})
    assert answer.status_code == 500
    assert "Jane" not in str(answer.data) + caplog.text
    assert "KeyError" in caplog.text


def test_every_category_of_error_has_its_answer() -> None:
    categories = [
        found for found in vars(records.errors).values() if isinstance(found, type) and found.__base__ is BatonError
    ]
    assert categories
    for category in categories:
        assert category in errors.ANSWERS
    assert errors.handle(Throttled("Slow down.", retry_after=1.5), {})["Retry-After"] == "2"
