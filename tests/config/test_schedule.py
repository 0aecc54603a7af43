import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.module_loading import import_string

from config import schedule
from config.celery import app
from config.schedule import SCHEDULE, Job
from records import clock
from tests.config import probe

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    second = timedelta(seconds=1)
    rows = (
        Job("note", second, "tests.config.probe.note"),
        Job("fail", second, "tests.config.probe.fail"),
    )
    for row in rows:
        monkeypatch.setitem(schedule.JOBS, row.name, row)
    yield
    probe.seen.clear()


@pytest.mark.parametrize("job", SCHEDULE, ids=lambda job: job.name)
def test_every_row_names_something_that_can_be_called(job: Job) -> None:
    assert callable(import_string(job.call))


def test_the_clock_of_the_worker_has_every_row_and_nothing_else() -> None:
    beat = app.conf.beat_schedule
    assert {(name, row["schedule"]) for name, row in beat.items()} == {(job.name, job.every) for job in SCHEDULE}
    app.loader.import_default_modules()
    assert all(row["task"] in app.tasks and row["args"] == [name] for name, row in beat.items())


@pytest.mark.django_db
def test_a_job_gets_the_present_instant() -> None:
    with clock.at(NOON):
        assert schedule.run("note")
    assert probe.seen == [NOON]


@pytest.mark.django_db
def test_a_job_that_runs_elsewhere_is_left_alone() -> None:
    other = connection.copy()
    try:
        with connection.cursor() as cursor, other.cursor() as elsewhere, schedule._alone("note"):
            cursor.execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            ((half, key),) = cursor.fetchall()
            elsewhere.execute("SELECT pg_try_advisory_lock(%s, (%s::bigint)::bit(32)::int)", [half, key])
            assert elsewhere.fetchone() == (False,)
        with other.cursor() as elsewhere:
            elsewhere.execute("SELECT pg_advisory_lock(%s, (%s::bigint)::bit(32)::int)", [half, key])
            assert not schedule.run("note")
            elsewhere.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()
    assert probe.seen == []
    assert schedule.run("note")


@pytest.mark.django_db
def test_a_failing_job_gives_its_lock_back() -> None:
    with pytest.raises(LookupError):
        schedule.run("fail")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_run_due_goes_on_after_a_failure_and_tells_it() -> None:
    said, complained = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="fail"):
        call_command("run_due", "fail", "note", stdout=said, stderr=complained)
    assert said.getvalue() == "note: done\n"
    assert complained.getvalue() == "fail: LookupError\n"


@pytest.mark.django_db
def test_run_due_does_all_that_the_worker_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(schedule.JOBS, "fail")
    said = io.StringIO()
    call_command("run_due", stdout=said)
    assert said.getvalue().splitlines() == [f"{name}: done" for name in schedule.JOBS]


def test_run_due_knows_no_other_names() -> None:
    with pytest.raises(CommandError, match="escalation"):
        call_command("run_due", "nonsense")
