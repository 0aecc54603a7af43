"""No word of a patient's reaches the logs, whatever goes wrong."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from django.db import IntegrityError, connection
from django.test import Client

from config import logs

CANARY = "Wilhelmina-Canary"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the house's own handler writes."""
    (handler,) = (
        h for h in logging.getLogger().handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)
    )
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


@pytest.mark.django_db
def test_a_database_error_leaves_its_class_and_its_place_and_not_the_row(lines: io.StringIO) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE named (name text UNIQUE)")
            cursor.execute("INSERT INTO named VALUES (%s), (%s)", [CANARY, CANARY])
    except IntegrityError:
        logging.getLogger("somewhere").exception("could not write")
    line = json.loads(lines.getvalue())
    assert line["event"] == "could not write"
    assert [error["type"] for error in line["exceptions"]] == ["IntegrityError", "UniqueViolation"]
    assert "test_logs.py" in line["exceptions"][0]["at"][0]
    assert CANARY not in lines.getvalue()


@pytest.mark.django_db
def test_a_request_that_fails_is_told_without_its_address(lines: io.StringIO) -> None:
    assert Client().get(f"/no/such/{CANARY}", {"name": CANARY}).status_code == 404
    assert lines.getvalue()
    assert CANARY not in lines.getvalue()


@pytest.mark.django_db
def test_a_request_that_is_refused_is_told_by_its_method_its_route_and_its_status(lines: io.StringIO) -> None:
    assert Client().get(f"/fhir/Patient/{CANARY}", {"name": CANARY}).status_code == 401
    line = json.loads(lines.getvalue())
    assert (line["method"], line["status"]) == ("GET", 401)
    assert line["route"].startswith("fhir/(?P<type_name>")
    assert CANARY not in lines.getvalue()


def test_our_own_lines_are_json_with_level_and_time(lines: io.StringIO) -> None:
    structlog.get_logger("config").warning("told", count=2)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["count"], line["level"], line["logger"]) == ("told", 2, "warning", "config")
    assert line["timestamp"].endswith("Z")


def test_a_chain_of_errors_keeps_every_class() -> None:
    error = ValueError(CANARY)
    error.__cause__ = KeyError(CANARY)
    event = logs.without_messages(None, "error", {"event": "failed", "exc_info": error})
    assert [each["type"] for each in event["exceptions"]] == ["ValueError", "KeyError"]
