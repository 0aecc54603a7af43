"""Baton's web process as others reach it: a real one, on the tests' database, at an address of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from django.db import connection

from config import embedded
from tests.conftest import ROOT
from tests.journeys.ehr import eventually
from tests.journeys.product import free_port


@contextmanager
def serving() -> Iterator[str]:
    """Its address. It reads what is committed, with the keys of the settings here."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--no-ws"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(urlsplit(address).port), "--log-level", "warning"],
        cwd=ROOT,
        env=_environment(address),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=embedded.die_with_parent,  # noqa: PLW1509 - one libc call, no lock taken
    )
    try:
        eventually(f"Baton answers at {address}", lambda: _answers(address))
        yield address
    finally:
        embedded.stop(process)


def _environment(address: str) -> dict[str, str]:
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": urlunsplit(database),
        "BATON_BASE_URL": settings.BATON_BASE_URL,
        "BATON_SERVED_URL": address,
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
    }
    return {**os.environ, **own}


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=5).ok
    except requests.RequestException:
        return False
