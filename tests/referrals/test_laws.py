"""The laws that PostgreSQL holds: raw SQL that breaks one is refused, whoever writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from records import clock
from referrals import escalation, people
from referrals.models import Event, Handoff, Loop
from referrals.pathways import STAGES
from referrals.vocabulary import Stage
from tests.referrals.ward import MONDAY, Ward, found_ward

# How a handoff of any kind ends, whatever comes of its loop.
ENDED = """closed_at = now(), task_status = 'cancelled', stage = CASE kind
    WHEN 'fulfil' THEN 'cancelled' WHEN 'dispatch' THEN 'withdrawn' ELSE 'overtaken' END"""


@contextmanager
def refused(law: str) -> Iterator[None]:
    """The statements inside, and the deferred checks at their end, are refused by that law."""
    with pytest.raises(IntegrityError, match=law), checked():
        yield


@contextmanager
def checked() -> Iterator[None]:
    with transaction.atomic():
        yield
        run("SET CONSTRAINTS ALL IMMEDIATE")


def run(sql: str, *values: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def loop(ward: Ward) -> Loop:
    """An open referral."""
    return ward.sent()[0]


@pytest.fixture
def ended(ward: Ward) -> Loop:
    """A closed referral."""
    loop, fulfil = ward.sent()
    ward.report(fulfil)
    ward.acknowledge(loop)
    ward.tell(loop)
    return loop


def test_an_open_loop_has_an_open_handoff(loop: Loop) -> None:
    with refused("law 1"):
        run(f"UPDATE referrals_handoff SET {ENDED} WHERE loop_id = %s AND closed_at IS NULL", loop.id)


def test_an_ended_loop_has_none(loop: Loop) -> None:
    with refused("law 1"):
        run(
            """UPDATE referrals_loop SET closed_at = now(), closed_by = 'x', stage = 'closed', acknowledged_at = now(),
            acknowledged_by = 'x', told_at = now(), told_by = 'x' WHERE id = %s""",
            loop.id,
        )


def test_a_loop_does_not_begin_without_a_handoff(loop: Loop) -> None:
    with refused("law 1"):
        Loop(
            id="bare", kind="upkeep", stage="in-hand", accountable=loop.accountable, ordered_at=MONDAY, opened_at=MONDAY
        ).save(force_insert=True)


def test_a_handoff_can_not_move_out_of_its_loop(ward: Ward, loop: Loop) -> None:
    other = ward.order()
    with refused("law 1"):
        run("UPDATE referrals_handoff SET loop_id = %s WHERE loop_id = %s AND closed_at IS NULL", other.id, loop.id)


def test_an_open_handoff_can_not_be_put_into_an_ended_loop(ward: Ward, ended: Loop) -> None:
    other = ward.order()
    with refused("law 1"):
        run("UPDATE referrals_handoff SET loop_id = %s WHERE loop_id = %s", ended.id, other.id)


@pytest.mark.parametrize("column", ["owner_id", "due_at", "list_id", "accountable_id", "half_due_at"])
def test_an_open_handoff_has_an_owner_a_list_and_a_due_time(loop: Loop, column: str) -> None:
    with refused(column):
        run(f"UPDATE referrals_handoff SET {column} = NULL WHERE loop_id = %s", loop.id)


def test_a_loop_has_an_accountable_pool(loop: Loop) -> None:
    with refused("accountable_id"):
        run("UPDATE referrals_loop SET accountable_id = NULL WHERE id = %s", loop.id)


@pytest.mark.parametrize("missing", ["acknowledged_at", "told_at", "acknowledged_by", "told_by"])
def test_closing_needs_the_acknowledgement_and_the_patient_told(loop: Loop, missing: str) -> None:
    needed = {"acknowledged_at": "now()", "told_at": "now()", "acknowledged_by": "'x'", "told_by": "'x'"}
    del needed[missing]
    with refused("law_4_acknowledged_and_told"):
        run(f"UPDATE referrals_handoff SET {ENDED} WHERE loop_id = %s AND closed_at IS NULL", loop.id)
        sets = ", ".join(f"{column} = {value}" for column, value in needed.items())
        run(
            f"UPDATE referrals_loop SET closed_at = now(), closed_by = 'x', stage = 'closed', {sets} WHERE id = %s",
            loop.id,
        )


def test_another_end_than_closed_needs_a_coded_reason(loop: Loop) -> None:
    with refused("law_4_end_has_reason_and_person"):
        run(
            """UPDATE referrals_loop SET closed_at = now(), closed_by = 'x', stage = 'cancelled', told_reason = 'x',
            acknowledged_reason = 'x', acknowledged_by = 'x', told_by = 'x' WHERE id = %s""",
            loop.id,
        )


def test_a_stage_says_whether_the_loop_is_open(loop: Loop) -> None:
    with refused("loop_stage_says_whether_open"):
        run("UPDATE referrals_loop SET stage = 'closed' WHERE id = %s", loop.id)


@pytest.mark.parametrize(
    "change",
    ["closed_at = NULL", "stage = 'waiting-partner', closed_at = NULL", "told_by = 'another'", "end_reason = 'x'"],
)
def test_a_loop_never_leaves_its_end(ended: Loop, change: str) -> None:
    with refused("law 4"):
        run(f"UPDATE referrals_loop SET {change} WHERE id = %s", ended.id)


def test_an_ended_loop_may_still_follow_a_merged_patient(ended: Loop) -> None:
    run("UPDATE referrals_loop SET patient_id = 'merged' WHERE id = %s", ended.id)
    assert Loop.objects.get(pk=ended.pk).patient_id == "merged"


def test_a_handoff_never_leaves_its_end(ended: Loop) -> None:
    with refused("law 4"):
        run("UPDATE referrals_handoff SET closed_at = NULL WHERE loop_id = %s", ended.id)


@pytest.mark.parametrize("column", ["list_id", "accountable_id"])
def test_a_handoff_stands_on_no_list_outside(ward: Ward, loop: Loop, column: str) -> None:
    with refused("law 1"):
        run(f"UPDATE referrals_handoff SET {column} = %s WHERE loop_id = %s", ward.outside.pk, loop.id)


CONTRADICTIONS = {
    "fulfil": [
        "stage = 'report-sent'",
        "closed_at = now()",
        "stage = 'nonsense'",
        "stage = 'to-review'",
        "task_status = 'nonsense'",
        "task_status = 'rejected'",
        "task_status = 'cancelled'",
        "task_status = 'draft'",
        "stage = 'authorisation-pending'",
        "kind = 'dispatch'",
    ],
    "review-report": ["task_status = 'completed'", "task_status = 'draft'", "stage = 'acknowledged'", "stage = 'sent'"],
}


@pytest.mark.parametrize(("kind", "change"), [(kind, one) for kind, known in CONTRADICTIONS.items() for one in known])
def test_the_stage_the_status_and_the_end_of_a_handoff_fit_together(ward: Ward, kind: str, change: str) -> None:
    loop, fulfil = ward.sent()
    if kind == "review-report":
        ward.report(fulfil)
    with refused("handoff_stage_fits"):
        run(f"UPDATE referrals_handoff SET {change} WHERE loop_id = %s AND kind = %s", loop.id, kind)


def test_the_end_of_a_handoff_fits_its_status(ward: Ward, loop: Loop) -> None:
    ward.report(ward.only(loop, "fulfil"))
    ended = "closed_at = now(), stage = 'acknowledged'"
    with refused("handoff_stage_fits"):
        run(f"UPDATE referrals_handoff SET {ended} WHERE loop_id = %s AND kind = 'review-report'", loop.id)


@pytest.mark.parametrize("stage", STAGES.values(), ids=["/".join(key) for key in STAGES])
def test_postgresql_knows_every_stage_of_the_tables(db: None, stage: Stage) -> None:
    status = stage.task_status or "in-progress"
    with connection.cursor() as cursor:
        for is_open in (True, False):
            cursor.execute(
                "SELECT referrals_handoff_fits(%s, %s, %s, %s)", [stage.handoff, stage.code, status, is_open]
            )
            assert cursor.fetchone() == (is_open is not stage.is_end,)


@pytest.mark.parametrize("taker", ["clinic_pool", "supervisor", "another"])
def test_who_has_a_list_here_has_their_work_on_that_list_and_no_other(ward: Ward, taker: str) -> None:
    loop = ward.order()
    another = people.create_pool("practice", "Another").owner
    to = another if taker == "another" else getattr(ward, taker)
    for column in ("owner_id", "list_id"):
        with refused("on a list that is not its owner's"):
            run(f"UPDATE referrals_handoff SET {column} = %s WHERE loop_id = %s", to.pk, loop.id)
    run("UPDATE referrals_handoff SET owner_id = %s, list_id = %s WHERE loop_id = %s", to.pk, to.pk, loop.id)


def test_what_somebody_elsewhere_has_stands_on_a_pools_list_behind_it(ward: Ward) -> None:
    loop, _fulfil = ward.sent(performer="elsewhere")
    for listed in (ward.clinic_pool, ward.supervisor):
        with refused("on a list that is not its owner's"):
            run(
                "UPDATE referrals_handoff SET list_id = %s WHERE loop_id = %s AND closed_at IS NULL", listed.pk, loop.id
            )


def test_nobody_outside_is_accountable_for_a_loop(ward: Ward, loop: Loop) -> None:
    with refused("law 1"):
        run("UPDATE referrals_loop SET accountable_id = %s WHERE id = %s", ward.outside.pk, loop.id)


def test_no_person_stands_in_for_the_accountable_pool(ward: Ward, loop: Loop) -> None:
    with refused("law 1"):
        run("UPDATE referrals_loop SET accountable_id = %s WHERE id = %s", ward.supervisor.pk, loop.id)


def test_nobody_stops_reading_a_list_with_work_on_it(ward: Ward, loop: Loop) -> None:
    for pool in (ward.clinic_pool, ward.practice_pool):
        with refused("law 1"):
            run("UPDATE referrals_owner SET internal = false WHERE id = %s", pool.pk)
    run("UPDATE referrals_owner SET internal = false WHERE id = %s", ward.supervisor.pk)


@pytest.mark.parametrize("table", ["referrals_handoff", "referrals_loop", "referrals_escalation"])
def test_what_is_to_be_done_ends_by_an_action_and_is_never_deleted(loop: Loop, table: str) -> None:
    escalation.sweep(MONDAY + timedelta(days=9))
    with refused("law 3"):
        run(f"DELETE FROM {table}")


def test_a_level_hears_once_of_a_due_time(loop: Loop) -> None:
    assert escalation.sweep(MONDAY + timedelta(days=2)) == 1
    with refused("escalation_once_per_level"):
        run(
            """INSERT INTO referrals_escalation (handoff_id, due_at, level, owner_id, recorded_at, channel)
            SELECT handoff_id, due_at, level, owner_id, now(), '' FROM referrals_escalation"""
        )


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("priority_rank = 4", "handoff_priority_in_order"),
        ("half_due_at = due_at + interval '1 second'", "handoff_clock_in_order"),
        ("priority_rank = -1", "priority_rank_check"),
    ],
)
def test_a_handoff_has_a_place_in_the_order_of_its_list(loop: Loop, change: str, law: str) -> None:
    with refused(law):
        run(f"UPDATE referrals_handoff SET {change} WHERE loop_id = %s", loop.id)


def test_a_request_has_one_loop(ward: Ward, loop: Loop) -> None:
    other = ward.order()
    with refused("request_id"):
        run("SET LOCAL session_replication_role = replica")  # but for indexes nobody looks
        run("UPDATE referrals_loop SET request_id = %s WHERE id = %s", loop.request_id or "", other.id)


@pytest.mark.parametrize("change", ["patient_id = ''", "request_id = 'another'", "based_on_id = id"])
def test_an_ended_loop_keeps_what_it_was_about(ended: Loop, change: str) -> None:
    with refused("law 4"):
        run(f"UPDATE referrals_loop SET {change} WHERE id = %s", ended.id)


def test_the_journal_is_never_emptied(loop: Loop) -> None:
    assert Event.objects.filter(loop=loop).exists()
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with refused("the journal only grows"):
        run("TRUNCATE referrals_event CASCADE")


@pytest.mark.parametrize("sql", ["UPDATE referrals_event SET actor_display = 'me'", "DELETE FROM referrals_event"])
def test_the_journal_only_grows(loop: Loop, sql: str) -> None:
    assert Event.objects.filter(loop=loop).exists()
    with refused("the journal only grows"):
        run(sql)


@pytest.mark.usefixtures("commits")
def test_of_a_handoff_opened_and_a_loop_closed_at_once_one_is_refused() -> None:
    """The other side of the race: whoever closes doesn't see what another transaction is about to open."""
    with clock.at(MONDAY):
        loop = found_ward().order("follow-up", performer="practice")
    one, two = Handoff.objects.filter(loop=loop).order_by("id")
    run(f"UPDATE referrals_handoff SET {ENDED} WHERE id = %s", two.id)
    with another_transaction() as first, another_transaction() as second:
        with second.cursor() as cursor:
            cursor.execute(_OPEN_ANOTHER, ["late", one.id])
        with first.cursor() as cursor:
            cursor.execute(_CLOSE, [loop.id])
            cursor.execute(
                f"UPDATE referrals_handoff SET {ENDED} WHERE id = %s; SET CONSTRAINTS ALL IMMEDIATE", [one.id]
            )
        first.commit()
        with pytest.raises(IntegrityError, match="law 1"):
            second.commit()


