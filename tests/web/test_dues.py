"""How late something is, in words that stay right when the clocks change."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from web.dues import due

MADRID = ZoneInfo("Europe/Madrid")
NINE = datetime(2026, 3, 27, 9, 0, tzinfo=MADRID)  # the clocks go forward on the 29th, and back on 25 October


@pytest.mark.parametrize(
    ("at", "now", "words"),
    [
        (NINE, NINE.replace(day=30), "overdue by 3 d"),
        (NINE, NINE.replace(day=30, hour=8), "overdue by 2 d"),
        (datetime(2026, 10, 24, 9, 0, tzinfo=MADRID), datetime(2026, 10, 26, 9, 0, tzinfo=MADRID), "overdue by 2 d"),
        (datetime(2026, 10, 24, 9, 0, tzinfo=MADRID), datetime(2026, 10, 25, 8, 30, tzinfo=MADRID), "overdue by 24 h"),
        (NINE, NINE + timedelta(minutes=20), "overdue by 20 min"),
        (NINE + timedelta(days=6), NINE, "due in 6 d"),
        (NINE + timedelta(hours=5), NINE, "due in 5 h"),
    ],
)
def test_days_are_counted_on_the_readers_wall_clock(at: datetime, now: datetime, words: str) -> None:
    utc = ZoneInfo("UTC")
    with timezone.override(MADRID):
        assert due(at.astimezone(utc), now.astimezone(utc)).words == words


def test_lateness_is_told_by_word_and_sign_and_not_by_colour_alone() -> None:
    late, near, far = (due(NINE + timedelta(days=days), NINE) for days in (-1, 1, 9))

    assert [(one.tone, one.sign) for one in (late, near, far)] == [
        ("danger", "alert"),
        ("warn", "clock"),
        ("calm", "clock"),
    ]
