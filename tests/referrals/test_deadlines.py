"""By when: working days, holidays, time zones and the change of the clocks; and an organisation's own numbers."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referrals import deadlines
from referrals.calendars import Span, Unit, WorkingDays
from referrals.deadlines import business_days, days, hours
from referrals.models import Calendar, Policy
from tests.referrals.ward import MONDAY, Ward

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
AMERICAN = WorkingDays("America/New_York", "US")
BAVARIAN = WorkingDays("Europe/Berlin", "DE", "BY")


def at(zone: ZoneInfo, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=zone)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("calendar", "start", "span", "end"),
    [
        (
            AMERICAN,
            at(NEW_YORK, 2026, 3, 6, 15),
            business_days(1),
            at(NEW_YORK, 2026, 3, 9, 15),
        ),  # over a weekend and DST
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 9), days(1), at(NEW_YORK, 2026, 3, 8, 9)),  # 23 hours later
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 9), hours(24), at(NEW_YORK, 2026, 3, 8, 10)),
        (AMERICAN, at(NEW_YORK, 2026, 10, 31, 9), days(1), at(NEW_YORK, 2026, 11, 1, 9)),  # 25 hours later
        (AMERICAN, at(NEW_YORK, 2026, 7, 2, 9), business_days(1), at(NEW_YORK, 2026, 7, 6, 9)),  # the 3rd is observed
        (AMERICAN, at(NEW_YORK, 2026, 11, 25, 9), business_days(2), at(NEW_YORK, 2026, 11, 30, 9)),  # Thanksgiving
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 9), business_days(2), at(NEW_YORK, 2026, 3, 10, 9)),  # begun on a Saturday
        (BAVARIAN, at(BERLIN, 2026, 1, 5, 9), business_days(1), at(BERLIN, 2026, 1, 7, 9)),  # Epiphany, Bavaria only
        (
            WorkingDays("Europe/Berlin", "DE", "BE"),
            at(BERLIN, 2026, 1, 5, 9),
            business_days(1),
            at(BERLIN, 2026, 1, 6, 9),
        ),
        (BAVARIAN, at(BERLIN, 2026, 3, 28, 2, 30), days(1), at(BERLIN, 2026, 3, 29, 3, 30)),  # a time that isn't there
        (BAVARIAN, at(BERLIN, 2026, 10, 24, 2, 30), days(1), at(BERLIN, 2026, 10, 25, 2, 30)),  # one that is twice
        (BAVARIAN, at(BERLIN, 2026, 3, 2, 15), deadlines.SAME_DAY, at(BERLIN, 2026, 3, 3, 0)),
        (BAVARIAN, at(BERLIN, 2026, 3, 7, 15), deadlines.SAME_DAY, at(BERLIN, 2026, 3, 10, 0)),  # a Saturday's: Monday
        (WorkingDays(closed_on=frozenset({date(2026, 3, 3)})), MONDAY, business_days(1), MONDAY + timedelta(days=2)),
        (WorkingDays("UTC", "XX"), MONDAY, business_days(1), MONDAY + timedelta(days=1)),  # a country nobody knows
    ],
)
def test_a_span_counts_on_the_wall_clock_and_the_calendar(
    calendar: WorkingDays, start: datetime, span: Span, end: datetime
) -> None:
    assert calendar.after(start, span) == end.astimezone(UTC)


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)),  # noqa: DTZ001
    amount=st.integers(0, 30),
    unit=st.sampled_from(["hours", "days", "business-days"]),
    zone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_more_time_is_never_due_earlier(start: datetime, amount: int, unit: Unit, zone: str) -> None:
    calendar = WorkingDays(zone, "US")
    ends = [calendar.after(start, Span(amount + more, unit)) for more in (0, 1, 2)]
    assert ends == sorted(ends)
    assert ends[0] >= start - timedelta(hours=1), "at most the hour that a change of the clocks takes"


@pytest.mark.parametrize(
    ("key", "span"),
    [
        (("referral", "fulfil", "in-triage", "routine"), days(7)),
        (("referral", "fulfil", "in-triage", "urgent"), days(2)),
        (("referral", "fulfil", "in-triage", "stat"), days(1)),
        (("test-order", "fulfil", "ordered", "urgent"), days(3)),
        (("test-order", "review-report", "to-review", "critical"), hours(24)),
        (("test-order", "review-report", "to-review", "abnormal"), days(7)),
        (("test-order", "review-report", "to-review", "normal"), days(14)),
        (("referral", "review-report", "to-review", "normal"), days(7)),
        (("referral", "notify-patient", "to-tell-today", "routine"), deadlines.SAME_DAY),
        (("unsolicited", "match-evidence", "to-match", "critical"), hours(4)),
        (("upkeep", "mend-exchange", "to-mend", "routine"), business_days(1)),
    ],
)
def test_the_most_specific_row_rules(key: tuple[str, str, str, str], span: Span) -> None:
    loop_kind, handoff, stage, level = key
    assert deadlines.Rules().span(loop_kind, handoff, stage, (level,)) == span


def test_an_organisation_sets_its_own_clocks_and_calendar(ward: Ward) -> None:
    Calendar.objects.create(
        organization="practice", time_zone="America/New_York", country="US", closed_on=["2026-03-03"]
    )
    Policy.objects.create(organization="practice", handoff_kind="dispatch", amount=1, unit="business-days")
    Policy.objects.create(organization="practice", handoff_kind="dispatch", priority="stat", amount=2, unit="hours")
    routine, stat = ward.order(), ward.order(priority="stat")
    assert ward.only(routine, "dispatch").due_at == MONDAY + timedelta(days=2)
    assert ward.only(stat, "dispatch").due_at == MONDAY + timedelta(hours=2)
    assert deadlines.due("clinic", "referral", "dispatch", "to-send", "stat", MONDAY) == MONDAY + timedelta(days=1)


def test_a_performer_elsewhere_is_held_to_the_placers_clocks(ward: Ward) -> None:
    Policy.objects.create(
        organization="practice", handoff_kind="fulfil", stage="sent", amount=5, unit=Policy.Unit.HOURS
    )
    _loop, fulfil = ward.sent(performer="elsewhere")
    assert fulfil.due_at == MONDAY + timedelta(hours=5)
    assert fulfil.half_due_at == MONDAY + timedelta(hours=2, minutes=30)
