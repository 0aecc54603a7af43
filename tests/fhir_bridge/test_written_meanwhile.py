"""What somebody writes here while a partner's word about the same resource is being applied is kept beside that word."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from bench.fake_ehr import FakeEhr
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Partner
from fhir_bridge.outbound import pushing
from records import store
from records.access import SYSTEM
from referrals import intake
from tests.fhir_bridge.story import ANA, HOSPITAL, Story, build, promise

LOCK = "pg_advisory_xact_lock"


@pytest.fixture
def committed(commits: None, settings: Settings, ehr: FakeEhr) -> Story:
    """The story as other connections see it; Ana is referred to the hospital."""
    settings.BATON_BASE_URL = "https://baton.example"
    story = build("meanwhile")
    promise(partners.add("Hospital", ehr.base_url, organization=HOSPITAL, steward_pool=story.pool))
    Partner.objects.update(lag_seconds=-2.0)
    story.refer()
    exchange()
    return story


def exchange() -> None:
    hospital = partners.by_name("Hospital")
    pushing.run_once(hospital)
    polling.poll(hospital)
    applying.apply_pending(hospital)


class Meanwhile:
    """Right after the resource is first read to be joined, ``write`` is done and committed over another connection."""

    def __init__(self, table: str, write: Callable[[], object]) -> None:
        self.table, self.write = table, write
        self.is_locked = self.is_done = False

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        self.is_locked = self.is_locked or LOCK in sql
        if self.is_locked and not self.is_done and f'FROM "{self.table}"' in sql:
            self.is_done = True
            other = threading.Thread(target=self._elsewhere)
            other.start()
            other.join()
        return found

    def _elsewhere(self) -> None:
        try:
            self.write()
        finally:
            connection.close()


def applied_while(table: str, write: Callable[[], object]) -> None:
    """Apply what is pending, with that writing in its middle."""
    meanwhile = Meanwhile(table, write)
    polling.poll(partners.by_name("Hospital"))
    with connection.execute_wrapper(meanwhile):
        applying.apply_pending(partners.by_name("Hospital"))
    assert meanwhile.is_done
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}


def test_a_new_address_outlives_the_news_of_a_death(committed: Story, ehr: FakeEhr) -> None:
    def moves() -> None:
        store.write(store.get("Patient", ANA) | {"address": [{"city": "Nord"}]}, actor=SYSTEM)

    ehr.put(ehr.all("Patient")[0] | {"deceasedBoolean": True})
    applied_while("records_patient", moves)

    ana = store.get("Patient", ANA)
    assert (ana["address"], ana["deceasedBoolean"]) == ([{"city": "Nord"}], True)


def test_a_note_of_ours_outlives_theirs_on_a_task_that_is_only_kept(committed: Story, ehr: FakeEhr) -> None:
    task = ehr.put(
        {
            "resourceType": "Task",
            "id": "prepare",
            "status": "requested",
            "intent": "order",
            "code": {"text": "Prepare the room"},
            "focus": {"reference": f"ServiceRequest/{ehr.all('ServiceRequest')[0]['id']}"},
        }
    )
    exchange()
    [ours] = [one for one in all_tasks() if one["code"].get("text") == "Prepare the room"]

    def notes() -> None:
        said = store.get("Task", ours["id"]) | {"note": [{"text": "ours"}]}
        intake.receive(said, committed.nina)

    ehr.put(task | {"note": [{"text": "theirs"}]})
    applied_while("records_task", notes)

    kept = store.get("Task", ours["id"])["note"]
    assert sorted(one["text"] for one in kept) == ["ours", "theirs"]


def test_what_is_said_of_a_shared_task_outlives_the_performers_word(committed: Story, ehr: FakeEhr) -> None:
    [ours] = [one for one in all_tasks() if one["code"]["coding"][0]["code"] == "fulfill"]

    def describe(way: str) -> None:
        intake.receive(store.get("Task", ours["id"]) | {"description": way}, committed.nina)

    describe("By the front door")
    exchange()
    ehr.put(ehr.all("Task")[0] | {"status": "accepted", "note": [{"text": "theirs"}]})
    applied_while("records_task", lambda: describe("By the side door"))

    kept = store.get("Task", ours["id"])
    assert (kept["description"], kept["status"]) == ("By the side door", "accepted")
    assert kept["note"] == [{"text": "theirs"}]


def all_tasks() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM records_task")
        return [store.get("Task", row[0]) for row in cursor.fetchall()]
