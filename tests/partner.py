"""The independent FHIR server that stands for a partner's EHR: a real one, started when nobody names one."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from config import embedded

USUAL = "http://127.0.0.1:58105/fhir"  # where somebody who has started HAPI by hand has it


@contextmanager
def running(shared: Path) -> Iterator[str]:
    """The base URL of FHIR_PARTNER, of a HAPI that runs, or of one that is started for these tests; else skips."""
    named = os.environ.get("FHIR_PARTNER", "").rstrip("/")
    if answers(named or USUAL):
        yield named or USUAL
    elif named:
        pytest.skip(f"independent FHIR server needed: FHIR_PARTNER={named} does not answer")
    else:
        with _started(shared / "ehr" / "hapi" / "start", "java", "mvn") as url:
            yield url


@contextmanager
def careless(shared: Path) -> Iterator[str]:
    """The base URL of Medplum's server in memory, which lacks what many partners lack; else skips."""
    if os.environ.get("FHIR_PARTNER"):
        pytest.skip("FHIR_PARTNER names the one server that is meant")
    with _started(shared / "ehr" / "medplum-memory" / "start", "node", "npm") as url:
        yield url


def answers(base: str) -> bool:
    """Whether a FHIR server takes requests there."""
    try:
        return requests.get(f"{base}/metadata", timeout=20).ok
    except requests.RequestException:
        return False


@contextmanager
def _started(start: Path, *needed: str) -> Iterator[str]:
    missing = [what for what in needed if not shutil.which(what)] + ([] if start.exists() else [str(start)])
    if missing:
        pytest.skip(f"independent FHIR server needed: set FHIR_PARTNER, or have {', '.join(missing)}")
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = str(tried.getsockname()[1])
    process = subprocess.Popen(
        [str(start), port],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=embedded.die_with_parent,  # noqa: PLW1509 - one libc call, no lock taken
    )
    try:
        yield _ready(process)
    finally:
        embedded.stop(process)


def _ready(process: "subprocess.Popen[str]") -> str:
    """Its address, once it says that it takes requests: after 20 s, or 2 minutes where it is built first."""
    for line in process.stdout or ():
        if line.startswith("ready "):
            return line.split()[1]
    pytest.skip("independent FHIR server needed: it could not be built or started; run its start by hand to see why")
