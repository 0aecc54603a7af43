"""Our key pairs: published before they sign, and until nobody needs them any more."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from fhir_bridge.connecting import keys
from fhir_bridge.models import SigningKey
from records import clock, errors

# Our keys


def jwks() -> list[dict[str, Any]]:
    return list(Client().get("/.well-known/jwks.json").json()["keys"])


def kid_of(assertion: str) -> str:
    return str(json.loads(base64.urlsafe_b64decode(assertion.partition(".")[0] + "=="))["kid"])


def test_our_key_set_is_open_and_public_halves_alone(db: None) -> None:
    assert jwks() == []
    keys.rotate("ES384")
    keys.rotate("RS384")
    answer = Client().get("/.well-known/jwks.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert int(answer["Cache-Control"].rpartition("=")[2]) < keys.OVERLAP.total_seconds()
    assert {each["kty"] for each in jwks()} == {"EC", "RSA"}
    for each in jwks():
        assert not {"d", "p", "q", "dp", "dq", "qi"} & each.keys()
        assert (each["use"], each["key_ops"]) == ("sig", ["verify"])
    assert "PRIVATE" not in str(SigningKey.objects.values_list("private", flat=True))
    assert '"d"' not in str(SigningKey.objects.values_list("private", flat=True))
    assert Client().post("/.well-known/jwks.json").status_code == 405


def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_it_has_not_for_long(db: None) -> None:
    start = clock.now()
    old = kid_of(keys.sign({}, "ES384"))
    new = keys.rotate("ES384").kid
    assert keys.rotate("ES384").kid == new
    assert {each["kid"] for each in jwks()} == {old, new}

    def later(hours: float) -> tuple[str, set[str]]:
        with clock.at(start + timedelta(hours=hours)):
            keys.tend(clock.now())
            return kid_of(keys.sign({}, "ES384")), {each["kid"] for each in jwks()}

    assert later(23) == (old, {old, new})
    assert later(25) == (new, {old, new})
    assert later(46) == (new, {old, new})
    assert later(49.5) == (new, {new})
    assert SigningKey.objects.count() == 1


def test_another_algorithm_is_refused(db: None) -> None:
    with pytest.raises(errors.Incorrect, match="RS384"):
        keys.rotate("none")
