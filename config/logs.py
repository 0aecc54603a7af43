"""Logging: one JSON object a line on standard error, without anything that could name a patient.

What may carry a patient's data is never printed: the message of an exception (PostgreSQL quotes the offending row),
local variables, query strings, bodies. Of an exception its classes and the places remain.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

import structlog
from django.http import HttpRequest

EventDict = structlog.typing.EventDict


def without_messages(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by the chain of exception classes and where each was raised."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    chain = []
    while isinstance(error, BaseException):
        places = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        chain.append({"type": type(error).__qualname__, "at": places[-8:]})
        error = error.__cause__ or error.__context__
    if chain:
        event["exceptions"] = chain
    return event


def of_request(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Say of which request Django speaks: its method, its address as `urls` writes it (no id in it), its status."""
    record = event.get("_record")
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest):
        route = request.resolver_match.route if request.resolver_match else ""
        event.update(method=request.method, route=route, status=getattr(record, "status_code", None))
    return event


class WithoutArguments(logging.Filter):
    """Keep what libraries say about requests and queries to the words they say it with, not what they fill in."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the arguments that carry paths or SQL by the status alone."""
        record.msg, record.args = record.msg.split("%s", maxsplit=1)[0].rstrip(" :(") or "request", ()
        return True


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    without_messages,
]


def configuration(level: str) -> Mapping[str, Any]:
    """Django's LOGGING for this level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without_arguments": {"()": WithoutArguments}},
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_SHARED, of_request],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"filters": ["without_arguments"]},
            "django.security": {"filters": ["without_arguments"]},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # At its chattiest it writes the address of each request to a partner, with the identifiers that are looked for.
            "urllib3": {"level": level if level in {"ERROR", "CRITICAL"} else "WARNING"},
        },
    }


def set_up() -> None:
    """Make structlog's own loggers go the same way as the standard library's."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
