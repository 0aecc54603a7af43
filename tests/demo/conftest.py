from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from demo.loading import Plan, Region, load

AT = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)  # a Wednesday morning in the region


def load_region(patients: int = 60, seed: int = 7, most_loops: int | None = None) -> Region:
    return load(Plan(patients, seed, AT, most_loops), lambda _step, _amount: None)


@pytest.fixture(scope="module")
def region(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Region]:
    """The region, loaded once for a file of tests that only read it, and taken back at its end.

    A file that needs few loops says so in ``MOST_LOOPS``.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield load_region(most_loops=getattr(request.module, "MOST_LOOPS", None))
        transaction.set_rollback(True)
