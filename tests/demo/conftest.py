from datetime import UTC, datetime

import pytest

from demo.loading import Plan, Region, load

AT = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)  # a Wednesday morning in the region


def load_region(patients: int = 60, seed: int = 7) -> Region:
    return load(Plan(patients, seed, AT), lambda _step, _amount: None)


@pytest.fixture
def region(db: None) -> Region:  # noqa: ARG001  it opens the database
    return load_region()
