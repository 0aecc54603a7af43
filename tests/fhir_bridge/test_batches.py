"""Several writes in one request: fewer requests, and still each exactly once, whatever becomes of the request."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import batching, pushing
from records import clock, store
from records.access import SYSTEM
from tests.fhir_bridge.story import Story

ORDERS = 4
pytestmark = pytest.mark.parametrize("kind", ["transaction", "batch"])


@pytest.fixture(autouse=True)
def now() -> Iterator[datetime]:
    at = datetime.now(UTC)
    with clock.at(at):
        yield at


@pytest.fixture
def bundled(kind: str, hospital: Partner) -> Partner:
    """The hospital, which takes Bundles of one kind."""
    hospital.chosen = {**hospital.chosen, "send": kind}
    hospital.save()
    return hospital


def push(partner: Partner, minutes: float = 0) -> None:
    partner.refresh_from_db()
    with clock.at(clock.now() + timedelta(minutes=minutes)):
        pushing.run_once(partner)


def order(story: Story) -> list[str]:
    """Several referrals; gives the ids of their Tasks."""
    return [story.refer().pk for _number in range(ORDERS)]


def counts(ehr: FakeEhr) -> tuple[int, int, int]:
    return len(ehr.all("Patient")), len(ehr.all("ServiceRequest")), len(ehr.all("Task"))


def bundles(ehr: FakeEhr) -> list[int]:
    return [len(each.body["entry"]) for each in ehr.requests if each.body and each.body["resourceType"] == "Bundle"]


def states() -> set[str]:
    return set(Link.objects.values_list("state", flat=True))


def test_what_is_of_one_rank_goes_together_and_each_once(story: Story, bundled: Partner, ehr: FakeEhr) -> None:
    tasks = order(story)

    push(bundled)

    assert bundles(ehr) == [ORDERS, ORDERS]
    assert counts(ehr) == (1, ORDERS, ORDERS)
    assert states() == {"clean"}
    for task in tasks:
        store.write(store.get("Task", task) | {"note": [{"text": "More"}]}, actor=SYSTEM)
    push(bundled)
    assert bundles(ehr) == [ORDERS, ORDERS, ORDERS]
    assert [(each["meta"]["versionId"], len(each["note"])) for each in ehr.all("Task")] == [("2", 1)] * ORDERS
    seen = len(ehr.requests)
    push(bundled)
    assert len(ehr.requests) == seen


@pytest.mark.parametrize("rolls_back", [True, False])
def test_one_that_is_refused_holds_up_none_of_the_others(
    rolls_back: bool, story: Story, bundled: Partner, ehr: FakeEhr
) -> None:
    ehr.rolls_back = rolls_back
    order(story)
    unwanted = Link.objects.filter(type="ServiceRequest").order_by("pk")[2].local_id

    def refuse(request: Request) -> Answer | None:
        named = (request.body or {}).get("identifier", [{}])
        return Answer(422) if request.verb == "POST" and named[-1].get("value") == unwanted else None

    ehr.refusal = refuse
    push(bundled)
    push(bundled, minutes=20)

    assert counts(ehr) == (1, ORDERS - 1, ORDERS - 1)
    assert Link.objects.get(local_id=unwanted).state == Link.State.STUCK
    assert Link.objects.filter(state=Link.State.CLEAN).count() == 4 + 2 * (ORDERS - 1)


@pytest.mark.parametrize("lost", ["dropped", "cut", "500"])
def test_an_answer_that_is_lost_is_looked_up_entry_by_entry(
    lost: str, story: Story, bundled: Partner, ehr: FakeEhr
) -> None:
    answers = {
        "dropped": Answer(is_dropped=True),
        "cut": Answer(200, text='{"resourceType": "Bund'),
        "500": Answer(500),
    }
    done: list[Request] = []

    def lose(request: Request, honest: Answer) -> Answer:
        if request.verb == "POST" and not request.path and not done:
            done.append(request)
            return answers[lost]
        return honest

    order(story)
    with ehr.faulty(lose):
        push(bundled)
    assert set(Link.objects.filter(type="ServiceRequest").values_list("state", flat=True)) == {"unknown"}
    bundled.refresh_from_db()
    assert bundled.failures <= 1

    for minutes in (20, 40, 60):
        push(bundled, minutes)

    assert counts(ehr) == (1, ORDERS, ORDERS)
    assert states() == {"clean"}


def test_answers_in_another_order_are_not_taken_for_each_others(story: Story, bundled: Partner, ehr: FakeEhr) -> None:
    def turned(request: Request, honest: Answer) -> Answer:
        if request.verb == "POST" and not request.path and honest.body:
            return replace(honest, body={**honest.body, "entry": honest.body["entry"][::-1]})
        return honest

    order(story)
    with ehr.faulty(turned):
        push(bundled)
    for minutes in (20, 40, 60):
        push(bundled, minutes)

    assert counts(ehr) == (1, ORDERS, ORDERS)
    assert states() == {"clean"}
    theirs = {each["id"]: each["identifier"][-1]["value"] for each in [*ehr.all("ServiceRequest"), *ehr.all("Task")]}
    links = Link.objects.filter(type__in=["ServiceRequest", "Task"])
    assert dict(links.values_list("remote_id", "local_id")) == theirs


def test_a_partner_that_takes_no_bundles_after_all_gets_one_by_one(
    story: Story, bundled: Partner, ehr: FakeEhr
) -> None:
    ehr.takes_bundles = False
    order(story)

    push(bundled)

    assert counts(ehr) == (1, ORDERS, ORDERS)
    assert states() == {"clean"}


def test_a_stale_entry_is_merged_and_the_others_stand(story: Story, bundled: Partner, ehr: FakeEhr) -> None:
    tasks = order(story)
    push(bundled)
    ehr.put(ehr.all("Task")[1] | {"status": "accepted", "note": [{"text": "theirs"}]})
    for task in tasks:
        store.write(store.get("Task", task) | {"note": [{"text": "ours"}]}, actor=SYSTEM)

    push(bundled)
    applying.apply_pending(bundled)
    push(bundled, minutes=1)

    assert sorted(len(each["note"]) for each in ehr.all("Task")) == [1, 1, 1, 2]
    assert [each["status"] for each in ehr.all("Task")].count("accepted") == 1
    assert states() == {"clean"}


def test_a_dead_workers_bundle_is_taken_over_entry_by_entry(story: Story, bundled: Partner, ehr: FakeEhr) -> None:
    order(story)
    Link.objects.exclude(type="ServiceRequest").update(due_at=clock.now() + timedelta(minutes=1))
    for link in Link.objects.exclude(type__in=("ServiceRequest", "Task")):
        Link.objects.filter(pk=link.pk).update(due_at=clock.now())
    while (claimed := pushing.claim_some(bundled, 1)) and claimed[0][0].type != "ServiceRequest":
        pushing._carry(partners.connect(bundled), claimed[0][0], is_doubtful=False)
    more = [*claimed, *pushing.claim_some(bundled, ORDERS)]
    sent = batching.send_together(partners.connect(bundled), [link for link, _doubt in more])
    assert len(sent) == ORDERS

    push(bundled, minutes=20)
    push(bundled, minutes=40)

    assert counts(ehr) == (1, ORDERS, ORDERS)
    assert states() == {"clean"}
