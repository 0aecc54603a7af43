"""Tokens from a partner's authorisation server: renewed in time, kept secret; a server that lies gets nowhere."""

import base64
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import operations, tasks
from fhir_bridge.capabilities.abilities import Abilities, Smart
from fhir_bridge.connecting import keys, partners, tokens
from fhir_bridge.connecting.credentials import Credentials, put
from fhir_bridge.connecting.retries import Unreachable
from fhir_bridge.models import Link, Partner, Token
from fhir_bridge.outbound import pushing
from records import clock, errors
from tests.fhir_bridge.authority import Authority, Said, granted, read_task
from tests.fhir_bridge.story import Story

# Tokens


def test_a_client_proves_itself_by_a_key_and_gets_a_token_once(
    backend: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    assert read_task(backend, ehr) == "Bearer token-1"
    assert read_task(backend, ehr) == "Bearer token-1"

    asked = authority.asked[0]
    assert dict(asked.form) | {"client_assertion": "…"} == {
        "grant_type": "client_credentials",
        "scope": "system/Task.cruds",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "…",
    }
    assert "authorization" not in asked.headers
    claims = authority.claims()
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("baton", "baton", authority.url)
    assert 0 < claims["exp"] - clock.now().timestamp() <= 300
    assert len(authority.asked) == 1
    assert "token-1" not in Token.objects.values_list("secret", flat=True).get()


def test_no_two_assertions_are_the_same(backend: Partner, authority: Authority) -> None:
    for _number in range(2):
        tokens.fetch(backend)
    assert authority.claims(0)["jti"] != authority.claims(1)["jti"]


@pytest.mark.parametrize(
    ("named", "used"), [([], "RS384"), (["RS384"], "RS384"), (["ES384", "RS384"], "ES384"), (["PS512"], "RS384")]
)
def test_the_algorithm_is_one_that_the_server_names(named: list[str], used: str, backend: Partner) -> None:
    backend.abilities = Abilities(smart=Smart(signing_algs=frozenset(named))).stored()
    assert tokens.algorithm(backend) == used


def test_both_algorithms_are_verified_by_our_key_set(db: None) -> None:
    for alg in keys.ALGS:
        assertion = keys.sign({"iss": "baton"}, alg)
        published = Client().get("/.well-known/jwks.json").json()
        decoded = jwt.decode(assertion, KeySet.import_key_set(published), algorithms=[alg])
        assert decoded.header == {"alg": alg, "kid": decoded.header["kid"], "typ": "JWT"}
        assert decoded.header["kid"] in {each["kid"] for each in published["keys"]}


@pytest.mark.parametrize(("methods", "where"), [([], "header"), (["client_secret_post"], "form")])
def test_an_id_and_a_secret_go_where_the_server_wants_them(
    methods: list[str], where: str, hospital: Partner, authority: Authority
) -> None:
    put(hospital, Credentials("client-credentials", "a/b&c é", "baton:1", "", authority.url))
    hospital.abilities = Abilities(smart=Smart(auth_methods=frozenset(methods))).stored()

    assert tokens.fetch(hospital).value == "token-1"

    asked = authority.asked[0]
    header = base64.b64decode(asked.headers.get("authorization", "").removeprefix("Basic ")).decode()
    assert header == ("baton%3A1:a%2Fb%26c+%C3%A9" if where == "header" else "")
    assert asked.form.get("client_secret") == ("a/b&c é" if where == "form" else None)


def test_a_token_is_renewed_before_its_end(backend: Partner, ehr: FakeEhr, authority: Authority) -> None:
    read_task(backend, ehr)
    with clock.at(clock.now() + timedelta(seconds=235)):
        assert read_task(backend, ehr) == "Bearer token-1"
    with clock.at(clock.now() + timedelta(seconds=245)):
        assert read_task(backend, ehr) == "Bearer token-2"


def test_a_token_that_lives_on_is_used_while_no_new_one_is_to_be_had(
    backend: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    read_task(backend, ehr)
    authority.says = lambda _asked: Said({}, 500)
    with clock.at(clock.now() + timedelta(seconds=290)):
        assert read_task(backend, ehr) == "Bearer token-1"
    with clock.at(clock.now() + timedelta(seconds=301)), pytest.raises(Unreachable):
        read_task(backend, ehr)


def only(token: str) -> Any:
    """An EHR that takes one token alone."""

    def refuse(request: Request) -> Answer | None:
        return None if request.headers.get("authorization") == f"Bearer {token}" else Answer(401)

    return refuse


def test_a_token_that_was_taken_back_is_renewed_once_and_the_request_repeated(
    backend: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    read_task(backend, ehr)
    ehr.refusal = only("token-2")
    assert read_task(backend, ehr) == "Bearer token-2"
    assert len(authority.asked) == 2


def test_refused_again_the_partner_is_paused_and_what_is_to_be_sent_waits(
    story: Story, backend: Partner, ehr: FakeEhr, authority: Authority
) -> None:
    ehr.refusal = only("none-of-them")
    story.refer()
    tasks.push(backend.pk)

    backend.refresh_from_db()
    assert (backend.state, backend.state_reason) == ("paused", "The partner answered 401.")
    assert len(authority.asked) == 2
    assert set(Link.objects.values_list("state", flat=True)) == {"wanted"}

    ehr.refusal = None
    operations.resume(backend, story.nina)
    with clock.at(clock.now() + timedelta(minutes=1)):
        tasks.push(backend.pk)
    assert set(Link.objects.values_list("state", flat=True)) == {"clean"}


def test_after_a_rotation_a_server_that_does_not_know_the_key_pauses_the_partner(
    story: Story, backend: Partner, authority: Authority
) -> None:
    authority.key_set = {"keys": []}
    story.refer()
    pushing.run_once(backend)
    backend.refresh_from_db()
    assert backend.state_reason == "The authorisation server refused us (400: invalid_client)."


# A server that lies

HUGE = b'{"access_token":"' + b"x" * 100_000 + b'"}'


@pytest.mark.parametrize(
    ("said", "category"),
    [
        (Said({"error": "invalid_client"}, 401), errors.Unauthenticated),
        (Said({"error": "<script>canary</script>"}, 400), errors.Unauthenticated),
        (Said(b"canary", 403), errors.Unauthenticated),
        (Said(granted("x", token_type="mac")), errors.Unauthenticated),
        (Said({"access_token": "x"}), errors.Unauthenticated),
        (Said({}, 429, {"Retry-After": "7"}), errors.Throttled),
        (Said({}, 503), errors.Throttled),
        (Said({}, 500), Unreachable),
        (Said(HUGE), Unreachable),
        (Said(b"<html>canary</html>", 200, {"Content-Type": "text/html"}), Unreachable),
        (Said(b"[" * 60_000), Unreachable),
        (Said(b"9" * 60_000), Unreachable),
        (Said(b""), Unreachable),
        (Said(b"\xff\xfe\x00"), Unreachable),
        (Said({"token_type": "bearer", "expires_in": 300}), Unreachable),
        (Said(granted("two words")), Unreachable),
        (Said(granted("line\r\nX-Evil: 1")), Unreachable),
        (Said(granted("")), Unreachable),
        (Said(granted("x") | {"access_token": ["x"]}), Unreachable),
        (Said(granted("x") | {"access_token": "x" * 9000}), Unreachable),
    ],
)
def test_what_is_no_token_is_none(said: Said, category: Any, backend: Partner, authority: Authority) -> None:
    authority.says = lambda _asked: said
    with pytest.raises(category) as caught:
        partners.connect(backend).read("Task", "1")
    assert type(caught.value) is category
    assert "canary" not in caught.value.message
    assert not Token.objects.exists()


def test_a_redirect_of_the_token_endpoint_is_not_followed(backend: Partner, ehr: FakeEhr, authority: Authority) -> None:
    with Authority() as canary:
        authority.says = lambda _asked: Said({}, 307, {"Location": canary.url})
        with pytest.raises(Unreachable, match="redirect"):
            read_task(backend, ehr)
        assert canary.asked == []
    assert ehr.requests == []


def test_a_slow_authorisation_server_is_given_up(
    backend: Partner, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TIME_OUTS", (0.2, 0.2))
    held = threading.Event()
    authority.says = lambda _asked: Said(granted("x"), hold=held)
    with pytest.raises(Unreachable):
        tokens.fetch(backend)
    held.set()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (300, 300),
        ("300", 300),
        (5, 30),
        (0, 30),
        (-1, 30),
        (10**12, 3600),
        (10**400, 30),
        (1e300, 3600),
        ("soon", 30),
        ("NaN", 30),
        ("Infinity", 30),
        (True, 30),
        ([300], 30),
        (None, 300),
    ],
)
def test_an_absurd_life_of_a_token_is_bounded(
    said: Any, seconds: float, backend: Partner, authority: Authority
) -> None:
    authority.says = lambda _asked: Said(granted("x") | {"expires_in": said})
    try:
        assert tokens.fetch(backend).seconds == seconds
    except Unreachable:  # too many digits for any parser
        assert said == 10**400


def test_a_smaller_scope_is_taken_and_known(backend: Partner, authority: Authority) -> None:
    backend.scope = "system/Task.cruds system/Patient.rs"
    authority.says = lambda _asked: Said(granted("x", scope="system/Task.rs system/Patient.rs"))
    granted_scope = tokens.fetch(backend).scope
    assert tokens.missing_scopes(backend, granted_scope) == ["system/Task.cruds"]
