"""The web process answers whatever charset a body claims."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import RequestFactory

from config.wsgi import application


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["utf-8", "bz2", "utf-16", "nonsense"])
@pytest.mark.parametrize("parameters", [1, 5000])
def test_a_charset_never_decides_how_the_address_is_read(charset: str, parameters: int) -> None:
    environ = RequestFactory().generic("POST", "/fhir/Task").environ
    environ |= {
        "QUERY_STRING": "status=x&" * parameters,
        "CONTENT_TYPE": f"application/fhir+json; charset={charset}",
        "HTTP_HOST": "localhost",
    }
    started: list[Any] = []

    def start(status: str, _headers: Any, _error: Any = None) -> Callable[[bytes], object]:
        started.append(status)
        return started.append

    body = b"".join(application(environ, start))
    assert started[0][:3] in {"400", "401"}
    assert json.loads(body)["resourceType"] == "OperationOutcome"
