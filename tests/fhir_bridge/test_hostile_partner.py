"""A partner whose server lies, in every place that we read: nothing falls over, nothing of the others is lost."""

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations, tasks
from fhir_bridge.connecting import partners
from fhir_bridge.models import Inbox, Link, Partner, Subscription
from fhir_bridge.notifying import subscribing
from records import clock
from records.errors import BatonError
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

LONG = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60_000))
DEEP = '{"resourceType":"Task","id":"bad","extension":' + "[" * 5_000 + "]" * 5_000 + "}"


def task(**more: Any) -> str:
    return json.dumps({"resourceType": "Task", "id": "bad", "status": "requested", "intent": "order", **more})


RESOURCES = {
    "deep": DEEP,
    "an absurd number": task(x=1).replace('"x": 1', '"x": 1e999999'),
    "5,000 digits": task(x=1).replace('"x": 1', '"x": ' + "9" * 5_000),
    "a NUL": task(description="a\0b"),
    "a lone surrogate": task(description="X").replace("X", "\\ud800"),
    "the end of time": task(meta={"lastUpdated": "9999-12-31T23:59:59-14:00"}),
    "the beginning of time": task(meta={"lastUpdated": "0001-01-01T00:00:00+14:00"}),
    "no time": task(meta={"lastUpdated": 5, "versionId": {"a": 1}}),
    "a version of many letters": task(meta={"versionId": LONG, "lastUpdated": "2027-01-01T00:00:00Z"}),
    "a version of two lines": task(meta={"versionId": "1\r\nX-Evil: 1"}),
    "an id of many letters": task(id=LONG),
    "an id that climbs": task(id="../../admin"),
    "an id with a question": task(id="x?_format=xml"),
    "no id": json.dumps({"resourceType": "Task", "status": "requested"}),
    "a number as id": task(id=7),
    "a list as meta": task(meta=[1]),
    "a word as extension": task(extension="x", identifier={"system": 1}, owner="me", focus=[1], businessStatus=3),
    "identifiers of odd shapes": task(identifier=["x", None, {"system": ["a"], "value": {}}], statusReason="x"),
}


def page(*entries: str) -> str:
    listed = ",".join('{"search":{"mode":"match"},"resource":' + each + "}" for each in entries)
    return '{"resourceType":"Bundle","type":"searchset","entry":[' + listed + "]}"


