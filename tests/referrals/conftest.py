from collections.abc import Iterator

import pytest

from records import clock
from tests.referrals.ward import MONDAY, Ward, found_ward


@pytest.fixture
def ward(db: None) -> Iterator[Ward]:
    """The people of the stories, on a Monday morning."""
    with clock.at(MONDAY):
        yield found_ward()
