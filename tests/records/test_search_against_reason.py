"""A search finds what a plain reading of the standard finds: the same questions, asked of PostgreSQL and of Python.

The reading here shares no code with the search: dates become ranges by string and calendar, tokens are compared pair by
pair (https://hl7.org/fhir/R4/search.html#prefix, #token).
"""

import calendar
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records import search, store
from records.access import SYSTEM

ABC = "http://abc"
INSTANTS = ["2025", "2025-12", "2025-12-31", "2026", "2026-01", "2026-01-01", "2026-02", "2026-02-28", "2027-01-01"]
INSTANTS += ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T23:59:59Z", "2026-01-01T12:30:15.250Z"]
PERIODS: list[dict[str, str]] = [
    {"start": "2025-12-30", "end": "2026-01-02"},
    {"start": "2026-01-01"},
    {"end": "2026-01-31"},
    {"start": "2026-01-01T08:00:00Z", "end": "2026-01-01T09:00:00Z"},
]
PREFIXES = ["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"]
CODINGS = [
    {"system": ABC, "code": "a"},
    {"system": ABC, "code": "b"},
    {"code": "a"},
    {"system": "http://x", "code": "a"},
]
TOKENS = ["a", "b", "c", f"{ABC}|a", f"{ABC}|b", "|a", f"{ABC}|", "http://x|a", "http://x|b", "http://nowhere|"]
ALWAYS, NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """One ServiceRequest of the population."""

    id: str
    occurrence: str | dict[str, str] | None
    codings: tuple[dict[str, str], ...]
    status: str | None


def population() -> list[Kept]:
    """Every date with some codings, every subset of codings with some dates."""
    dates: list[Any] = [None, *INSTANTS, *PERIODS]
    subsets = [subset for size in range(3) for subset in itertools.combinations(CODINGS, size)]
    statuses = [None, "active", "revoked", "draft"]
    pairs = [(date, subsets[index % len(subsets)]) for index, date in enumerate(dates)]
    pairs += [(dates[index % len(dates)], subset) for index, subset in enumerate(subsets)]
    return [Kept(f"r{index}", *pair, statuses[index % 4]) for index, pair in enumerate(pairs)]


def resource(kept: Kept) -> dict[str, Any]:
    body: dict[str, Any] = {"resourceType": "ServiceRequest", "id": kept.id}
    if isinstance(kept.occurrence, str):
        body["occurrenceDateTime"] = kept.occurrence
    elif kept.occurrence:
        body["occurrencePeriod"] = kept.occurrence
    if kept.codings:
        body["code"] = {"coding": list(kept.codings)}
    if kept.status:
        body["status"] = kept.status
    return body


def stretch(text: str) -> tuple[datetime, datetime]:
    """First and first-after instant of a date."""
    if "T" in text:
        low = datetime.fromisoformat(text)
        return low, low + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))
    numbers = [int(part) for part in text.split("-")]
    year, month, day = [*numbers, 1, 1][:3]
    first = datetime(year, month, day, tzinfo=UTC)
    if len(numbers) == 1:
        return first, datetime(numbers[0] + 1, 1, 1, tzinfo=UTC)
    days = 1 if len(numbers) == 3 else calendar.monthrange(*numbers)[1]
    return first, first + timedelta(days=days)


def when(kept: Kept) -> tuple[datetime, datetime] | None:
    if kept.occurrence is None:
        return None
    if isinstance(kept.occurrence, str):
        return stretch(kept.occurrence)
    start, end = kept.occurrence.get("start"), kept.occurrence.get("end")
    return stretch(start)[0] if start else ALWAYS, stretch(end)[1] if end else NEVER


def is_at(kept: Kept, value: str) -> bool:
    """The table of prefixes, read as sets of instants."""
    prefix, text = (value[:2], value[2:]) if value[0].isalpha() else ("eq", value)
    target = when(kept)
    if target is None:
        return False
    (low, high), (since, until) = stretch(text), target
    contained, starts_before, ends_after = low <= since and until <= high, since < low, until > high
    return {
        "eq": contained,
        "ne": not contained,
        "gt": ends_after,
        "lt": starts_before,
        "ge": ends_after or contained,
        "le": starts_before or contained,
        "sa": since >= high,
        "eb": until <= low,
    }[prefix]


def is_coded(kept: Kept, value: str) -> bool:
    if "|" not in value:
        return any(coding["code"] == value for coding in kept.codings)
    system, code = value.split("|")
    return any((coding.get("system", ""), coding["code"] if code else "") == (system, code) for coding in kept.codings)


date_values = st.tuples(st.sampled_from(PREFIXES), st.sampled_from(INSTANTS)).map("".join)
date_params = st.tuples(st.just("occurrence"), st.lists(date_values, min_size=1, max_size=3))
code_params = st.tuples(
    st.sampled_from(["code", "code:not"]), st.lists(st.sampled_from(TOKENS), min_size=1, max_size=3)
)
status_values = st.lists(st.sampled_from(["active", "draft", "x"]), min_size=1, max_size=2)
status_params = st.tuples(st.sampled_from(["status", "status:not"]), status_values)
missing_names = st.sampled_from(["occurrence:missing", "code:missing", "status:missing"])
missing_params = st.tuples(missing_names, st.sampled_from([["true"], ["false"]]))
questions = st.lists(st.one_of(date_params, code_params, status_params, missing_params), max_size=3)


def answers(kept: Kept, name: str, values: list[str]) -> bool:
    element = {"occurrence": kept.occurrence, "code": kept.codings or None, "status": kept.status}[
        name.split(":", maxsplit=1)[0]
    ]
    if name.endswith(":missing"):
        return (element is None) == (values == ["true"])
    if name == "occurrence":
        return any(is_at(kept, value) for value in values)
    matches = any(is_coded(kept, value) if name.startswith("code") else kept.status == value for value in values)
    return matches != name.endswith(":not")


@pytest.mark.django_db
def test_search_and_reason_agree() -> None:
    everybody = population()
    store.write_many([resource(kept) for kept in everybody], actor=SYSTEM)

    @settings(max_examples=400, deadline=None)
    @given(questions)
    def agree(question: list[tuple[str, list[str]]]) -> None:
        params = [(name, ",".join(values)) for name, values in question]
        found = search.search(SYSTEM, "ServiceRequest", [*params, ("_count", "1000")], strict=True)
        expected = {kept.id for kept in everybody if all(answers(kept, *asked) for asked in question)}
        assert {match.id for match in found.matches} == expected

    agree()
