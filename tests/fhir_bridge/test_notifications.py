"""A word from the partner that something has changed: proved, never believed, and followed at once."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import status, tasks
from fhir_bridge.connecting import secrets
from fhir_bridge.inbound import applying
from fhir_bridge.models import Hint, Inbox, Link, Partner, Subscription, Watermark
from fhir_bridge.notifying import hints, subscribing
from fhir_bridge.pending import ageing
from records import clock
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import PRACTICE, REGISTER, Story, put_order

TOPIC = "https://hospital.example/topics/tasks"
Tell = Callable[..., Any]


@pytest.fixture
def asked(hospital: Partner) -> Subscription:
    """What we have asked the hospital to tell us of."""
    return Subscription.objects.create(
        partner=hospital,
        type="Task",
        key="k" * 32,
        secret=secrets.sealed("a secret that is long"),
        created_at=clock.now(),
    )


@pytest.fixture
def tell(asked: Subscription) -> Tell:
    """Send a notification; the right secret unless other headers are given."""

    def send(body: Any = None, path: str = "", verb: str = "POST", headers: dict[str, str] | None = None) -> int:
        proof = {hints.SECRET_HEADER: secrets.opened(asked.secret)} if headers is None else headers
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        address = f"/notify/{asked.key}{path}"
        return Client(headers=proof).generic(verb, address, raw, content_type="application/fhir+json").status_code

    return send


def left() -> set[tuple[str, str]]:
    """The hints that wait, which are then forgotten."""
    found = set(Hint.objects.values_list("type", "remote_id"))
    Hint.objects.all().delete()
    return found


def event(*numbers: int, kind: str = "event-notification", total: int = 0, focus: str = "Task/7") -> dict[str, Any]:
    """A notification of the R4 backport."""
    events = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "focus", "valueReference": {"reference": focus}},
            ],
        }
        for number in numbers
    ]
    status = [
        {"name": "subscription", "valueReference": {"reference": "Subscription/1"}},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(total or max(numbers, default=0))},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [*status, *events]}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": parameters}]}


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PATCH", "HEAD"])
def test_only_what_a_notification_needs_is_answered(verb: str, tell: Tell) -> None:
    assert tell(verb=verb) == 405


@pytest.mark.django_db
def test_an_address_that_nobody_was_given_is_like_no_address() -> None:
    assert Client().post("/notify/" + "x" * 32, b"{}", content_type="application/json").status_code == 404
    assert Client().post("/notify/short", b"{}", content_type="application/json").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {hints.SECRET_HEADER: ""},
        {hints.SECRET_HEADER: "another"},
        {hints.SECRET_HEADER: "é"},
        {hints.SIGNATURE_HEADER: "00"},
        {"Authorization": "Bearer a secret that is long"},
    ],
)
def test_who_does_not_know_the_secret_is_told_nothing_and_leaves_nothing(headers: dict[str, str], tell: Tell) -> None:
    assert tell({"resourceType": "Task", "id": "7"}, headers=headers) == 404
    assert left() == set()


def test_a_signature_over_the_body_is_a_proof_of_this_body_alone(tell: Tell) -> None:
    raw = b'{"resourceType":"Task","id":"7"}'
    signed = hmac.new(b"a secret that is long", raw, hashlib.sha256).hexdigest()
    assert tell(raw, headers={hints.SIGNATURE_HEADER: signed}) == 200
    assert left() == {("Task", "7")}
    assert tell(raw.replace(b"7", b"8"), headers={hints.SIGNATURE_HEADER: signed}) == 404


@pytest.mark.parametrize(
    ("body", "path", "verb", "expected"),
    [
        (None, "", "POST", {("Task", "")}),
        (b"{", "", "POST", {("Task", "")}),
        (b"[" * 5000, "", "POST", {("Task", "")}),
        ({"resourceType": "Task", "id": "9", "status": "accepted"}, "", "POST", {("Task", "9")}),
        ({"resourceType": "Task", "id": "9"}, "/Task/9", "PUT", {("Task", "9")}),
        ({"resourceType": "Task", "id": "other"}, "/Task/9", "PUT", {("Task", "9")}),
        ({"resourceType": "Claim", "id": "9"}, "", "POST", set()),
        ({"resourceType": "Task", "id": "../Patient/1"}, "", "POST", {("Task", "")}),
        ({"resourceType": "Bundle", "type": "history", "entry": [3, {}, {"resource": []}]}, "", "POST", {("Task", "")}),
        (event(1), "", "POST", {("Task", "7")}),
        (event(1, focus="https://elsewhere.example/fhir/Task/1"), "", "POST", {("Task", "")}),
    ],
)
def test_a_notification_leaves_a_hint_of_what_to_look_at(
    body: Any, path: str, verb: str, expected: set[tuple[str, str]], tell: Tell
) -> None:
    assert tell(body, path, verb) == 200
    assert left() == expected


def test_one_that_is_too_big_is_not_read(tell: Tell) -> None:
    assert tell(b" " * (hints.MAX_BYTES + 1)) == 413


def test_handshake_and_heartbeat_are_answered_and_a_missing_number_is_caught_up_with(
    asked: Subscription, tell: Tell
) -> None:
    tell(event(kind="handshake"))
    assert left() == set()
    tell(event(1))
    assert left() == {("Task", "7")}
    tell(event(kind="heartbeat", total=1))
    assert left() == set()
    tell(event(3, focus="Task/8"))
    assert left() == {("Task", "8"), ("", "")}
    tell(event(kind="heartbeat", total=5))
    assert left() == {("", "")}
    tell(event(4, total=5))
    assert left() == {("Task", "7")}, "late, and known to be missing since then"
    asked.refresh_from_db()
    assert (asked.last_event, asked.state) == (5, Subscription.State.ACTIVE)


@pytest.mark.parametrize("first", [event(kind="handshake"), event(1)], ids=["a handshake", "an event"])
def test_a_sender_that_counts_anew_is_followed(first: Any, tell: Tell) -> None:
    Subscription.objects.update(last_event=100)
    for each in (first, event(4, focus="Task/8")):
        left()
        tell(each)
    assert left() == {("Task", "8"), ("", "")}, "others are missing"


def test_the_same_in_the_form_of_r4b(tell: Tell) -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "event-notification",
        "eventsSinceSubscriptionStart": 2,
        "notificationEvent": [{"eventNumber": 2, "focus": {"reference": "Task/7"}}],
    }
    tell({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]})
    assert left() == {("Task", "7"), ("", "")}


def test_what_it_says_is_read_from_the_partner_and_not_believed(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    theirs = ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    tell(theirs | {"status": "completed"})
    assert hints.follow(hospital).stored == 1
    applying.apply_pending(hospital)
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert not Hint.objects.exists()


def test_what_does_not_concern_us_is_not_kept(handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell) -> None:
    other = ehr.put({"resourceType": "Task", "status": "draft", "intent": "plan"})
    tell({"resourceType": "Task", "id": other["id"]})
    tell({"resourceType": "Task", "id": "nowhere"})
    assert hints.follow(hospital).stored == 0
    assert not Inbox.objects.exists()
    assert handoff.is_open


def test_a_word_without_content_makes_the_type_due_at_once(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    tasks.pull(hospital.pk)
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    tasks.pull(hospital.pk)
    assert Handoff.objects.get(pk=handoff.pk).stage == "sent", "it was polled just now"

    tell()
    tasks.pull(hospital.pk)
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert Watermark.objects.get(type="Task").read_at is not None


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
POISON = {
    "an error": Answer(500),
    "a page of HTML": Answer(200, text="<html>", headers={"Content-Type": "text/html"}),
    "an outcome": Answer(200, OUTCOME),
    "a refusal": Answer(400),
    "another resource": Answer(200, {"resourceType": "Basic", "id": "poison"}),
}


@pytest.mark.parametrize("poison", POISON)
def test_what_is_named_and_can_not_be_read_holds_nothing_up_and_is_shown_by_its_age(
    poison: str, handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    tell({"resourceType": "Task", "id": "poison"})
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})

    with ehr.refusing(POISON[poison], "GET", "Task/poison"):
        tasks.pull(hospital.pk)
        assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
        assert not Hint.objects.exists()
        assert status.of(hospital).inbox == {"applied": 1, "waiting": 1}
        with clock.at(clock.now() + timedelta(hours=2)):
            tasks.pull(hospital.pk)
            assert ageing.sweep(clock.now()) == 1
            (trouble,) = status.troubles(hospital.pk)
            assert (trouble.type, trouble.remote_id, trouble.category) == ("Task", "poison", "Unreadable")

    with clock.at(clock.now() + timedelta(hours=3)):
        tasks.pull(hospital.pk)
        assert status.troubles(hospital.pk) == [], "it is not there"
    assert not Loop.objects.filter(kind="upkeep", closed_at=None).exists()


def test_what_was_named_is_read_as_soon_as_it_can_be(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    for status_, stage in (("accepted", "awaiting-booking"), ("in-progress", "in-progress")):
        tell(ehr.put(ehr.all("Task")[0] | {"status": status_}))
        with ehr.refusing(Answer(500), "GET", "Task"):
            hints.follow(hospital)
            applying.apply_pending(hospital)
        assert status.of(hospital).inbox["waiting"] == 1

        applying.apply_pending(hospital)

        assert Handoff.objects.get(pk=handoff.pk).stage == stage
    assert "waiting" not in status.of(hospital).inbox


def test_what_was_named_and_does_not_concern_us_is_not_kept_for_having_been_unreadable(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    other = ehr.put({"resourceType": "Task", "status": "draft", "intent": "plan"})
    tell({"resourceType": "Task", "id": other["id"]})
    with ehr.refusing(Answer(500), "GET", "Task"):
        hints.follow(hospital)
    assert applying.apply_pending(hospital) == {"discarded": 1}
    assert "draft" not in "".join(Inbox.objects.values_list("body", flat=True))
    assert handoff.is_open


def test_the_first_order_for_us_is_kept_also_if_it_could_not_be_read_at_first(
    story: Story, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    named = {"system": REGISTER, "value": f"{PRACTICE}-{story.run}"}
    ehr.put({"resourceType": "Organization", "id": "us", "identifier": [named]})
    order = put_order(ehr, story.run, performer=[{"reference": "Organization/us"}])
    tell({"resourceType": "ServiceRequest", "id": order["id"]})
    with ehr.refusing(Answer(500), "GET", "ServiceRequest"):
        hints.follow(hospital)
    applying.apply_pending(hospital)
    assert [row.version_id for row in Inbox.objects.filter(type="ServiceRequest").order_by("pk")] == ["", "1"]


def test_a_partner_that_asks_us_to_wait_is_not_asked_for_the_next_that_it_named(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, tell: Tell
) -> None:
    for number in range(3):
        tell({"resourceType": "Task", "id": str(number)})
    ehr.requests.clear()

    with ehr.refusing(Answer(429, headers={"Retry-After": "600"})):
        tasks.pull(hospital.pk)
        tasks.pull(hospital.pk)

    assert len(ehr.requests) == 1
    assert len(left()) == 3
    assert Partner.objects.get().not_before_at is not None


@pytest.fixture
def subscribable(hospital: Partner, settings: Settings) -> Partner:
    """The hospital, which takes Subscriptions."""
    settings.BATON_SERVED_URL = "https://baton.example"
    hospital.abilities = {**hospital.abilities, "subscriptions": "rest-hook"}
    hospital.save()
    return hospital


def test_subscriptions_are_asked_for_once_without_content_and_watched(subscribable: Partner, ehr: FakeEhr) -> None:
    subscribing.keep(subscribable)
    subscribing.keep(subscribable)

    rows = {row.type: row for row in Subscription.objects.all()}
    theirs = {each["criteria"]: each for each in ehr.all("Subscription")}
    assert set(rows) == set(subscribing.SUBSCRIBED)
    assert set(theirs) == {f"{type_}?" for type_ in rows}
    channel = theirs["Task?"]["channel"]
    assert channel["endpoint"] == f"https://baton.example/notify/{rows['Task'].key}"
    assert channel["header"] == [f"{hints.SECRET_HEADER}: {secrets.opened(rows['Task'].secret)}"]
    assert "payload" not in channel
    assert [each.state for each in status.subscriptions(subscribable.pk)] == ["requested"] * len(subscribing.SUBSCRIBED)
    assert (rows["Task"].state, rows["Task"].remote_id) == (Subscription.State.REQUESTED, theirs["Task?"]["id"])

    ehr.put(theirs["Task?"] | {"status": "error"})
    ehr.put(theirs["Appointment?"] | {"status": "active"})
    ehr.remove("Subscription", theirs["ServiceRequest?"]["id"])
    Subscription.objects.update(last_event=100)
    with clock.at(clock.now() + timedelta(hours=2)):
        subscribing.keep(subscribable)
    after = {row.type: row for row in Subscription.objects.all()}
    assert after["Task"].error_text == "It was switched off at the partner, and is asked for again."
    assert after["Appointment"].state == Subscription.State.ACTIVE
    assert after["ServiceRequest"].remote_id not in {None, rows["ServiceRequest"].remote_id}
    assert (after["Task"].last_event, after["ServiceRequest"].last_event) == (100, 0), "a new one counts anew"
    assert {each["status"] for each in ehr.all("Subscription") if each["criteria"] == "Task?"} == {"requested"}


def test_one_that_was_created_and_whose_answer_was_lost_is_found_again(subscribable: Partner, ehr: FakeEhr) -> None:
    subscribing.keep(subscribable)
    Subscription.objects.update(remote_id=None, checked_at=None)
    subscribing.keep(subscribable)
    assert len(ehr.all("Subscription")) == len(subscribing.SUBSCRIBED)


def test_a_partner_that_refuses_is_shown_and_asked_again_later(subscribable: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(Answer(403), "POST", "Subscription"):
        subscribing.keep(subscribable)
    assert set(Subscription.objects.values_list("state", flat=True)) == {Subscription.State.ERROR}
    with clock.at(clock.now() + timedelta(minutes=16)):
        subscribing.keep(subscribable)
    assert set(Subscription.objects.values_list("state", flat=True)) == {Subscription.State.REQUESTED}


def test_an_end_point_for_subscriptions_that_fails_is_shown_and_keeps_nothing_from_being_read_by_id(
    handoff: Handoff, subscribable: Partner, ehr: FakeEhr
) -> None:
    ehr.remove("Task", ehr.all("Task")[0]["id"])

    with ehr.refusing(Answer(500), kind="Subscription"):
        tasks.reconcile_due(clock.now())

    assert Link.objects.get(type="Task").state == Link.State.GONE
    told = [one.error for one in status.subscriptions(subscribable.pk) if one.state == "error"]
    assert told == ["The partner answered 500."]
    for _round in subscribing.SUBSCRIBED:
        tasks.reconcile_due(clock.now())
    assert Subscription.objects.filter(state=Subscription.State.ERROR).count() == 1, "it is left alone for a while"


def test_topics_are_asked_for_with_ids_alone(subscribable: Partner, ehr: FakeEhr) -> None:
    subscribable.abilities = {**subscribable.abilities, "subscriptions": "backport", "topics": [TOPIC]}
    subscribable.save()
    subscribing.keep(subscribable)
    (theirs,) = ehr.all("Subscription")
    assert theirs["criteria"] == TOPIC
    assert theirs["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"


def test_nobody_is_asked_to_send_secrets_over_a_plain_line(
    subscribable: Partner, ehr: FakeEhr, settings: Settings
) -> None:
    settings.BATON_SERVED_URL = "http://baton.example"
    subscribing.keep(subscribable)
    assert ehr.all("Subscription") == []


def test_an_end_switches_ours_off_there(subscribable: Partner, ehr: FakeEhr) -> None:
    subscribing.keep(subscribable)
    subscribing.end(subscribable)
    assert {each["status"] for each in ehr.all("Subscription")} == {"off"}
    assert not Subscription.objects.exists()
    assert not Link.objects.exists()