@pytest.mark.parametrize("which", RESOURCES)
def test_what_is_wrong_with_one_resource_keeps_no_other_from_coming(
    which: str, handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    honest = json.dumps(ehr.put(ehr.all("Task")[0] | {"status": "accepted"}))
    about = {name: each for name, each in json.loads(honest).items() if name in {"for", "focus", "owner"}}
    concerning_us = f'"status": "requested", {json.dumps(about)[1:-1]}'
    linked = RESOURCES[which].replace('"status": "requested"', concerning_us)
    ehr.refusal = lambda asked: (
        Answer(text=page(linked, honest)) if asked.verb == "GET" and asked.path == "Task" else None
    )

    tasks.pull(hospital.pk)
    tasks.push(hospital.pk)
    tasks.pull(hospital.pk)

    ehr.refusal = None
    tasks.pull(hospital.pk)
    handoff.refresh_from_db()
    assert handoff.stage == "awaiting-booking"
    assert not Inbox.objects.filter(state="pending").exists()


@pytest.mark.parametrize("which", RESOURCES)
def test_a_write_that_is_answered_with_nonsense_is_looked_into_and_never_repeated_blindly(
    which: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    def answered(asked: Any) -> Answer | None:
        if asked.verb not in {"POST", "PUT"} or not asked.path.startswith("Task"):
            return None
        ehr.answer(asked)
        return Answer(201 if asked.verb == "POST" else 200, text=RESOURCES[which], headers={"Location": "Task/../x"})

    story.refer()
    ehr.refusal = answered
    tasks.push(hospital.pk)
    tasks.push(hospital.pk)

    ehr.refusal = None
    with clock.at(clock.now().replace(year=clock.now().year + 1)):
        tasks.push(hospital.pk)
    assert len(ehr.all("Task")) == 1
    assert Link.objects.get(type="Task").state == Link.State.CLEAN


DOCUMENTS = {
    **RESOURCES,
    "a statement of odd shapes": json.dumps(
        {
            "resourceType": "CapabilityStatement",
            "rest": [{"resource": [{"type": "Task", "interaction": 3}]}, "x"],
            "software": [1],
        }
    ),
    "a statement with a NUL": json.dumps(
        {"resourceType": "CapabilityStatement", "software": {"name": "\0"}, "rest": [{"resource": [{"type": "Task"}]}]}
    ),
    "a configuration with a NUL": json.dumps({"token_endpoint": "https://x.example/\0", "scopes_supported": ["\0"]}),
    "a configuration with half a letter": '{"token_endpoint": "https://x.example/t", "scopes_supported": ["\\ud800"]}',
    "a configuration of odd shapes": json.dumps({"token_endpoint": ["x"], "grant_types_supported": {"a": 1}}),
    "a page": "<html><body>Sign in</body></html>",
    "a number": "1e999999",
    "brackets": "[" * 60_000,
}


@pytest.mark.parametrize("which", DOCUMENTS)
def test_whatever_it_says_of_itself_a_partner_can_be_tested_and_shown(
    which: str, hospital: Partner, ehr: FakeEhr
) -> None:
    with ehr.refusing(Answer(text=DOCUMENTS[which]), "GET"):
        operations.test(hospital)
        tasks.discover_due(clock.now())
    operations.describe(partners.by_name("Hospital"))


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 -2359", "Sat, 01 Jan 0001 00:00:00 +2359", "x" * 60_000, "1"]
)
@pytest.mark.parametrize("name", ["Date", "Retry-After", "Location", "ETag", "Last-Modified"])
def test_an_absurd_header_is_no_header(name: str, date: str, handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    for status in (200, 503):
        body = ehr.all("Task")[0]
        with ehr.refusing(Answer(status, {"resourceType": "Bundle", "type": "searchset"}, {name: date}), "GET"):
            tasks.pull(hospital.pk)
        with ehr.refusing(Answer(status, body, {name: date}), "P"):
            tasks.push(hospital.pk)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"id": None},
        {"id": ["x"], "channel": []},
        {"id": "x", "status": ["off"], "channel": "x"},
        {"id": "../x", "status": "off", "channel": {"endpoint": "ours"}},
    ],
)
def test_a_subscription_of_odd_shape_keeps_nobody_from_working(
    said: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    row = Subscription.objects.create(partner=hospital, type="Task", key="k", remote_id="x", created_at=clock.now())
    endpoint = subscribing._endpoint(row)
    if isinstance(said.get("channel"), dict):
        said = said | {"channel": {"endpoint": endpoint}}
    body = {"resourceType": "Subscription", **said}
    for known in ("x", None):
        Subscription.objects.update(remote_id=known, checked_at=None)
        answer = Answer(text=page(json.dumps(body)))
        ehr.refusal = lambda asked, answer=answer: (
            answer if asked.verb == "GET" and asked.path == "Subscription" else Answer(200, body)
        )
        with suppress(BatonError):
            subscribing._keep(partners.connect(hospital), Subscription.objects.get())
    Subscription.objects.get()


def test_one_partners_nonsense_keeps_no_other_from_being_asked(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    with FakeEhr() as other:
        partners.add("Aaa", other.base_url, organization="practice", steward_pool=story.pool)
        Partner.objects.update(abilities_seen_at=None)
        with other.refusing(Answer(text=DOCUMENTS["a configuration with a NUL"]), "GET"):
            tasks.discover_due(clock.now())
            tasks.pull_due(clock.now())
            tasks.reconcile_due(clock.now())
    assert {each.path for each in ehr.requests} >= {"metadata", "Task"}


@pytest.mark.parametrize(
    "path", ["/notify/%00", "/notify/a%00b/Task/x", "/notify/" + "x" * 5_000, "/notify/%ff%fe/Task/1"]
)
def test_an_address_that_can_not_be_is_like_no_address(path: str, db: None) -> None:
    assert Client().post(path, data=b"{}", content_type="application/json").status_code == 404