_OPEN_ANOTHER = """
INSERT INTO referrals_handoff SELECT (jsonb_populate_record(handoff, jsonb_build_object('id', %s::text))).*
FROM referrals_handoff AS handoff WHERE id = %s
"""
_CLOSE = """
UPDATE referrals_loop SET closed_at = now(), closed_by = 'x', stage = 'closed', acknowledged_at = now(),
acknowledged_by = 'x', told_at = now(), told_by = 'x' WHERE id = %s
"""


@pytest.mark.usefixtures("commits")
def test_two_transactions_can_not_close_the_last_two_handoffs_behind_each_others_back() -> None:
    with clock.at(MONDAY):
        loop = found_ward().order("follow-up", performer="practice")
    one, two = Handoff.objects.filter(loop=loop).values_list("id", flat=True)
    with another_transaction() as first, another_transaction() as second:
        close(first, one)
        with pytest.raises(OperationalError, match="lock timeout"):
            close(second, two)  # the other's end decides, so it has to wait for it
        second.rollback()
        first.commit()
        with pytest.raises(IntegrityError, match="law 1"):
            close(second, two)


def close(where: BaseDatabaseWrapper, handoff_id: str) -> None:
    with where.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '200ms'")
        cursor.execute(f"UPDATE referrals_handoff SET {ENDED} WHERE id = %s", [handoff_id])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def another_transaction() -> Iterator[BaseDatabaseWrapper]:
    other = connection.copy()
    try:
        other.set_autocommit(False)
        yield other
    finally:
        other.close()


@pytest.mark.parametrize(
    "change",
    [
        "ordered_at = ordered_at - interval '1 day'",
        "request_id = NULL",
        "request_id = 'another'",
        "placer = 'clinic'",
        "patient_id = ''",
        "kind = 'upkeep'",
        "answer_only = true",
    ],
)
def test_a_loop_keeps_what_was_ordered_when_by_whom_and_for_whom(loop: Loop, change: str) -> None:
    with refused("law 5"):
        run(f"UPDATE referrals_loop SET {change} WHERE id = %s", loop.id)


@pytest.mark.parametrize("change", ["kind = 'person'", "key = 'another'", "organization = 'nowhere'"])
def test_an_owner_stays_who_it_is(ward: Ward, loop: Loop, change: str) -> None:
    with refused("law 1"):
        run(f"UPDATE referrals_owner SET {change} WHERE id = %s", ward.practice_pool.pk)
