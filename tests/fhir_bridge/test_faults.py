"""Every way in which a partner's answer can be wrong, once each, at every kind of exchange: then all is as it should be."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.fake_ehr import MISBEHAVIOURS, FakeEhr, script
from bench.fake_ehr.moods import AFTERWARDS, HUGE
from fhir_bridge.connecting import client
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from records.access import SYSTEM
from records.errors import BatonError
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

SENT_ONCE = Counter(Organization=2, Patient=1, Practitioner=1, ServiceRequest=1, Task=1)
DAYS = (0.0, 0.1, 1.2, 2.3, 2.4)  # an absurd Retry-After is honoured for a day


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow drip is given up after half a second, and a huge body is one of a megabyte."""
    monkeypatch.setattr(client.Server.__init__, "__kwdefaults__", {"total_seconds": 0.5})
    monkeypatch.setattr(client, "MAX_BYTES", HUGE // 20)


def days_pass(partner: Partner, *works: Callable[[Partner], object]) -> None:
    """The rounds of a worker over three days; what the partner's answers break is met again in the next one."""
    start = datetime.now(UTC)
    for days in DAYS:
        with clock.at(start + timedelta(days=days)):
            for work in works:
                partner.refresh_from_db()
                try:
                    work(partner)
                except BatonError as error:
                    polling.note_failure(partner, error)


def everything(partner: Partner) -> None:
    """All that a worker does."""
    days_pass(partner, pushing.run_once, polling.poll, applying.apply_pending)


def states() -> set[str]:
    return set(Link.objects.values_list("state", flat=True))


def held(ehr: FakeEhr) -> Counter[str]:
    return Counter(type_ for type_, _id in ehr.store)


@pytest.mark.parametrize(
    ("kind", "name"), [*(("Task", name) for name in MISBEHAVIOURS), *(("Patient", name) for name in AFTERWARDS)]
)
def test_a_creation_that_is_answered_wrongly_happens_once(
    kind: str, name: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()

    with ehr.moody(script(name, name, verb="POST", kind=kind)):
        days_pass(hospital, pushing.run_once)

    assert held(ehr) == SENT_ONCE
    assert states() == {Link.State.CLEAN}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_change_that_is_answered_wrongly_arrives_and_takes_nothing_of_theirs_away(
    name: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    task = ehr.all("Task")[0]
    ehr.put(task | {"note": [{"text": "theirs"}]})
    note(handoff, "ours")

    with ehr.moody(script(name, name, verb="PUT", kind="Task")):
        everything(hospital)

    assert texts(ehr.all("Task")[0]) == texts(store.get("Task", handoff.pk)) == ["ours", "theirs"]
    assert states() == {Link.State.CLEAN}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_change_of_theirs_that_is_read_wrongly_is_applied_once(
    name: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    ehr.page = 1

    with ehr.moody(script(name, "", name, verb="GET", kind="Task")):
        everything(hospital)

    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert handoff.loop.events.filter(action="accept").count() == 1
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}


def note(handoff: Handoff, text: str) -> None:
    """Somebody here says something about the Task."""
    held = store.get("Task", handoff.pk)
    store.write(held | {"note": [*held.get("note", []), {"text": text}]}, actor=SYSTEM)


def texts(task: dict[str, Any]) -> list[str]:
    return sorted(each["text"] for each in task.get("note", []))
