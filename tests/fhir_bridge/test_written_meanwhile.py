"""What somebody writes here while a partner's word about the same resource is being applied is kept beside that word."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from bench.fake_ehr import Answer, FakeEhr, Request, script
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
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
    exchange()
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}


def test_a_new_address_outlives_the_news_of_a_death(committed: Story, ehr: FakeEhr) -> None:
    def moves() -> None:
        store.write(store.get("Patient", ANA) | {"address": [{"city": "Nord"}]}, actor=SYSTEM)

    ehr.put(ehr.all("Patient")[0] | {"deceasedBoolean": True})
    applied_while("records_patient", moves)

    ana = store.get("Patient", ANA)
    assert (ana["address"], ana["deceasedBoolean"]) == ([{"city": "Nord"}], True)


def test_a_note_of_ours_outlives_theirs_on_a_task_that_is_only_kept(committed: Story, ehr: FakeEhr) -> None:
    key = prepared(ehr)

    def notes() -> None:
        intake.receive(store.get("Task", key) | {"note": [{"text": "ours"}]}, committed.nina)

    [task] = [one for one in ehr.all("Task") if one["id"] == "prepare"]
    ehr.put(task | {"note": [{"text": "theirs"}]})
    applied_while("records_task", notes)

    kept = store.get("Task", key)["note"]
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


def test_a_page_that_was_read_before_our_own_write_takes_nothing_of_it_back(committed: Story, ehr: FakeEhr) -> None:
    ours = prepared(ehr)
    both = [{"text": "first"}, {"text": "second"}]

    def note(*texts: dict[str, str]) -> None:
        intake.receive(store.get("Task", ours) | {"note": list(texts)}, committed.nina)
        pushing.run_once(partners.by_name("Hospital"))

    def meanwhile(request: Request, honest: Answer) -> Answer:
        """While the hospital's page is on its way to us, one more note is written here and sent."""
        if (request.verb, request.path) == ("GET", "Task") and "_sort" in dict(request.query):
            ehr.fault = None
            note(*both)
            connection.close()
        return honest

    note(both[0])
    with ehr.faulty(meanwhile):
        exchange()
        assert ehr.fault is None
    exchange()

    assert store.get("Task", ours)["note"] == both
    assert [one["note"] for one in ehr.all("Task") if one["id"] == "prepare"] == [both]


def test_what_is_found_to_be_ours_in_the_middle_of_its_reading_waits_for_nobody(committed: Story, ehr: FakeEhr) -> None:
    committed.refer()
    with ehr.moody(script("dropped", verb="POST", kind="Task")):
        pushing.run_once(partners.by_name("Hospital"))
    assert Link.objects.filter(type="Task", remote_id=None).exists()
    Link.objects.update(due_at=clock.now())

    applied_while("fhir_bridge_link", lambda: pushing.run_once(partners.by_name("Hospital")))

    assert not Link.objects.exclude(state=Link.State.CLEAN).exists()


def prepared(ehr: FakeEhr) -> str:
    """The id here of a Task of the hospital's that is no handoff of ours; both sides have it."""
    ehr.put(
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
    [ours] = [one["id"] for one in all_tasks() if one["code"].get("text") == "Prepare the room"]
    return str(ours)


def all_tasks() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM records_task")
        return [store.get("Task", row[0]) for row in cursor.fetchall()]
