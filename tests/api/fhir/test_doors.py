"""Every address needs a valid token, and the token's scopes."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from oauth2_provider.models import AccessToken

from api.fhir import urls
from api.fhir.views import MetadataView
from api.models import Client
from records import clock
from tests.api.fhir.conftest import System, hospital


def addresses() -> list[tuple[Any, str]]:
    """Every route of the interface with a path that it answers."""
    paths = ["metadata", "", "Task", "Task/_search", "Task/x", "Task/x/_history/1", "any/other/thing"]
    routes = [vars(pattern.callback)["view_class"] for pattern in urls.urlpatterns]
    assert len(paths) == len(routes), "a new route needs a sample path here"
    for path, pattern in zip(paths, urls.urlpatterns, strict=True):
        assert pattern.resolve(path) is not None
    return list(zip(routes, paths, strict=True))


@pytest.mark.django_db
@pytest.mark.parametrize("token", [None, "", "nonsense", "Bearer", "ü"])
def test_no_address_but_metadata_answers_without_a_valid_token(token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for view, path in addresses():
        for method in ("get", "post", "put", "delete", "patch", "head"):
            answer = getattr(Browser(), method)(f"/fhir/{path}", headers=headers)
            if view is MetadataView:
                assert answer.status_code in {200, 405}
                continue
            assert answer.status_code == 401, (method, path)
            assert answer["WWW-Authenticate"].startswith("Bearer")
            if method != "head":
                assert answer.json()["issue"][0]["code"] == "login"


def test_a_token_in_the_query_or_of_another_scheme_is_not_looked_at(north: System) -> None:
    assert Browser().get(f"/fhir/Task?access_token={north.token}").status_code == 401
    assert Browser().get("/fhir/Task", headers={"Authorization": f"Token {north.token}"}).status_code == 401


def test_a_token_is_refused_from_the_moment_it_is_revoked(north: System) -> None:
    assert north.get("Task").status_code == 200
    AccessToken.objects.get().revoke()
    assert north.get("Task").status_code == 401


def test_a_token_is_refused_from_the_moment_its_client_is_switched_off(north: System) -> None:
    Client.objects.update(is_active=False)
    assert north.get("Task").status_code == 401


def test_a_token_is_refused_once_its_time_is_over(north: System) -> None:
    with clock.at(clock.now() + timedelta(minutes=59)):
        assert north.get("Task").status_code == 200
    with clock.at(clock.now() + timedelta(minutes=61)):
        assert north.get("Task").status_code == 401


def test_the_database_holds_no_token_in_clear(north: System) -> None:
    row = AccessToken.objects.values().get()
    assert north.token not in str(row)
    assert row["token_checksum"] == hashlib.sha256(north.token.encode()).hexdigest()


@pytest.mark.django_db
def test_a_scope_opens_what_it_says_and_nothing_else() -> None:
    reader = hospital("north", "system/Task.rs")
    assert reader.get("Task").status_code == 200
    assert reader.get("Patient").status_code == 403
    assert reader.get("Patient/x").status_code == 403
    assert reader.post("Task", '{"resourceType":"Task","status":"requested","intent":"order"}').status_code == 403
    assert reader.put("Task/x", '{"resourceType":"Task","id":"x"}').status_code == 403


@pytest.mark.django_db
def test_reading_alone_opens_no_search_and_searching_alone_no_reading() -> None:
    reader = hospital("north", "system/Task.r")
    assert (reader.get("Task/x").status_code, reader.get("Task").status_code) == (404, 403)
    searcher = hospital("south", "system/Task.s")
    assert (searcher.get("Task/x").status_code, searcher.get("Task").status_code) == (403, 200)


def test_a_request_costs_one_statement_for_the_token_and_one_for_the_page(
    north: System, django_assert_num_queries: Any
) -> None:
    for _number in range(3):
        north.post("Task", '{"resourceType":"Task","status":"requested","intent":"order"}')
    with django_assert_num_queries(2):
        assert len(north.get("Task?status=requested&_count=3").json()["entry"]) == 3
    with django_assert_num_queries(3):
        north.get("Task?status=requested&_count=2&_total=accurate")
