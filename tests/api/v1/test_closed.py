"""Nothing opens without a token, a scope and a policy; errors tell no more than they must."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from api.v1 import urls
from api.v1.base import Endpoint
from tests.api.v1.conftest import PLACER, Caller, Town


def addresses() -> Iterator[tuple[str, str]]:
    """(method, path) of every route of v1."""
    for pattern in _patterns(get_resolver(urls.__name__).url_patterns):
        for method in sorted({"get", "post", "put", "delete"} & getattr(pattern.callback, "actions", {}).keys()):
            yield method, "/api/v1/" + str(pattern.pattern).replace("<str:pk>", "x")


def _patterns(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _patterns(one.url_patterns)
        else:
            yield one


def test_there_are_routes_to_walk() -> None:
    assert len(list(addresses())) >= 15


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["", "Bearer nonsense", "Basic YTpi", "bearer", "Token x"])
def test_every_address_refuses_who_has_no_token(header: str) -> None:
    client = Client(headers={"authorization": header} if header else {})
    for method, path in addresses():
        response = client.generic(method.upper(), path, b"{}", content_type="application/json")
        assert response.status_code == 401, path
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["category"] == "unauthenticated"


@pytest.mark.parametrize("scopes", ["system/Patient.cud", "system/Questionnaire.cruds"])
def test_every_address_refuses_a_token_of_another_scope(caller: Callable[..., Caller], scopes: str) -> None:
    http = caller(PLACER, scopes).http
    for method, path in addresses():
        response: Any = http.generic(method.upper(), path, "{}", content_type="application/json")
        assert response.status_code == 403, path
        assert response.json()["category"] == "forbidden"


def test_every_action_of_every_address_has_a_policy() -> None:
    for view in {
        getattr(pattern.callback, "cls", None) for pattern in _patterns(get_resolver(urls.__name__).url_patterns)
    }:
        assert view is not None
        assert issubclass(view, Endpoint)
        usual = {"list", "retrieve", "create", "update", "destroy"}
        actions = usual | {action.__name__ for action in view.get_extra_actions()}
        assert {name for name in actions if hasattr(view, name)} == set(view.needs)


def test_reading_scopes_do_not_let_anybody_act(town: Town, caller: Callable[..., Caller]) -> None:
    fulfil = town.fulfil(town.refer())
    reader = caller(town.performer.organization, "system/Task.rs system/ServiceRequest.rs")
    assert reader.get(f"handoffs/{fulfil['id']}").status_code == 200
    assert reader.post(f"handoffs/{fulfil['id']}/perform", {"action": "accept", "version": 1}).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 5000,
        b'{"a":' * 5000,
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"patient": "\\u0000"}',
        b'{"patient": "\\ud800"}',
        b'{"patient": NaN}',
        b'{"patient": "' + b"x" * 1_100_000 + b'"}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(town: Town, body: bytes) -> None:
    http: Any = town.placer.http
    response = http.generic("POST", "/api/v1/referrals", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["category"] == "malformed"


def test_other_media_types_and_methods_are_refused(town: Town) -> None:
    form = town.placer.http.post("/api/v1/referrals", {"patient": "p-1"})
    assert form.status_code == 415
    assert town.placer.http.delete("/api/v1/referrals").status_code == 405
    assert town.placer.http.get("/api/v1/referrals", headers={"accept": "text/csv"}).status_code == 406
