"""What a creation is answered with is believed only if it is what was to be created."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import recovery, status
from fhir_bridge.inbound import applying
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from records.access import SYSTEM
from records.json import Resource
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

ABOUT: dict[str, Resource] = {
    "Patient": {"name": [{"family": "Stranger"}], "birthDate": "1901-01-01"},
    "ServiceRequest": {"status": "active", "intent": "order", "subject": {"reference": "Patient/x"}},
    "Task": {"status": "requested", "intent": "order", "for": {"reference": "Patient/x"}},
}


def push(partner: Partner) -> None:
    """Now, and once each pause is over."""
    for minutes in (0, 20, 60, 120):
        partner.refresh_from_db()
        with clock.at(datetime.now(UTC) + timedelta(minutes=minutes)):
            pushing.run_once(partner)
            applying.apply_pending(partner)


def put_stranger(ehr: FakeEhr, kind: str) -> Resource:
    named = [{"system": "urn:x", "value": "stranger"}]
    return ehr.put({"resourceType": kind, "id": "stranger", "identifier": named, **ABOUT[kind]})


def named(ehr: FakeEhr) -> set[str]:
    """What the order that the hospital has is about."""
    [task], [request] = (
        [each for each in ehr.all(kind) if each["id"] != "stranger"] for kind in ("Task", "ServiceRequest")
    )
    return {task["for"]["reference"], task["focus"]["reference"], request["subject"]["reference"]}


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("kind", ABOUT)
def test_a_stranger_is_not_taken_for_what_was_created(
    kind: str, status: int, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    stranger, done = put_stranger(ehr, kind), list[Request]()

    def once(asked: Request, honest: Answer) -> Answer:
        if (asked.verb, asked.path) != ("POST", kind) or done:
            return honest
        done.append(asked)
        return Answer(status, stranger, {"ETag": 'W/"1"'})

    ehr.fault = once
    story.refer()
    push(hospital)

    link = Link.objects.get(type=kind)
    assert (link.state, link.origin) == (Link.State.CLEAN, Link.Origin.OURS)
    assert len(ehr.all(kind)) == 2
    assert f"{kind}/stranger" not in named(ehr) | {f"{kind}/{link.remote_id}"}


def test_a_server_that_always_answers_with_a_stranger_is_somebodys_work(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    stranger = put_stranger(ehr, "Patient")
    story.refer()
    with ehr.refusing(Answer(200, stranger), "POST", "Patient"):
        push(hospital)

    link = Link.objects.get(type="Patient")
    assert (link.state, link.remote_id) == (Link.State.STUCK, None)
    assert Handoff.objects.filter(kind="mend-exchange", loop=link.mend_loop, closed_at=None).exists()
    assert ehr.all("ServiceRequest") == ehr.all("Task") == []


@pytest.mark.parametrize("kind", ["Patient", "ServiceRequest", "Task"])
def test_what_a_server_keeps_without_identifiers_is_made_once_and_goes_on(
    kind: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    keep = ehr.shelf.put

    def forgets(body: Resource, late: timedelta = timedelta()) -> Resource:
        kept = {name: value for name, value in body.items() if name != "identifier" or body["resourceType"] != kind}
        return keep(kept, late)

    ehr.shelf.put = forgets  # type: ignore[method-assign]
    handoff = story.refer()
    push(hospital)
    store.write(store.get("Task", handoff.pk) | {"note": [{"text": "More"}]}, actor=SYSTEM)
    push(hospital)

    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}
    assert len(ehr.all(kind)) == 1
    assert ehr.all("Task")[0]["note"] == [{"text": "More"}]


def test_a_server_that_keeps_something_else_than_it_was_sent_does_not_get_one_after_another(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    keep = ehr.shelf.put

    def distorts(body: Resource, late: timedelta = timedelta()) -> Resource:
        is_task = body["resourceType"] == "Task"
        rest = {name: value for name, value in body.items() if name not in ("identifier", "for")}
        return keep(rest if is_task else body, late)

    ehr.shelf.put = distorts  # type: ignore[method-assign]
    story.refer()
    push(hospital)
    [trouble] = status.troubles(hospital.pk)
    assert trouble.text == "The partner keeps something else than was sent: for, identifier."
    shown = recovery.show(trouble.key, story.nina).comparison
    assert shown is not None
    assert {row.element for row in shown.rows} == {"for", "identifier"}

    for _try in range(3):
        recovery.retry(trouble.key, story.nina)
        push(hospital)
        assert [one.text for one in status.troubles(hospital.pk)] == [trouble.text]
    assert len(ehr.all("Task")) == 1

    ehr.shelf.put = keep  # type: ignore[method-assign]
    link = Link.objects.get(type="Task")
    patient = {"reference": f"Patient/{ehr.all('Patient')[0]['id']}"}
    named = {"system": f"{settings.BATON_BASE_URL}/id/task", "value": link.local_id}
    ehr.put(ehr.all("Task")[0] | {"for": patient, "identifier": [named]})
    recovery.retry(trouble.key, story.nina)
    push(hospital)
    assert (len(ehr.all("Task")), status.troubles(hospital.pk)) == (1, [])


def test_what_was_kept_otherwise_and_is_gone_is_made_once_more(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    keep = ehr.shelf.put

    def distorts(body: Resource, late: timedelta = timedelta()) -> Resource:
        return keep({name: body[name] for name in body if name not in ("identifier", "for")}, late)

    ehr.shelf.put = distorts  # type: ignore[method-assign]
    story.refer()
    push(hospital)
    ehr.shelf.put = keep  # type: ignore[method-assign]
    [trouble] = status.troubles(hospital.pk)
    ehr.remove("Task", ehr.all("Task")[0]["id"])
    recovery.retry(trouble.key, story.nina)
    push(hospital)

    assert (len(ehr.all("Task")), status.troubles(hospital.pk)) == (1, [])


def test_an_answer_that_says_little_is_read(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    def minimal(asked: Request, honest: Answer) -> Answer:
        if asked.verb != "POST" or not honest.body:
            return honest
        return replace(honest, body={name: honest.body[name] for name in ("resourceType", "id", "meta")})

    ehr.fault = minimal
    story.refer()
    pushing.run_once(hospital)

    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}
    assert (len(ehr.all("Patient")), len(ehr.all("Task"))) == (1, 1)


@pytest.mark.parametrize("id_", ["../../admin", "..", "x?y=1", "a/b", "", 7, None, "x" * 65])
def test_an_id_that_fhir_does_not_know_is_never_a_part_of_an_address(
    id_: Any, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    def odd(asked: Request, honest: Answer) -> Answer:
        if (asked.verb, asked.path) != ("POST", "Task") or not honest.body:
            return honest
        return Answer(201, {**honest.body, "id": id_})

    handoff = story.refer()
    with ehr.faulty(odd):
        pushing.run_once(hospital)
    store.write(store.get("Task", handoff.pk) | {"note": [{"text": "More"}]}, actor=SYSTEM)
    push(hospital)

    [theirs] = ehr.all("Task")
    assert theirs["note"] == [{"text": "More"}]
    assert Link.objects.get(type="Task").remote_id == theirs["id"]
    assert {each.path for each in ehr.requests if each.verb == "PUT"} <= {f"Task/{theirs['id']}"}
