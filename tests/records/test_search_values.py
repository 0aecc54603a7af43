"""How search values are read."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from records.errors import Malformed
from records.search import values


def test_a_comma_separates_alternatives_unless_a_backslash_stands_before_it() -> None:
    assert values.alternatives(r"a,b\,c,\\,d") == ["a", r"b\,c", "\\\\", "d"]
    assert [values.unescape(value) for value in values.alternatives(r"b\,c,x\|y")] == ["b,c", "x|y"]


@pytest.mark.parametrize("text", ["", ",", ",,,"])
def test_no_value_at_all_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        values.alternatives(text)


def test_a_thousand_alternatives_are_taken_and_no_more() -> None:
    assert len(values.alternatives(",".join("x" * 1000))) == 1000
    with pytest.raises(Malformed):
        values.alternatives(",".join("x" * 1001))


def test_a_prefix_is_told_from_the_value() -> None:
    assert values.prefixed("ge2026") == ("ge", "2026")
    assert values.prefixed("2026") == ("eq", "2026")


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "26", "today", "2026-01-01T10", "", "٢٠٢٦", "2026-01-01\n"])
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        values.span(text)


def test_a_plus_that_became_a_space_still_names_the_zone() -> None:
    low, high = values.span("2026-01-01T00:30:00 01:00")
    assert low == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert (high - low).total_seconds() == 1


def test_a_number_stands_for_what_rounds_to_it() -> None:
    assert values.amount("5.4") == values.Amount(Decimal("5.4"), Decimal("5.35"), Decimal("5.45"))
    assert values.amount("100") == values.Amount(Decimal(100), Decimal("99.5"), Decimal("100.5"))


@pytest.mark.parametrize("text", ["1e999999", "NaN", "Infinity", "1" * 5000, "--1", ""])
def test_a_number_beyond_reason_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        values.amount(text)
