"""What every test may ask for. What needs something from outside skips, and says what is missing."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import environ
import hypothesis
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases
from playwright.sync_api import Playwright
from pytest_django import DjangoDbBlocker

from config import embedded, translations
from tests import partner

# How long an example takes says how busy the machine is; speed is measured in bench/.
hypothesis.settings.register_profile("baton", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("baton")

OURS = ("records", "referrals", "fhir_bridge", "api", "oauth2_provider")
ROOT = Path(__file__).resolve().parent.parent
PARTNER_SECONDS = 900
_parts = pytest.StashKey[ExitStack]()


@contextmanager
def _database() -> Iterator[str]:
    """A PostgreSQL of this run of the tests alone: empty, without fsync, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="baton-tests-"))
    folder.chmod(0o755)
    try:
        with embedded.postgres(embedded.home(folder), durable=False) as part:
            yield part.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start the tests' own database, unless DATABASE_URL names one or a test process of the same run has."""
    config.stash[_parts] = ExitStack()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the tests sign in often
    if not hasattr(config, "workerinput"):
        translations.compile_all(ROOT / "locale")
    if "DATABASE_URL" not in os.environ and not config.option.collectonly:
        os.environ["DATABASE_URL"] = config.stash[_parts].enter_context(_database())
    if "DATABASE_URL" in os.environ:
        # pytest-django has read the settings before us, and perhaps the database of a `make run` with them.
        connections["default"].settings_dict.update(environ.Env().db_url("DATABASE_URL"))
        connections["default"].settings_dict["ENGINE"] = "django.db.backends.postgresql"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    config.stash[_parts].close()


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


def _end_other_sessions() -> None:
    """A browser's connections outlive the server that it talked to; a database in use can't be dropped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_keepdb: bool,
    django_db_createdb: bool,
    django_db_modify_db_settings: None,
) -> Iterator[None]:
    """The test database, always: pytest-django's own makes none when all tests of a run ask for `commits` alone,
    and these would then empty the tables of a real one.
    """
    keepdb = django_db_keepdb and not django_db_createdb
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=request.config.option.verbose, interactive=False, keepdb=keepdb)
    yield
    if not django_db_keepdb:
        with django_db_blocker.unblock():
            _end_other_sessions()
            teardown_databases(made, verbosity=request.config.option.verbose)


@pytest.fixture(scope="session")
def browser_type_launch_args(chromium: str) -> dict[str, Any]:
    """How pytest-playwright starts the system's Chromium."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    return {"executable_path": chromium, "args": flags.split()}


@pytest.fixture(scope="session")
def playwright(playwright: Playwright) -> Iterator[Playwright]:
    """It keeps an event loop in this thread from now on; the queries of this test and the next ones stay synchronous."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    yield playwright
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def commits(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Real commits, for tests with several connections; afterwards our tables are empty, append-only ones too."""
    with django_db_blocker.unblock():
        yield
        tables = ", ".join(
            f'"{model._meta.db_table}"' for app in OURS for model in apps.get_app_config(app).get_models()
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET session_replication_role = replica; TRUNCATE {tables} CASCADE; RESET session_replication_role"
            )


@pytest.fixture(scope="session")
def fhir_partner() -> Iterator[str]:
    """The base URL of an independent FHIR R4 server: FHIR_PARTNER, or HAPI FHIR of the shared folder."""
    with partner.running(Path(os.environ.get("BATON_FIXTURES", ROOT.parent / "shared"))) as url:
        yield url


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the partner run in one process, so that one partner is started; it is slow while it is cold."""
    for item in items:
        if "fhir_partner" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("partner"))
            item.add_marker(pytest.mark.timeout(PARTNER_SECONDS))
