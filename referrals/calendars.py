"""Working days: a time zone, public holidays and days of an organisation's own, and how many of them to count.

A span counts on the wall clock of the organisation: one day after 09:00 is 09:00, also over a change to summer time. An
hour is an hour everywhere. Business days that begin on a day off are whole ones: the last of them ends with its day.
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
SATURDAY_AND_SUNDAY = frozenset({5, 6})
# Beyond these nothing is planned; many systems write 9999 for "open" and 0001 for "unknown".
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """How long somebody has. The unit `same-day` means the end of that calendar day, a day off or not."""

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
        year = _year(self.country, self.region, day.year)
        return day.weekday() not in year.weekend and day not in self.closed_on and day not in year.holidays

    def after(self, start: datetime, span: Span) -> datetime:
        """The instant (UTC) at which a span that begins at ``start`` has run out, never before it; see `within_reach`."""
        start = within_reach(start)
        # The wall clock can read the same twice in one night: the first time may lie before the second.
        return max(start.astimezone(UTC), self._end(start, span))

    def _end(self, start: datetime, span: Span) -> datetime:
        if span.unit == "hours":
            return start.astimezone(UTC) + timedelta(hours=span.amount)
        local = start.astimezone(ZoneInfo(self.time_zone))
        if span.unit == "days":
            return self._at(local.date() + timedelta(days=span.amount), local.time())
        if span.unit == "same-day":
            return self._at(local.date() + timedelta(days=1), time())
        last = [local.date(), *islice(self._working_days_after(local.date()), span.amount)][-1]
        if span.amount and not self.is_working(local.date()):
            return self._at(last + timedelta(days=1), time())
        return self._at(last, local.time())

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


@dataclass(frozen=True, slots=True)
class _Year:
    """The days off of one year in a country: its public holidays, and the weekdays of its weekend (Monday is 0)."""

    holidays: frozenset[date] = frozenset()
    weekend: frozenset[int] = SATURDAY_AND_SUNDAY


@cache
def _year(country: str, region: str, year: int) -> _Year:
    if not country:
        return _Year()
    try:
        known = holidays.country_holidays(country, subdiv=region or None, years=year)
    except NotImplementedError:  # a country or region that the package doesn't know has no holidays here
        return _Year()
    return _Year(frozenset(known), frozenset(known.weekend))


def knows(country: str, region: str = "") -> bool:
    """Whether the public holidays of that country (ISO 3166-1) and region of it (ISO 3166-2) are known."""
    regions = holidays.list_supported_countries(include_aliases=False).get(country)
    return regions is not None and (not region or region in regions)
