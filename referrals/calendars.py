"""Working days: a time zone, public holidays and days of an organisation's own, and how many of them to count.

A span counts on the wall clock of the organisation: one day after 09:00 is 09:00, also over a change to summer time. An
hour is an hour everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

import holidays

Unit = Literal["hours", "days", "business-days", "same-day"]
SATURDAY = 5
# Beyond these nothing is planned; many systems write 9999 for "open" and 0001 for "unknown".
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """How long somebody has. The unit `same-day` means the end of the first working day, today included."""

    amount: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """When an organisation works; see `referrals.models.Calendar`."""

    time_zone: str = "UTC"
    country: str = ""
    region: str = ""
    closed_on: frozenset[date] = field(default_factory=frozenset)

    def is_working(self, day: date) -> bool:
        """Whether that day is neither weekend nor holiday."""
        return day.weekday() < SATURDAY and day not in self.closed_on and not self._is_holiday(day)

    def _is_holiday(self, day: date) -> bool:
        return bool(self.country) and day in _holidays(self.country, self.region, day.year)

    def after(self, start: datetime, span: Span) -> datetime:
        """The instant (UTC) at which a span that begins at ``start`` has run out; see `within_reach`."""
        start = within_reach(start)
        if span.unit == "hours":
            return start.astimezone(UTC) + timedelta(hours=span.amount)
        local = start.astimezone(ZoneInfo(self.time_zone))
        if span.unit == "days":
            return self._at(local.date() + timedelta(days=span.amount), local.time())
        if span.unit == "same-day":
            today = local.date() - timedelta(days=1)
            return self._at(next(self._working_days_after(today)) + timedelta(days=1), time())
        counted = [local.date(), *islice(self._working_days_after(local.date()), span.amount)]
        return self._at(counted[-1], local.time())

    def _working_days_after(self, day: date) -> Iterator[date]:
        while True:
            day += timedelta(days=1)
            if self.is_working(day):
                yield day

    def _at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock.replace(tzinfo=None, fold=0), ZoneInfo(self.time_zone)).astimezone(UTC)


def within_reach(at: datetime) -> datetime:
    """The instant itself, or the nearest that a calendar reckons with."""
    return max(EARLIEST, min(at, LATEST))


@cache
def _holidays(country: str, region: str, year: int) -> frozenset[date]:
    try:
        return frozenset(holidays.country_holidays(country, subdiv=region or None, years=year))
    except NotImplementedError:  # a country or region that the package doesn't know has no holidays here
        return frozenset()
