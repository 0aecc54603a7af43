"""What only has to be kept is applied together: in few statements, and with the same end as one by one."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.fake_ehr import FakeEhr
from fhir_bridge.inbound import applying, polling, together
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from records import access, store
from records.access import Actor
from referrals.models import Handoff
from tests.fhir_bridge.story import PRACTICE

ENOUGH = 45
"""Statements of one transaction, savepoints included, and of what comes before it, whatever the number of its items."""


def remote(type_: str) -> str:
    return f"{type_}/{Link.objects.get(type=type_).remote_id}"


def observation(name: str, **more: Any) -> dict[str, Any]:
    """A value of the hospital's for Ana's request."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": name},
        "subject": {"reference": remote("Patient")},
        "basedOn": [{"reference": remote("ServiceRequest")}],
    } | more


def take(hospital: Partner, ehr: FakeEhr, *bodies: dict[str, Any]) -> int:
    """Let them come in; gives how many statements it took to apply them."""
    inbox.put(hospital, [ehr.put(body) for body in bodies])
    with CaptureQueriesContext(connection) as captured:
        applying.apply_pending(hospital)
    return len(captured)


def test_a_hundred_values_take_no_more_statements_than_one(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    alone = take(hospital, ehr, observation("first"))
    many = take(hospital, ehr, *(observation(f"o{number}") for number in range(together.MOST)))

    assert many <= alone <= ENOUGH
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}
    assert Link.objects.filter(type="Observation").count() == together.MOST + 1


def test_what_is_read_again_unchanged_is_looked_up_once_for_the_whole_page(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    def read_again() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert polling.poll(hospital, up_to_now=True) == 0
        return [query["sql"] for query in captured]

    ehr.put(observation("first"))
    polling.poll(hospital, up_to_now=True)
    applying.apply_pending(hospital)
    alone = read_again()
    for number in range(20):
        ehr.put(observation(f"o{number}"))
    assert polling.poll(hospital, up_to_now=True) == 20
    applying.apply_pending(hospital)

    many = read_again()
    assert sum(request.path == "Observation" for request in ehr.requests) >= 4
    assert len(many) <= len(alone)
    assert not [sql for sql in many if Inbox._meta.db_table in sql]


def test_who_sees_the_loop_sees_them(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    take(hospital, ehr, observation("a"), observation("b"))

    nurse = Actor("nurse", "person", "Nurse", organization=PRACTICE, roles=frozenset({"coordinator"}))
    seen = access.visible(nurse, "Observation").values_list("body", flat=True)
    assert sorted(store.parse(body.encode())["code"]["text"] for body in seen) == ["a", "b"]


def test_the_next_version_of_one_follows(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    take(hospital, ehr, observation("a"), observation("b"))
    take(hospital, ehr, observation("a", status="amended"), observation("b", status="amended"))

    for link in Link.objects.filter(type="Observation"):
        held = store.get("Observation", link.local_id)
        assert (held["status"], held["meta"]["versionId"]) == ("amended", "2")
        assert (link.state, link.wanted_version, link.sent_version) == (Link.State.CLEAN, 2, 2)


def test_of_one_resource_every_version_is_kept_in_order(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    take(hospital, ehr, *(observation("a", code={"text": f"v{number}"}) for number in range(3)))

    link = Link.objects.get(type="Observation")
    texts = [
        store.parse(store.version("Observation", link.local_id, n).body.encode())["code"]["text"] for n in (1, 2, 3)
    ]
    assert texts == ["v0", "v1", "v2"]


@pytest.mark.parametrize(
    "more",
    [
        {"status": "no such status"},
        {"subject": {"reference": "Patient/somebody-else"}},
        {"code": "not an object"},
        {"basedOn": "not a list"},
        {"subject": ["a list"]},
        {"hasMember": [{"reference": "Observation/not-there"}]},
    ],
)
def test_what_is_wrong_with_one_touches_no_other(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, more: dict[str, Any]
) -> None:
    take(hospital, ehr, observation("a"), observation("odd", **more), observation("b"))

    states = dict(Inbox.objects.values_list("remote_id", "state"))
    assert (states["a"], states["b"]) == (Inbox.State.APPLIED, Inbox.State.APPLIED)
    assert states["odd"] in {Inbox.State.APPLIED, Inbox.State.QUARANTINED}
    assert Link.objects.filter(remote_id="odd").exists() == (states["odd"] == Inbox.State.APPLIED)


def test_an_outcome_that_a_task_names_is_read_as_one(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    task = ehr.all("Task")[0]
    take(hospital, ehr, observation("a"))
    take(hospital, ehr, task | {"status": "in-progress"})
    output = {"type": {"text": "result"}, "valueReference": {"reference": "Observation/a"}}
    take(hospital, ehr, task | {"status": "completed", "output": [output]})
    before = handoff.loop.events.count()

    take(hospital, ehr, observation("a", status="amended"), observation("b"))

    assert handoff.loop.events.count() > before
