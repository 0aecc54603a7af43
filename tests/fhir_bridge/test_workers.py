"""Several workers, and workers that are killed: nothing is lost, and nothing is there twice."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as installed
from django.db import connection
from pytest_django import Settings

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import operations
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock
from records.errors import BatonError
from referrals import workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import HOSPITAL, Story, build, promise

ROOT = Path(__file__).resolve().parents[2]
SENT_ONCE = ["Organization", "Organization", "Patient", "Practitioner", "ServiceRequest", "Task"]
WORKERS = 4


@pytest.fixture
def committed(commits: None, settings: Settings, ehr: FakeEhr) -> Story:
    """The story as other processes see it: committed, and emptied afterwards."""
    settings.BATON_BASE_URL = "https://baton.example"
    story = build("workers")
    promise(partners.add("Hospital", ehr.base_url, organization=HOSPITAL, steward_pool=story.pool))
    Partner.objects.update(lag_seconds=-2.0)
    return story


def types(ehr: FakeEhr) -> list[str]:
    return sorted(type_ for type_, _id in ehr.store)


def hospital() -> Partner:
    return partners.by_name("Hospital")


def at_once(work: object) -> None:
    """Run it in several threads, each with a database connection of its own."""

    def one(_number: int) -> None:
        try:
            work()  # type: ignore[operator]
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, range(WORKERS)))


def worker() -> "subprocess.Popen[bytes]":
    """A process of its own that exchanges with the hospital once."""
    url = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}"))
    environment = {**os.environ, "DATABASE_URL": database, "BATON_BASE_URL": installed.BATON_BASE_URL}
    command = [sys.executable, "manage.py", "sync", "--partner", "Hospital", "--once"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["single", "batch"])
def test_workers_at_once_send_everything_once(kind: str, committed: Story, ehr: FakeEhr) -> None:
    Partner.objects.update(chosen={"create": "conditional", "update": "if-match", "send": kind})
    for _number in range(3):
        committed.refer()

    at_once(lambda: pushing.run_once(hospital()))
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        pushing.run_once(hospital())

    assert types(ehr) == sorted([*SENT_ONCE[:4], *["ServiceRequest", "Task"] * 3])
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}


def test_workers_at_once_apply_everything_once(committed: Story, ehr: FakeEhr) -> None:
    handoff = committed.refer()
    pushing.run_once(hospital())
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    polling.poll(hospital())

    at_once(lambda: applying.apply_pending(hospital()))

    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert handoff.loop.events.filter(action="accept").count() == 1
    assert list(Inbox.objects.values_list("state", flat=True)) == [Inbox.State.APPLIED]


@pytest.mark.parametrize("kind", ["Patient", "Task"])
def test_a_worker_killed_between_the_partners_write_and_its_own_note_loses_and_doubles_nothing(
    kind: str, committed: Story, ehr: FakeEhr
) -> None:
    committed.refer()
    written, released = threading.Event(), threading.Event()

    def hold(request: Request, honest: Answer) -> Answer:
        if request.verb != "POST" or request.path != kind or written.is_set():
            return honest
        written.set()
        return Answer(honest.status, honest.body, honest.headers, hold=released)

    with ehr.faulty(hold):
        process = worker()
        assert written.wait(60)
        process.kill()
        process.wait()
        released.set()
    assert Link.objects.get(type=kind).state == Link.State.INFLIGHT

    assert pushing.run_once(hospital())["unknown"] == 0
    assert Link.objects.get(type=kind).state == Link.State.INFLIGHT
    with clock.at(datetime.now(UTC) + timedelta(minutes=6)):
        pushing.run_once(hospital())
    assert types(ehr) == SENT_ONCE
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}


class Meeting:
    """Waits after the first lock on a table until the other one has its own, or for a second: then it can't have."""

    def __init__(self, table: str, both: threading.Barrier) -> None:
        self.table, self.both, self.is_over = table, both, False

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if not self.is_over and "FOR UPDATE" in sql and self.table in sql:
            self.is_over = True
            with suppress(threading.BrokenBarrierError):
                self.both.wait(timeout=1)
        return found


def test_who_gives_it_up_and_who_says_that_it_is_mended_do_not_wait_for_each_other_for_ever(
    committed: Story, ehr: FakeEhr
) -> None:
    with ehr.refusing(Answer(422), "POST", "Task"):
        committed.refer()
        pushing.run_once(hospital())
    link = Link.objects.get(type="Task")
    mend = Handoff.objects.get(loop=link.mend_loop)
    both = threading.Barrier(2)
    ways: dict[str, Callable[[], object]] = {
        "fhir_bridge_link": lambda: operations.discard(f"Link/{link.pk}", committed.nina, reason="not-worth-sending"),
        "referrals_loop": lambda: workflow.perform(mend.pk, "mend", committed.nina),
    }

    def one(table: str) -> str:
        try:
            with connection.execute_wrapper(Meeting(table, both)):
                ways[table]()
        except BatonError as error:
            return type(error).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(ways)) as pool:
        said = list(pool.map(one, ways))
    assert "done" in said
    assert not Handoff.objects.filter(pk=mend.pk, closed_at=None).exists()
    assert Link.objects.get(pk=link.pk).state in {Link.State.CLEAN, Link.State.WANTED}
