from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from records import clock
from tests.referrals import region
from tests.referrals.region import Region
from tests.referrals.ward import MONDAY, Ward, found_ward


@pytest.fixture
def ward(db: None) -> Iterator[Ward]:
    """The people of the stories, on a Monday morning."""
    with clock.at(MONDAY):
        yield found_ward()


@pytest.fixture
def here() -> Iterator[Region]:
    """The standing people of a region, on the same morning."""
    with clock.at(MONDAY):
        yield region.build()


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Somebody else, for `tests.referrals.meanwhile`."""
    with ThreadPoolExecutor(2) as pool:
        yield pool
