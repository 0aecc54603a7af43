"""What every test may ask for. What needs something from outside skips, and says what is missing."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: Path | None, what: str) -> Path:
    named = os.environ.get(variable)
    folder = Path(named) if named else default
    if folder is None or not folder.is_dir():
        pytest.skip(f"{what} needed: set {variable} to its folder")
    return folder


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The shared data (real exchanges, Synthea, guides): BATON_FIXTURES, by default the sibling folder `shared`."""
    return _folder("BATON_FIXTURES", ROOT.parent / "shared", "shared data")


@pytest.fixture(scope="session")
def examples() -> Path:
    """HL7's R4 examples (npm hl7.fhir.r4.examples@4.0.1): BATON_EXAMPLES, which `.ci/run` fetches."""
    return _folder("BATON_EXAMPLES", None, "HL7's R4 examples")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("Chromium needed: install it, or set CHROMIUM to its path")
    return path
