"""What a partner asks us for by a Task alone, or before anything here stands for it: it comes before a person, and is answered."""

from typing import Any

import pytest

from bench.fake_ehr import Answer, Body, FakeEhr
from fhir_bridge import status, tasks
from fhir_bridge.models import Inbox, Link, Partner
from records import clock, store
from referrals import adoption, workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story
from tests.fhir_bridge.test_addressed import ask, later, opened, take

US = {"reference": "Organization/us"}
HERE = {"reference": "ServiceRequest/sr1"}


def task(ehr: FakeEhr, id_: str = "t1") -> Body:
    return next(each for each in ehr.all("Task") if each["id"] == id_)


def say(ehr: FakeEhr, type_: str = "Task", *, without: str = "", **more: Any) -> None:
    """The hospital writes its Task, or its request, anew."""
    body = {name: value for name, value in ehr.all(type_)[0].items() if name != without}
    ehr.put(body | more)


@pytest.mark.parametrize(
    "about",
    [{}, {"focus": {"display": "Home visit"}}, {"basedOn": [{"reference": "ServiceRequest/secret"}]}],
    ids=["nothing", "words", "a request that we may not read"],
)
def test_what_a_task_without_a_request_asks_of_us_comes_before_a_person(
    about: Body, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, US)
    say(ehr, without="focus", **about)
    ehr.remove("ServiceRequest", "sr1")

    with ehr.refusing(Answer(403), "GET", "ServiceRequest/secret"):
        take(hospital)

    [trouble] = status.troubles(hospital.pk)
    assert (trouble.type, trouble.state, trouble.category) == ("Task", "quarantined", "Unrequested")
    assert Handoff.objects.get(kind="mend-exchange", closed_at=None).list.organization == PRACTICE


def test_of_its_versions_only_the_newest_is_work_and_none_once_it_names_its_request(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, US)
    say(ehr, without="focus")
    take(hospital)
    say(ehr, note=[{"text": "Please call"}])
    take(hospital)
    [trouble] = status.troubles(hospital.pk)
    assert Inbox.objects.get(pk=trouble.key.partition("/")[2]).body.count("Please call") == 1

    say(ehr, focus=HERE)
    take(hospital)

    assert status.troubles(hospital.pk) == []
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()
    assert len(opened()) == 1


@pytest.mark.parametrize(
    "more", [{"status": "cancelled"}, {"intent": "proposal"}, {"owner": {"reference": "Organization/others"}}]
)
def test_what_asks_nothing_of_us_any_more_is_a_record(
    more: Body, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, US)
    say(ehr, without="focus", **more)

    take(hospital)

    assert status.troubles(hospital.pk) == []


@pytest.mark.parametrize("element", ["focus", "basedOn"])
def test_a_task_says_who_is_asked_where_its_request_names_nobody(
    element: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, US)
    say(ehr, "ServiceRequest", without="performer")
    named: dict[str, Any] = {"focus": HERE, "basedOn": [HERE]}
    say(ehr, without="focus", **{element: named[element]})

    take(hospital)

    [handoff] = Handoff.objects.filter(kind="fulfil", closed_at=None)
    assert (handoff.loop.placer, handoff.owner.organization) == (HOSPITAL, PRACTICE)
    assert Link.objects.get(type="Task", remote_id="t1").local_id == handoff.id
    workflow.perform(handoff.id, "accept", story.nina)
    tasks.push(hospital.pk)
    assert task(ehr)["status"] == "accepted"


def test_a_task_that_asks_us_for_what_its_request_asks_of_others_is_listed_to_adopt(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, US)
    say(ehr, "ServiceRequest", performer=[{"reference": "Organization/others"}])
    take(hospital)

    assert opened() == []
    [listed] = adoption.listed(story.nina, clock.now()).rows
    [done] = adoption.adopt(story.nina, [listed.request])
    assert (done.refused, opened()[0][:2]) == ("", (HOSPITAL, PRACTICE))


@pytest.fixture
def adopted(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """An order of no kind that we know, and its Task, of which a coordinator has made a referral."""
    ask(ehr, story, US, what={"text": "Meals at home"})
    say(ehr, input=[{"type": {"text": "diet"}, "valueString": "no salt"}])
    take(hospital)
    [listed] = adoption.listed(story.nina, clock.now()).rows
    adoption.adopt(story.nina, [listed.request])
    return Handoff.objects.get(kind="fulfil", closed_at=None)


@pytest.mark.parametrize("is_heard_first", [True, False], ids=["it is heard first", "it is sent first"])
def test_what_becomes_of_an_adopted_order_goes_back_to_the_task_that_had_asked_for_it(
    is_heard_first: bool, story: Story, hospital: Partner, ehr: FakeEhr, adopted: Handoff
) -> None:
    if is_heard_first:
        tasks.pull(hospital.pk)
    workflow.perform(adopted.id, "accept", story.nina)
    for _round in range(2):
        tasks.push(hospital.pk)
        tasks.pull(hospital.pk)

    assert task(ehr)["status"] == "accepted"
    assert len(ehr.all("Task")) == 1
    assert store.get("Task", adopted.id)["input"][0]["valueString"] == "no salt"
    assert Link.objects.get(type="Task").local_id == adopted.id


def test_what_is_said_in_the_task_of_an_adopted_order_is_heard(
    story: Story, hospital: Partner, ehr: FakeEhr, adopted: Handoff
) -> None:
    later(hospital, ehr, minutes=1)
    ehr.put(task(ehr) | {"status": "cancelled"})

    later(hospital, ehr, minutes=2)

    adopted.refresh_from_db()
    assert adopted.closed_at is not None
