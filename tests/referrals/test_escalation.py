"""What is overdue reaches owner, pool and supervisor, once each; however often and by how many it is swept."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from pytest_django import DjangoAssertNumQueries

from records import clock
from records.access import SYSTEM
from referrals import escalation, policies
from referrals.calendars import Span
from referrals.models import Calendar, Escalation, Handoff
from tests.referrals.ward import MONDAY, Ward, found_ward


def heard(handoff: Handoff) -> list[tuple[int, str]]:
    return list(Escalation.objects.filter(handoff=handoff).order_by("level").values_list("level", "owner__name"))


def test_each_level_hears_once_and_nothing_else_changes(ward: Ward) -> None:
    loop = ward.order(priority="urgent")
    handoff = ward.only(loop, "dispatch")
    due = handoff.due_at
    assert escalation.sweep(due - timedelta(seconds=1)) == 0
    assert escalation.sweep(due) == 1
    assert escalation.sweep(due) == 0
    assert escalation.sweep(due + timedelta(hours=4)) == 1
    assert escalation.sweep(due + timedelta(hours=24)) == 1
    assert escalation.sweep(due + timedelta(days=900)) == 0
    assert heard(handoff) == [(1, ward.practice_pool.name), (2, ward.practice_pool.name), (3, "Dr Boss")]
    after = ward.only(loop, "dispatch")
    assert (after.owner, after.due_at, after.stage, after.version) == (handoff.owner, due, "to-send", handoff.version)


def test_an_organisation_says_itself_when_pool_and_supervisor_hear(ward: Ward) -> None:
    Calendar.objects.create(organization="practice", time_zone="UTC", closed_on=["2026-03-04"])
    policies.set_clock(SYSTEM, "practice", "*.escalation.pool.urgent", Span(0, "hours"))
    for level in ("*", "urgent"):  # a wide number alone makes no urgent one later
        policies.set_clock(SYSTEM, "practice", f"*.escalation.supervisor.{level}", Span(1, "business-days"))
    urgent, routine = ward.order(priority="urgent"), ward.order()
    handoff, other = ward.only(urgent, "dispatch"), ward.only(routine, "dispatch")
    tuesday = MONDAY + timedelta(days=1)
    assert handoff.due_at == other.due_at == tuesday
    assert escalation.sweep(tuesday) == 3
    assert (len(heard(handoff)), len(heard(other))) == (2, 1)
    assert escalation.sweep(tuesday + timedelta(hours=24)) == 1, "the pool's default holds for what is routine"
    assert escalation.sweep(tuesday + timedelta(days=2)) == 2, "the closed Wednesday doesn't count"
    assert [level for level, _name in heard(handoff)] == [level for level, _name in heard(other)] == [1, 2, 3]


def test_a_sweep_that_comes_late_makes_up_for_all_levels(ward: Ward) -> None:
    handoff = ward.only(ward.order(), "dispatch")
    assert escalation.sweep(handoff.due_at + timedelta(days=30)) == 3
    assert [level for level, _name in heard(handoff)] == [1, 2, 3]


def test_work_outside_escalates_at_the_accountable_pool(ward: Ward) -> None:
    _loop, fulfil = ward.sent(performer="elsewhere")
    escalation.sweep(fulfil.due_at)
    assert heard(fulfil) == [(1, ward.practice_pool.name)]


def test_a_new_due_time_begins_a_new_escalation(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    first = fulfil.due_at
    escalation.sweep(first)
    with clock.at(first + timedelta(hours=1)):
        ward.does(ward.clinic, fulfil, "accept")
    fulfil.refresh_from_db()
    assert escalation.sweep(first + timedelta(hours=2)) == 0
    assert escalation.sweep(fulfil.due_at) == 1
    assert list(Escalation.objects.order_by("id").values_list("due_at", flat=True)) == [
        first,
        fulfil.due_at,
    ]


def test_what_has_ended_escalates_no_more(ward: Ward) -> None:
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "withdraw", reason="withdrawn")
    assert escalation.sweep(MONDAY + timedelta(days=365)) == 0


def test_it_counts_as_delivered_once_it_was_displayed(ward: Ward) -> None:
    handoff = ward.only(ward.order(), "dispatch")
    escalation.sweep(handoff.due_at)
    (notice,) = escalation.waiting(ward.coordinator)
    assert (notice.handoff_id, notice.level) == (handoff.id, 1)
    assert escalation.waiting(ward.clinic) == []
    assert escalation.displayed(ward.clinic, [notice.id]) == 0, "it isn't theirs"
    assert escalation.displayed(ward.coordinator, [notice.id]) == 1
    assert escalation.displayed(ward.coordinator, [notice.id]) == 0
    assert escalation.waiting(ward.coordinator) == []
    assert Escalation.objects.get().channel == "app"


def test_a_sweep_whose_next_step_leads_nowhere_stops_with_an_error(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    handoff = ward.only(ward.order(), "dispatch")
    monkeypatch.setattr(escalation, "_next", lambda due, _rules: due.due_at)
    with pytest.raises(escalation.SweepStands):
        escalation.sweep(handoff.due_at)


def test_a_sweep_costs_what_is_due_and_not_what_exists(
    ward: Ward, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(4):
        ward.order()
    with django_assert_max_num_queries(3):
        assert escalation.sweep(MONDAY) == 0


def test_what_one_sweep_records_is_one_batch(ward: Ward, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(4):
        ward.order()
    with django_assert_max_num_queries(5):
        assert escalation.sweep(MONDAY + timedelta(days=1)) == 4


@pytest.mark.usefixtures("commits")
def test_two_sweeps_at_once_record_everything_once() -> None:
    with clock.at(MONDAY):
        ward = found_ward()
        for _ in range(20):
            ward.order()

    def swept(_number: int) -> int:
        try:
            return escalation.sweep(MONDAY + timedelta(days=30))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(swept, range(4))) == 60
    assert Escalation.objects.count() == 60
