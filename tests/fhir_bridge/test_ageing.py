"""What is only tried again and again becomes a person's work by its age, and is still tried (PATHWAYS §8.12)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, Body, FakeEhr
from fhir_bridge import operations, status, tasks
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import ageing
from records import clock
from referrals import workflow, worklists
from referrals.models import Handoff, Loop
from referrals.worklists import Filters
from tests.fhir_bridge.story import Story

FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
REFERRAL = {"category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}]}
AWAY = Answer(503)


@pytest.fixture(autouse=True)
def now() -> Iterator[datetime]:
    at = datetime.now(UTC)
    with clock.at(at):
        yield at


def to_mend(story: Story, minutes: float = 0) -> list[str]:
    """What Nina, who coordinates, finds on the lists of her house as exchanges to mend, by title."""
    with clock.at(clock.now() + timedelta(minutes=minutes)):
        found = worklists.rows(story.nina, Filters(scope="organisation", handoff="mend-exchange"), now=clock.now())
    return [row.title for row in found.rows]


def after(minutes: float, ehr: FakeEhr, partner: Partner, *, what: Callable[[int], None] = tasks.push) -> None:
    """One round of a worker, that much later on both sides."""
    ehr.skew = timedelta(minutes=minutes)
    with clock.at(clock.now() + timedelta(minutes=minutes)):
        Partner.objects.filter(pk=partner.pk).update(not_before_at=None, probe_until=None)
        what(partner.pk)
        ageing.sweep(clock.now())
        assert ageing.sweep(clock.now()) == 0, "once"


def test_a_write_that_does_not_arrive_within_an_hour_is_somebodys_work_until_it_has(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    with ehr.refusing(AWAY, "POST", "Task"):
        after(0, ehr, hospital)
        after(59, ehr, hospital)
        assert Link.objects.get(type="Task").state == Link.State.UNKNOWN
        assert (to_mend(story), status.troubles(hospital.pk)) == ([], []), "a hiccup is nobody's work"
        for minutes in (61, 90):
            after(minutes, ehr, hospital)
            assert to_mend(story, minutes) == ["Hospital · Task"], "once"
        with clock.at(clock.now() + timedelta(minutes=90)):
            assert [one.type for one in status.troubles(hospital.pk)] == ["Task"]
    handoff.loop.refresh_from_db()
    assert handoff.loop.closed_at is None
    after(120, ehr, hospital)
    assert len(ehr.all("Task")) == 1
    assert to_mend(story, 120) == [], "it has arrived by itself"
    assert Handoff.objects.get(kind="mend-exchange").stage == "mended"


def test_an_old_write_that_a_person_gives_up_is_asked_about_no_more(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    with ehr.refusing(AWAY, "POST", "Task"):
        after(0, ehr, hospital)
        after(61, ehr, hospital)
        mend = Handoff.objects.get(kind="mend-exchange", closed_at=None)
        workflow.perform(mend.id, "discard", story.nina, data={"reason": "not-worth-sending"})
        after(122, ehr, hospital)
    assert to_mend(story, 122) == []
    assert Link.objects.get(type="Task").first_failed_at is None
    assert ehr.all("Task") == []


def test_what_a_paused_partner_does_not_get_is_nobodys_work(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    story.refer()
    with ehr.refusing(AWAY, "POST", "Task"):
        after(0, ehr, hospital)
    operations.pause(hospital, story.nina, "moving")
    assert ageing.sweep(clock.now() + timedelta(days=2)) == 0


def asked(story: Story, hospital: Partner, ehr: FakeEhr, *, has_request: bool = True) -> Body:
    """The hospital asks the practice for a home visit: its request, and the Task about it."""
    story.refer()
    tasks.push(hospital.pk)
    us, them = (named(ehr, name) for name in ("Practice", "Hospital Nord"))
    about = {"subject": {"reference": f"Patient/{ehr.all('Patient')[0]['id']}"}, "code": {"text": "Home visit"}}
    request = {"resourceType": "ServiceRequest", "id": "visit", "status": "active", "intent": "order"}
    if has_request:
        ehr.put(request | about | REFERRAL | {"requester": them, "performer": [us]})
    task = {"resourceType": "Task", "id": "theirs", "status": "requested", "intent": "order", "code": FULFILL}
    focus = {"reference": "ServiceRequest/visit"}
    ehr.put(task | {"focus": focus, "for": about["subject"], "requester": them, "owner": us})
    return request | about | REFERRAL | {"requester": them, "performer": [us]}


def named(ehr: FakeEhr, name: str) -> Body:
    return next({"reference": f"Organization/{one['id']}"} for one in ehr.all("Organization") if one["name"] == name)


@pytest.fixture
def declined(story: Story, hospital: Partner, ehr: FakeEhr) -> Loop:
    """What the hospital has asked us for was declined here: our loop has its end, the hospital hasn't heard yet."""
    asked(story, hospital, ehr)
    tasks.pull(hospital.pk)
    handoff = Handoff.objects.get(loop__answer_only=True)
    workflow.perform(handoff.id, "decline", story.nina, data={"reason": "no-capacity", "reason_text": "Full"})
    handoff.loop.refresh_from_db()
    assert (handoff.loop.stage, handoff.loop.closed_at is None) == ("answered", False)
    return handoff.loop


