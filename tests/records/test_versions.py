"""Versions are append-only, and of two writers at once one is told."""

import threading
from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction

from records import clock, reactions, store
from records.access import SYSTEM
from records.errors import BatonError, Conflict, Gone, NotFound, Stale
from records.models import Version
from records.reactions import Change

TASK = {"resourceType": "Task", "id": "t", "status": "draft", "intent": "order"}


def with_status(status: str) -> dict[str, str]:
    return {**TASK, "status": status}


@pytest.mark.django_db
def test_every_version_can_be_read_as_it_was() -> None:
    store.write(TASK, actor=SYSTEM)
    store.write(with_status("requested"), actor=SYSTEM, if_match=1)

    assert '"status":"draft"' in store.version("Task", "t", 1).body
    assert '"versionId":"2"' in store.read("Task", "t").body
    with pytest.raises(NotFound):
        store.version("Task", "t", 3)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "command", ["UPDATE records_version SET body = ''", "DELETE FROM records_version", "TRUNCATE records_version"]
)
def test_the_database_refuses_to_change_a_version(command: str) -> None:
    store.write(TASK, actor=SYSTEM)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(command)

    assert Version.objects.get(resource_id="t").body


@pytest.mark.django_db
def test_a_deleted_resource_is_gone_but_its_history_stays_and_it_can_come_back() -> None:
    store.write(TASK, actor=SYSTEM)
    assert store.delete("Task", "t", actor=SYSTEM).version == 2
    assert not store.delete("Task", "t", actor=SYSTEM).changed

    with pytest.raises(Gone):
        store.read("Task", "t")
    with pytest.raises(Gone):
        store.version("Task", "t", 2)
    assert store.version("Task", "t", 1).body

    back = store.write(TASK, actor=SYSTEM)
    assert (back.version, back.created) == (3, True)


@pytest.mark.django_db
def test_a_taken_id_is_refused_where_a_creation_was_meant_and_nothing_is_lost() -> None:
    store.write(TASK, actor=SYSTEM)

    with pytest.raises(Conflict):
        store.write(with_status("requested"), actor=SYSTEM, create=True)
    with pytest.raises(Stale):
        store.write(with_status("requested"), actor=SYSTEM, if_match=7)

    assert store.read("Task", "t").version == 1


@pytest.mark.django_db
def test_whoever_listens_hears_of_each_change_once_with_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Change] = []
    monkeypatch.setattr(reactions, "_registered", [heard.extend])

    store.write(TASK, actor=SYSTEM)
    store.write(TASK, actor=SYSTEM)
    store.write(with_status("requested"), actor=SYSTEM)
    store.delete("Task", "t", actor=SYSTEM)

    assert [(change.version, change.body is None, (change.previous or {}).get("status")) for change in heard] == [
        (1, False, None),
        (2, False, "draft"),
        (3, True, "requested"),
    ]


@pytest.mark.django_db
def test_time_comes_from_the_clock_and_has_milliseconds() -> None:
    moment = clock.now().replace(microsecond=123_456)
    with clock.at(moment):
        written = store.write(TASK, actor=SYSTEM)

    assert written.last_updated == moment.replace(microsecond=123_000)
    assert f"{moment:%Y-%m-%dT%H:%M:%S}.123Z" in written.body


def race(*writers: Callable[[], object]) -> list[str]:
    """Run the writers at once, each on its own connection; give what each came to, in the order of the alphabet."""
    results: list[str] = []
    start = threading.Barrier(len(writers))

    def run(writer: Callable[[], object]) -> None:
        start.wait()
        try:
            writer()
            results.append("written")
        except BatonError as error:
            results.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[writer]) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


@pytest.mark.usefixtures("commits")
def test_of_two_writers_with_the_same_version_one_is_stale() -> None:
    store.write(TASK, actor=SYSTEM)

    results = race(
        lambda: store.write(with_status("accepted"), actor=SYSTEM, if_match=1),
        lambda: store.write(with_status("rejected"), actor=SYSTEM, if_match=1),
    )

    assert results == ["Stale", "written"]
    assert store.read("Task", "t").version == 2


@pytest.mark.usefixtures("commits")
def test_of_many_creations_of_one_id_one_wins_and_the_others_are_told() -> None:
    results = race(*(lambda: store.write(TASK, actor=SYSTEM, create=True) for _ in range(5)))

    assert results == ["Conflict"] * 4 + ["written"]
    assert store.read("Task", "t").version == 1
