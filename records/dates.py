"""FHIR dates as half-open ranges of instants in UTC: ``2024`` is all of that year, an instant one second.

Search compares ranges (FHIR R4 §3.1.1.4.7), so every date that can be searched is kept as low (in) and high (out).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Range = tuple[datetime, datetime]
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, tzinfo=UTC)
_SHAPE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def period_of(text: str) -> Range | None:
    """The range that a FHIR date, dateTime or instant stands for; None for what is none. No zone means UTC."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        low = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            min(int(second or 0), 59),  # FHIR allows the leap second 60
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(zone),
        )
        low = low.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    try:
        return low, _end(low, month, day, hour, second, fraction)
    except (ValueError, OverflowError):  # 9999, as many write for "open"
        return low, END


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _end(
    low: datetime, month: str | None, day: str | None, hour: str | None, second: str | None, fraction: str | None
) -> datetime:
    if month is None:
        return low.replace(year=low.year + 1)
    if day is None:
        return low.replace(year=low.year + low.month // 12, month=low.month % 12 + 1)
    if hour is None:
        return low + timedelta(days=1)
    if second is None:
        return low + timedelta(minutes=1)
    if fraction is None:
        return low + timedelta(seconds=1)
    return low + timedelta(microseconds=10 ** max(0, 6 - len(fraction)))


def range_of(value: Any) -> Range | None:
    """The range of a date, a Period (an open side reaches to the end of time) or a Timing (from first to last)."""
    if isinstance(value, str):
        return period_of(value)
    if not isinstance(value, dict):
        return None
    if "event" in value or "repeat" in value:
        bounds = value.get("repeat", {}).get("boundsPeriod") if isinstance(value.get("repeat"), dict) else None
        events = value.get("event")
        return hull([*(events if isinstance(events, list) else []), bounds])
    start, end = (period_of(value[key]) if isinstance(value.get(key), str) else None for key in ("start", "end"))
    if start is None and end is None:
        return None
    return start[0] if start else BEGINNING, end[1] if end else END


def hull(values: list[Any]) -> Range | None:
    """The smallest range around all the values that are dates."""
    ranges = [found for value in values if (found := range_of(value))]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