def theirs(ehr: FakeEhr) -> str:
    return str(next(one["status"] for one in ehr.all("Task") if one["id"] == "theirs"))


@pytest.mark.parametrize(("answer", "minutes"), [(Answer(422), 0), (AWAY, 61)], ids=["refused", "away"])
def test_our_answer_that_does_not_reach_who_has_asked_is_somebodys_work(
    story: Story, hospital: Partner, ehr: FakeEhr, declined: Loop, answer: Answer, minutes: float
) -> None:
    with ehr.refusing(answer, "PUT", "Task"):
        after(1, ehr, hospital)
        after(1 + minutes, ehr, hospital)
    assert theirs(ehr) == "requested"
    assert to_mend(story, 1 + minutes) == ["Hospital · Task"]
    mend = Handoff.objects.get(kind="mend-exchange", closed_at=None)
    assert (mend.list.name, mend.due_at > clock.now()) == ("Practice – coordination", True)
    with clock.at(clock.now() + timedelta(minutes=1 + minutes)):
        workflow.perform(mend.id, "mend", story.nina)
    after(2 + minutes, ehr, hospital)
    assert theirs(ehr) == "rejected"
    assert to_mend(story, 2 + minutes) == []
    declined.refresh_from_db()
    assert declined.stage == "answered", "its end was none of the exchange's business"


def test_a_message_that_waits_for_another_for_an_hour_is_somebodys_work_until_that_comes(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    request = asked(story, hospital, ehr, has_request=False)
    after(0, ehr, hospital, what=tasks.pull)
    after(30, ehr, hospital, what=tasks.pull)
    assert Inbox.objects.get(remote_id="theirs").state == Inbox.State.WAITING
    assert to_mend(story, 30) == []
    after(61, ehr, hospital, what=tasks.pull)
    assert to_mend(story, 61) == ["Hospital · Task"]
    with clock.at(clock.now() + timedelta(minutes=61)):
        assert [(one.type, one.state) for one in status.troubles(hospital.pk)] == [("Task", "waiting")]
    ehr.put(request)
    after(62, ehr, hospital, what=tasks.pull)
    assert Inbox.objects.get(remote_id="theirs").state == Inbox.State.APPLIED
    assert to_mend(story, 62) == []


def test_what_was_quarantined_and_is_older_than_what_was_heard_since_leaves_nothing_to_mend(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    tasks.push(hospital.pk)
    task = ehr.all("Task")[0]
    ehr.put(task | {"status": "nonsense"})
    after(1, ehr, hospital, what=tasks.pull)
    odd = Inbox.objects.get(state=Inbox.State.QUARANTINED)
    ehr.put(task | {"status": "accepted"})
    after(2, ehr, hospital, what=tasks.pull)
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    operations.retry(f"Inbox/{odd.pk}", story.nina)
    after(3, ehr, hospital, what=tasks.pull)
    odd.refresh_from_db()
    assert (odd.state, odd.mend_loop) == (Inbox.State.DISCARDED, "")
    assert to_mend(story, 3) == []
