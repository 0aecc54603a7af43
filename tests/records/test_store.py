"""What goes in comes out, once, with its versions."""

import pytest

from records import access, store
from records.access import SYSTEM, Actor
from records.errors import Stale

pytestmark = pytest.mark.django_db

TASK = b"""{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/p1"},
"code":{"coding":[{"system":"s","code":"fulfill"}]},"owner":{"reference":"Organization/o1"},
"input":[{"type":{"text":"x"},"valueDecimal":1.50}],"authoredOn":"2024-02-03"}"""


def test_a_resource_comes_back_with_its_numbers_as_they_were_sent() -> None:
    written = store.write(store.parse(TASK), actor=SYSTEM, audience=["o1"])

    assert '"valueDecimal":1.50' in store.read("Task", written.id).body


def test_a_write_that_changes_nothing_writes_nothing() -> None:
    first = store.write(store.parse(TASK), actor=SYSTEM)

    again = store.write(store.get("Task", first.id), actor=SYSTEM)

    assert (again.version, again.changed) == (1, False)


def test_a_stale_version_is_refused() -> None:
    first = store.write(store.parse(TASK), actor=SYSTEM)

    with pytest.raises(Stale):
        store.write({**store.get("Task", first.id), "status": "accepted"}, actor=SYSTEM, if_match=2)


def test_an_organisation_sees_what_was_shared_with_it_and_no_more() -> None:
    store.write(store.parse(TASK), actor=SYSTEM, audience=["o1"])
    ours, theirs = (
        Actor(id=o, kind="person", display="", organization=o, roles=frozenset({"x"})) for o in ("o1", "o2")
    )

    assert [access.visible(actor, "Task").count() for actor in (ours, theirs)] == [1, 0]


def test_a_write_of_a_task_takes_four_statements(django_assert_num_queries: object) -> None:
    body = store.parse(TASK)

    with django_assert_num_queries(4):  # type: ignore[operator]
        store.write(body, actor=SYSTEM, audience=["o1"])
