"""What stands on whose list, derived from the clock; and that every list costs the same few statements."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from records import clock
from records.errors import Malformed, NotFound
from referrals import escalation, worklists
from referrals.models import Absence, Handoff, Owner
from referrals.worklists import Filters, Row
from tests.referrals.staff import hire, review_for, rows_of
from tests.referrals.ward import MONDAY, Ward, hours


def listed(ward: Ward, filters: Filters, who: str = "coordinator", **later: float) -> list[Row]:
    return worklists.rows(getattr(ward, who), filters, now=MONDAY + timedelta(**later)).rows


def test_a_row_says_who_has_to_do_what_by_when_for_whom(ward: Ward) -> None:
    loop = ward.order(priority="urgent")
    (row,) = listed(ward, Filters())
    assert (row.loop_id, row.handoff, row.stage, row.priority) == (loop.id, "dispatch", "to-send", "urgent")
    assert (row.patient_name, row.title) == ("Анна Иванова", "Cardiology")
    assert (row.owner_name, row.due_at) == (ward.practice_pool.name, MONDAY + timedelta(days=1))
    assert row.labels == set()
    (row,) = listed(ward, Filters(label="due-soon"), minutes=1)
    assert row.labels == {"due-soon"}


def test_overdue_is_read_from_the_clock_and_nothing_changes_because_time_passes(ward: Ward) -> None:
    ward.order()
    assert listed(ward, Filters(label="overdue")) == []
    (row,) = listed(ward, Filters(label="overdue"), days=30)
    assert "overdue" in row.labels
    assert listed(ward, Filters(label="overdue"), days=3000) == [row]


def test_work_outside_waits_on_the_accountable_list_and_is_chased_once_due(ward: Ward) -> None:
    ward.sent(performer="elsewhere")
    (waiting,) = listed(ward, Filters(label="waiting"))
    assert waiting.list_id == ward.practice_pool.pk
    assert listed(ward, Filters(label="chase")) == []
    (chase,) = listed(ward, Filters(label="chase"), days=3)
    assert chase.labels >= {"chase", "overdue"}


def test_work_of_another_tenant_is_on_their_list_and_watched_from_ours(ward: Ward) -> None:
    ward.sent()
    assert listed(ward, Filters()) == []
    assert [row.list_id for row in listed(ward, Filters(scope="organisation"), who="clinic")] == [ward.clinic_pool.pk]
    assert len(listed(ward, Filters(label="waiting"))) == 1
    assert len(listed(ward, Filters(label="chase"), days=3)) == 1
    assert len(listed(ward, Filters(scope="organisation", direction="sent"))) == 1
    assert listed(ward, Filters(scope="organisation", direction="received")) == []
    assert len(listed(ward, Filters(scope="organisation", direction="received"), who="clinic")) == 1


def test_what_the_pool_has_heard_of_is_escalated(ward: Ward) -> None:
    loop = ward.order()
    due = ward.only(loop, "dispatch").due_at
    escalation.sweep(due + timedelta(hours=1))
    assert listed(ward, Filters(label="escalated"), days=9) == [], "so far only its owner"
    escalation.sweep(due + timedelta(hours=25))
    (row,) = listed(ward, Filters(label="escalated"), days=9)
    assert (row.loop_id, "escalated" in row.labels) == (loop.id, True)


def test_what_is_read_in_the_stead_of_others_is_a_list_of_its_own(ward: Ward) -> None:
    ana, ben = (hire(name, "practitioner", pool=ward.practice_pool) for name in ("ana", "ben"))
    _loop, review = review_for(ward, ana)
    own = ward.order()
    assert rows_of(ben.actor, MONDAY, label="standing-in") == []
    week = {"starts_at": MONDAY, "ends_at": MONDAY + timedelta(days=7)}
    Absence.objects.create(owner=ana.owner, surrogate=ben.owner, **week)
    for scope in ("mine", "team"):
        (row,) = rows_of(ben.actor, MONDAY + timedelta(hours=1), scope, label="standing-in")
        assert (row.handoff_id, row.via, "standing-in" in row.labels) == (review.id, "away", True)
    assert own.id in {row.loop_id for row in rows_of(ben.actor, MONDAY + timedelta(hours=1))}
    assert rows_of(ben.actor, MONDAY + timedelta(hours=1), "organisation", label="standing-in") == []
    counted = worklists.tiles(ben.actor, MONDAY + timedelta(hours=1), {"x": Filters(label="standing-in")})
    assert counted == {"x": 1}


def test_a_follow_up_is_due_from_the_beginning_of_its_window_until_it_is_booked(ward: Ward) -> None:
    window = {"window_start_at": MONDAY + timedelta(days=5), "needed_by": MONDAY + timedelta(days=9)}
    loop = ward.order("follow-up", performer="practice", **window)
    ward.order("follow-up", performer="practice", window_start_at=MONDAY + timedelta(days=90))
    assert listed(ward, Filters(label="follow-up-due"), days=4) == []
    visit = ward.only(loop, "fulfil")
    assert [row.handoff_id for row in listed(ward, Filters(label="follow-up-due"), days=6)] == [visit.id]
    ward.does(ward.coordinator, visit, "book", slot_end=MONDAY + timedelta(days=7))
    assert listed(ward, Filters(label="follow-up-due"), days=6) == []


def test_who_has_it_to_do_neither_waits_for_others_nor_chases_them(ward: Ward) -> None:
    ward.sent()
    for days in (0, 3):
        (row,) = listed(ward, Filters(scope="organisation"), who="clinic", days=days)
        assert not row.labels & {"waiting", "chase"}
        assert listed(ward, Filters(label="waiting"), who="clinic", days=days) == []
        assert listed(ward, Filters(label="chase"), who="clinic", days=days) == []


def test_the_most_urgent_comes_first_then_the_longest_due_and_pages_never_overlap(ward: Ward) -> None:
    for priority in ("routine", "stat", "urgent", "routine", "asap", "routine", "stat"):
        ward.order(priority=priority)
    seen: list[Row] = []
    key = ""
    while True:
        page = worklists.rows(ward.coordinator, Filters(), now=MONDAY, after=key, limit=2)
        seen += page.rows
        key = page.next
        if not key:
            break
    assert [row.priority for row in seen] == ["stat", "stat", "asap", "urgent", "routine", "routine", "routine"]
    assert len({row.handoff_id for row in seen}) == 7
    with pytest.raises(Malformed):
        worklists.rows(ward.coordinator, Filters(), now=MONDAY, after="nonsense")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(text="cardio"), 2),
        (Filters(text="ива"), 2),
        (Filters(text="ива%"), 0),
        (Filters(text="100%_"), 0),
        (Filters(kind="test-order"), 1),
        (Filters(kind="follow-up"), 0),
        (Filters(handoff="dispatch"), 2),
        (Filters(stage="to-send"), 2),
        (Filters(priority="stat"), 1),
        (Filters(patient="pat"), 2),
        (Filters(patient="nobody"), 0),
        (Filters(label="nonsense"), 0),
    ],
)
def test_a_list_is_narrowed(ward: Ward, filters: Filters, count: int) -> None:
    ward.order()
    ward.order("test-order", priority="stat")
    assert len(listed(ward, filters)) == count


def test_a_clinician_sees_what_is_theirs(ward: Ward) -> None:
    owner = Owner.objects.create(kind="person", key="referrer", organization="practice", name="Referrer", internal=True)
    loop, fulfil = ward.sent(responsible=owner, requester="referrer")
    ward.report(fulfil)
    (row,) = listed(ward, Filters(scope="mine"), who="referrer")
    assert (row.loop_id, row.handoff, row.owner_name) == (loop.id, "review-report", "Referrer")


def test_a_tile_counts_the_rows_behind_it(ward: Ward) -> None:
    ward.order()
    ward.sent()
    ward.sent(performer="elsewhere")
    _third, declined = ward.sent()
    ward.does(ward.clinic, declined, "decline", reason="no-capacity", reason_text="Full")
    now = MONDAY + timedelta(days=4)
    for actor in (ward.coordinator, ward.clinic, ward.referrer):
        counts = worklists.tiles(actor, now)
        assert counts == {
            name: len(worklists.rows(actor, filters, now=now).rows) for name, filters in worklists.TILES.items()
        }
    assert worklists.tiles(ward.coordinator, now)["chase"] == 2


def test_every_open_handoff_stands_on_exactly_one_list(ward: Ward) -> None:
    ward.order()
    ward.sent()
    ward.sent(performer="elsewhere")
    ward.sent("follow-up", performer="practice", needed_by=MONDAY + timedelta(days=9))
    standing = [
        row.handoff_id
        for who in ("coordinator", "clinic")
        for row in listed(ward, Filters(scope="organisation"), who=who)
        if row.list_id == Owner.objects.get(kind="pool", organization=getattr(ward, who).organization).pk
    ]
    assert sorted(standing) == sorted(Handoff.objects.filter(closed_at=None).values_list("id", flat=True))


def test_an_outsider_sees_nothing(ward: Ward) -> None:
    loop, _fulfil = ward.sent()
    assert worklists.rows(ward.stranger, Filters(scope="organisation"), now=MONDAY).rows == []
    assert set(worklists.tiles(ward.stranger, MONDAY).values()) == {0}
    assert worklists.timeline(ward.stranger, ward.patient, MONDAY) == []
    with pytest.raises(NotFound):
        worklists.loop_view(ward.stranger, loop.id, MONDAY)


def test_the_cost_does_not_depend_on_the_number_of_rows(
    ward: Ward, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    loops = [ward.order() for _ in range(5)]
    with django_assert_max_num_queries(4):
        worklists.rows(ward.coordinator, Filters(), now=MONDAY)
    with django_assert_max_num_queries(3):
        worklists.tiles(ward.coordinator, MONDAY)
    with django_assert_max_num_queries(4):
        worklists.loop_view(ward.coordinator, loops[0].id, MONDAY)
    with django_assert_max_num_queries(4):
        assert len(worklists.timeline(ward.coordinator, ward.patient, MONDAY)) == 5


def test_a_loop_shows_its_progress_with_time_and_actor(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "accept")
    with clock.at(MONDAY + timedelta(days=1)):
        ward.does(ward.clinic, fulfil, "seen")
    view = worklists.loop_view(ward.referrer, loop.id, MONDAY)
    assert {step.code: step.state for step in view.steps} == {
        **dict.fromkeys(("ordered", "sent", "accepted", "seen"), "done"),
        "booked": "skipped",
        "reported": "current",
        **dict.fromkeys(("acknowledged", "told"), "upcoming"),
    }
    seen = next(step for step in view.steps if step.code == "seen")
    assert (seen.at, seen.actor) == (MONDAY + timedelta(days=1), "Consultant")
    assert view.next is not None
    assert view.next.row.id == fulfil.id
    assert [event.action for event in view.events] == ["open", "send", "accept", "seen"]


def test_what_leaves_a_loop_where_it_was_has_not_brought_it_there(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    with clock.at(hours(1)):
        ward.does(ward.clinic, fulfil, "accept")
    with clock.at(hours(2)):
        ward.does(ward.coordinator, ward.only(loop, "fulfil"), "hold", note="Until May.")
    view = worklists.loop_view(ward.coordinator, loop.id, hours(3))
    accepted = next(step for step in view.steps if step.code == "accepted")
    assert (accepted.at, accepted.actor) == (hours(1), ward.clinic.display)
