"""By when: working days, holidays, time zones and the change of the clocks; and an organisation's own numbers."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import clock
from referrals import clocks, deadlines, workflow
from referrals.calendars import Span, Unit, WorkingDays
from referrals.deadlines import business_days, days, hours
from referrals.models import Calendar, Policy
from referrals.pathways import STAGES
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
        # Begun on a day off: whole days, the first of them the next working day.
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 0, 30), business_days(1), at(NEW_YORK, 2026, 3, 10, 0)),  # a Saturday
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 9), business_days(2), at(NEW_YORK, 2026, 3, 11, 0)),
        (AMERICAN, at(NEW_YORK, 2026, 3, 8, 23, 59), business_days(1), at(NEW_YORK, 2026, 3, 10, 0)),
        (AMERICAN, at(NEW_YORK, 2026, 11, 26, 5), business_days(1), at(NEW_YORK, 2026, 11, 28, 0)),  # Thanksgiving
        (BAVARIAN, at(BERLIN, 2026, 1, 6, 9), business_days(1), at(BERLIN, 2026, 1, 8, 0)),  # Epiphany
        (AMERICAN, at(NEW_YORK, 2026, 3, 7, 9), business_days(0), at(NEW_YORK, 2026, 3, 7, 9)),
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
        (
            BAVARIAN,
            at(BERLIN, 2026, 3, 7, 15),
            deadlines.SAME_DAY,
            at(BERLIN, 2026, 3, 8, 0),
        ),  # a Saturday's: that Saturday
        (WorkingDays(closed_on=frozenset({date(2026, 3, 3)})), MONDAY, business_days(1), MONDAY + timedelta(days=2)),
        (WorkingDays("UTC", "XX"), MONDAY, business_days(1), MONDAY + timedelta(days=1)),  # a country nobody knows
    ],
)
def test_a_span_counts_on_the_wall_clock_and_the_calendar(
    calendar: WorkingDays, start: datetime, span: Span, end: datetime
) -> None:
    assert calendar.after(start, span) == end.astimezone(UTC)


ZONES = [
    *("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"),
    *("Africa/Casablanca", "Asia/Beirut", "America/Santiago", "Pacific/Chatham"),
]
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
AN_HOUR_TWICE = timedelta(hours=1)
UNITS = st.sampled_from(["hours", "days", "business-days", "same-day"])


def _changes_of_the_clocks() -> list[datetime]:
    """Every hour of 2026 in which the clocks of one of the zones change (UTC)."""
    hours_of_the_year = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=count) for count in range(365 * 24)]
    return [
        hour
        for zone in map(ZoneInfo, ZONES)
        for hour in hours_of_the_year
        if hour.astimezone(zone).utcoffset() != (hour + timedelta(hours=1)).astimezone(zone).utcoffset()
    ]


NEAR_A_CHANGE = st.builds(
    lambda hour, minutes: hour + timedelta(minutes=minutes),
    st.sampled_from(_changes_of_the_clocks()),
    st.integers(-3 * 24 * 60, 3 * 24 * 60),
)


@given(
    start=INSTANTS | NEAR_A_CHANGE,
    amount=st.integers(0, 30),
    unit=UNITS,
    zone=st.sampled_from(ZONES),
    country=st.sampled_from(["", "US", "DE", "SA", "AU"]),
)
def test_nothing_is_due_before_it_starts_and_more_time_is_never_due_earlier(
    start: datetime, amount: int, unit: Unit, zone: str, country: str
) -> None:
    calendar = WorkingDays(zone, country)
    ends = [calendar.after(start, Span(amount + more, unit)) for more in (0, 1, 2)]
    assert ends == sorted(ends)
    assert ends[0] >= start


@given(
    start=INSTANTS | NEAR_A_CHANGE,
    later=st.timedeltas(timedelta(), timedelta(days=6)),
    amount=st.integers(1, 10),
    zone=st.sampled_from(ZONES),
    country=st.sampled_from(["", "US", "DE", "SA", "AU"]),
    closed=st.frozensets(st.integers(0, 20), max_size=6),
)
def test_business_days_leave_that_many_days_to_work_on_and_who_starts_later_has_no_less_time(
    start: datetime, later: timedelta, amount: int, zone: str, country: str, closed: frozenset[int]
) -> None:
    begun = start.astimezone(ZoneInfo(zone)).date()
    calendar = WorkingDays(zone, country, closed_on=frozenset(begun + timedelta(days=one) for one in closed))
    due = calendar.after(start, business_days(amount))
    assert calendar.after(start + later, business_days(amount)) >= due - AN_HOUR_TWICE
    morrows = (begun + timedelta(days=count) for count in range(2, 80))
    midnights = [datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in morrows]
    whole = [end for end in midnights if end <= due and calendar.is_working(_day_before(end, zone))]
    if calendar.is_working(begun):
        assert len(whole) == amount - 1, "the rest of its first day, and as much of the last"
        assert calendar.is_working(due.astimezone(ZoneInfo(zone)).date())
    else:
        assert (len(whole), whole[-1]) == (amount, due), "whole days, and never before the last of them has ended"


def _day_before(midnight: datetime, zone: str) -> date:
    return midnight.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)


@given(start=NEAR_A_CHANGE, amount=st.integers(0, 400), zone=st.sampled_from(ZONES))
def test_an_hour_is_an_hour_on_every_night(start: datetime, amount: int, zone: str) -> None:
    assert WorkingDays(zone).after(start, hours(amount)) - start == timedelta(hours=amount)


LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


@pytest.mark.parametrize(
    ("zone", "start", "end", "elapsed"),
    [
        (LORD_HOWE, (2026, 10, 3, 9), (2026, 10, 4, 9), timedelta(hours=23, minutes=30)),  # half an hour is lost
        (LORD_HOWE, (2026, 4, 4, 9), (2026, 4, 5, 9), timedelta(hours=24, minutes=30)),
        (LORD_HOWE, (2026, 10, 3, 2, 15), (2026, 10, 4, 2, 45), timedelta(hours=24)),  # 02:15 isn't there
        (NEW_YORK, (2026, 3, 7, 2, 30), (2026, 3, 8, 3, 30), timedelta(hours=24)),
        (ZoneInfo("Asia/Beirut"), (2026, 3, 28, 0), (2026, 3, 29, 1), timedelta(hours=24)),  # no midnight that day
    ],
)
def test_a_day_keeps_the_time_of_day_over_every_change_of_the_clocks(
    zone: ZoneInfo, start: tuple[int, ...], end: tuple[int, ...], elapsed: timedelta
) -> None:
    begun = at(zone, *start)
    due = WorkingDays(zone.key).after(begun, days(1))
    assert (due.astimezone(zone), due - begun.astimezone(UTC)) == (at(zone, *end), elapsed)


def test_the_second_time_of_an_hour_that_is_there_twice_is_never_due_before_itself() -> None:
    second = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1)
    assert AMERICAN.after(second, days(0)) == second.astimezone(UTC)


def test_the_weekend_is_that_of_the_country() -> None:
    riyadh = ZoneInfo("Asia/Riyadh")
    calendar = WorkingDays("Asia/Riyadh", "SA")
    thursday, sunday = at(riyadh, 2026, 1, 8, 9), at(riyadh, 2026, 1, 11, 9)
    assert calendar.after(thursday, business_days(1)) == sunday.astimezone(UTC)


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
    assert deadlines.Rules().spans(loop_kind, handoff, stage, (level,))[0] == span


# PATHWAYS §2, §3 and §5, row by row, in its words: 1bd = one business day.
PATHWAYS = """
referral     dispatch             to-send               routine   1bd
referral     provide-information  asked                 routine   2bd
referral     decide-next-step     to-decide             routine   2bd
referral     request-cancellation cancellation-asked    routine   2bd
referral     review-report        to-review             routine   7d
referral     review-report        to-review             critical  24h
test-order   review-report        to-review             critical  24h
test-order   review-report        to-review             abnormal  7d
test-order   review-report        to-review             normal    14d
referral     notify-patient       to-tell               routine   14d
referral     notify-patient       to-tell               action    7d
referral     notify-patient       to-tell-today         routine   today
follow-up    contact-patient      to-contact            routine   2bd
test-order   recollect            to-recollect          routine   1bd
unsolicited  match-evidence       to-match              critical  4h
unsolicited  match-evidence       to-match              routine   1bd
upkeep       mend-exchange        to-mend               urgent    4h
upkeep       mend-exchange        to-mend               routine   1bd
referral     confirm-handover     to-confirm-handover   routine   2bd
upkeep       confirm-death        to-confirm-death      routine   1bd
referral     propose-change       revocation-proposed   routine   2bd
referral     fulfil               authorisation-pending routine   5bd
referral     fulfil               sent                  routine   48h
referral     fulfil               in-triage             stat      1d
referral     fulfil               in-triage             urgent    2d
referral     fulfil               in-triage             routine   7d
referral     fulfil               awaiting-booking      own       3bd
referral     fulfil               awaiting-booking      routine   7d
referral     fulfil               scheduled             routine   1bd
referral     fulfil               in-progress           routine   7d
referral     fulfil               no-show               routine   2bd
referral     fulfil               appointment-cancelled own       3bd
referral     fulfil               appointment-cancelled routine   7d
referral     fulfil               seen-awaiting-report  routine   72h
referral     fulfil               interim-report        routine   72h
referral     fulfil               completed-no-report   routine   72h
follow-up    fulfil               planned               stat      1d
follow-up    fulfil               planned               urgent    7d
follow-up    fulfil               planned               routine   14d
follow-up    fulfil               booked                routine   1bd
follow-up    fulfil               no-show               routine   2bd
test-order   fulfil               ordered               stat      1d
test-order   fulfil               ordered               urgent    3d
test-order   fulfil               ordered               routine   14d
test-order   fulfil               collection-booked     routine   1bd
test-order   fulfil               specimen-collected    stat      1d
test-order   fulfil               specimen-collected    urgent    2d
test-order   fulfil               specimen-collected    routine   7d
test-order   fulfil               in-lab                stat      1d
test-order   fulfil               in-lab                urgent    2d
test-order   fulfil               in-lab                routine   7d
test-order   fulfil               preliminary           routine   7d
"""
UNIT_WORDS = {"h": "hours", "d": "days", "bd": "business-days"}


def _span(words: str) -> Span:
    amount = words.rstrip("bdh")
    return deadlines.SAME_DAY if words == "today" else Span(int(amount), UNIT_WORDS[words[len(amount) :]])  # type: ignore[arg-type]


@pytest.mark.parametrize("line", PATHWAYS.strip().splitlines(), ids=lambda line: "-".join(line.split()[:4]))
def test_every_number_of_the_pathways_is_the_tables(line: str) -> None:
    loop_kind, handoff, stage, level, words = line.split()
    assert deadlines.Rules().spans(loop_kind, handoff, stage, (level,))[0] == _span(words)


def test_every_stage_that_somebody_waits_at_has_a_clock() -> None:
    for (handoff, code), stage in STAGES.items():
        for loop_kind in stage.loop_kinds or ("referral",):
            if not stage.is_end and code != clocks.STOPPED:  # due with the answer, and the time that was left
                assert deadlines.Rules().spans(loop_kind, handoff, code, ("routine",))[0].amount >= 0


def test_a_clock_that_stops_several_times_keeps_its_seconds(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    left, now = fulfil.due_at - MONDAY, MONDAY
    for ran in (timedelta(hours=1, seconds=7), timedelta(minutes=13, seconds=59), timedelta(seconds=1)):
        now, left = now + ran, left - ran
        with clock.at(now):
            ward.does(ward.clinic, fulfil, "ask-information", question="Which?")
            asked = ward.only(_loop, "provide-information")
        fulfil.refresh_from_db()
        assert (fulfil.paused_seconds, fulfil.due_at) == (left.total_seconds(), asked.due_at + left)
        now += timedelta(days=1, hours=5, seconds=11)
        with clock.at(now):
            ward.does(ward.referrer, asked, "answer", answer="This.")
        fulfil.refresh_from_db()
        assert (fulfil.paused_seconds, fulfil.due_at) == (None, now + left)


def test_what_was_overdue_before_the_question_is_overdue_again_with_the_answer(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    with clock.at(fulfil.due_at + timedelta(hours=1)):
        ward.does(ward.clinic, fulfil, "ask-information", question="Which?")
    answered = fulfil.due_at + timedelta(hours=9)
    with clock.at(answered):
        ward.does(ward.referrer, ward.only(loop, "provide-information"), "answer", answer="This.")
    fulfil.refresh_from_db()
    assert fulfil.due_at == answered


@pytest.mark.parametrize(("has_to_act", "due_in"), [(True, timedelta(days=7)), (False, timedelta(days=14))])
def test_a_patient_who_has_to_act_hears_of_the_outcome_sooner(ward: Ward, has_to_act: bool, due_in: timedelta) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "accept")
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY)
    ward.does(ward.clinic, fulfil, "seen")
    ward.report(fulfil)
    review = ward.only(loop, "review-report")
    ward.does(
        ward.referrer, review, "acknowledge", plan="Go on.", question_answered=True, patient_has_to_act=has_to_act
    )
    assert ward.only(loop, "notify-patient").due_at == MONDAY + due_in


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


def test_an_answer_is_due_by_the_referrers_own_working_days(ward: Ward) -> None:
    Calendar.objects.create(organization="clinic", closed_on=["2026-03-03", "2026-03-04"])
    loop, fulfil = ward.sent()
    left = fulfil.due_at - MONDAY
    ward.does(ward.clinic, fulfil, "ask-information", question="Which?")
    fulfil.refresh_from_db()
    assert fulfil.due_at == ward.only(loop, "provide-information").due_at + left


def test_after_the_answer_it_goes_on_where_it_stopped_also_when_that_was_told_by_telephone(ward: Ward) -> None:
    loop, fulfil = ward.sent(performer="elsewhere")
    for action, told in (("accept", {}), ("ask-information", {"question": "Which?"})):
        data = {**told, "channel": "phone", "spoken_to": "Ms Ray"}
        workflow.perform(fulfil.id, action, ward.coordinator, attested=True, data=data)
    ward.does(ward.referrer, ward.only(loop, "provide-information"), "answer", answer="This.")
    fulfil.refresh_from_db()
    assert fulfil.stage == "awaiting-booking"


@pytest.mark.parametrize(("priority", "due_in"), [("stat", 1), ("asap", 1), ("urgent", 7), ("routine", 14)])
def test_a_follow_up_without_a_window_has_the_time_of_the_policy(ward: Ward, priority: str, due_in: int) -> None:
    _loop, visit = ward.sent("follow-up", performer="practice", priority=priority)
    assert visit.due_at == MONDAY + timedelta(days=due_in)


@pytest.mark.parametrize("kind", ["follow-up", "test-order"])
def test_what_is_wanted_from_a_time_on_is_not_due_before_it(ward: Ward, kind: str) -> None:
    wanted = MONDAY + timedelta(days=90)
    loop, visit = ward.sent(kind, performer="practice", window_start_at=wanted)
    assert visit.due_at == wanted + timedelta(days=14)
    workflow.revise(loop, {"priority": "urgent"}, ward.referrer)
    visit.refresh_from_db()
    assert visit.due_at == wanted + timedelta(days=7 if kind == "follow-up" else 3)
    workflow.revise(loop, {"window_start_at": MONDAY}, ward.referrer)
    visit.refresh_from_db()
    assert visit.due_at == MONDAY + timedelta(days=7 if kind == "follow-up" else 3)


def test_a_window_that_is_taken_back_or_moved_moves_what_is_due_by_it(ward: Ward) -> None:
    month = MONDAY + timedelta(days=30)
    loop, visit = ward.sent("follow-up", performer="practice", window_start_at=MONDAY, needed_by=month)
    assert visit.due_at == month
    workflow.revise(loop, {"window_start_at": month, "needed_by": None}, ward.referrer)
    visit.refresh_from_db()
    assert visit.due_at == month + timedelta(days=14)
    assert ward.only(loop, "contact-patient").due_at == datetime(2026, 4, 3, 9, tzinfo=UTC)
