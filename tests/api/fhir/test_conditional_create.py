"""A system that isn't sure whether it has sent something before sends it again and harms nobody."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from tests.api.fhir.conftest import FHIR, System, hospital

PATIENT = '{"resourceType":"Patient","identifier":[{"system":"http://ids","value":"7"}]}'
SEVEN = "identifier=http://ids|7"


def test_the_second_sending_finds_the_first(north: System) -> None:
    first = north.post("Patient", PATIENT, if_none_exist=SEVEN)
    second = north.post("Patient", PATIENT, if_none_exist=f"Patient?{SEVEN}")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.content == first.content
    assert second["Location"] == first["Location"]


def test_two_matches_are_refused(north: System) -> None:
    north.post("Patient", PATIENT)
    north.post("Patient", PATIENT)
    assert north.post("Patient", PATIENT, if_none_exist=SEVEN).status_code == 412


def test_what_another_hospital_keeps_is_no_match(north: System, south: System) -> None:
    north.post("Patient", PATIENT)
    assert south.post("Patient", PATIENT, if_none_exist=SEVEN).status_code == 201


@pytest.mark.parametrize("condition", ["", "?", "_count=1", "nothing=1", "identifier"])
def test_a_condition_that_is_none_is_refused(north: System, condition: str) -> None:
    assert north.post("Patient", PATIENT, if_none_exist=condition).status_code == 400


@pytest.mark.usefixtures("commits")
def test_of_many_at_once_exactly_one_creates() -> None:
    north = hospital("north")

    def send(number: int) -> Any:
        try:
            condition = SEVEN if number % 2 else f"{SEVEN}&identifier=http://ids|7"
            headers = north.headers(if_none_exist=condition)
            return Browser().post("/fhir/Patient", data=PATIENT, content_type=FHIR, headers=headers)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
