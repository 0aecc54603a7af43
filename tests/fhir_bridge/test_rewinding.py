"""Reading by id: what was deleted or missed is found; a partner that was restored from a backup is noticed and mended."""

from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from bench.fake_ehr import Answer, FakeEhr, Request
from bench.fake_ehr.shelf import Shelf
from fhir_bridge import operations, status, tasks
from fhir_bridge.inbound import applying, polling, reconciling, rewinding
from fhir_bridge.models import Inbox, Link, Partner, Reconciliation
from fhir_bridge.outbound import pushing
from records import clock, store
from records.access import SYSTEM
from records.errors import Conflict
from referrals import workflow
from referrals.models import Handoff, Loop
from referrals.upheavals import silence
from referrals.worklists import loops
from tests.fhir_bridge.shelf import put_at
from tests.fhir_bridge.story import HOSPITAL, Story

Scope = Reconciliation.Scope
LATER = timedelta(minutes=10)


@pytest.fixture
def backup(handoff: Handoff, ehr: FakeEhr) -> Shelf:
    """What the hospital has on tape: the referral as it was sent."""
    assert handoff.is_open
    return ehr.shelf.snapshot()


def take(partner: Partner) -> dict[str, int]:
    polling.poll(partner)
    return applying.apply_pending(partner)


def reconcile(partner: Partner, scope: str = Scope.OPEN) -> Reconciliation:
    done = reconciling.run(partner, scope)
    assert done is not None
    return done


def test_what_was_deleted_there_is_gone_and_somebodys_work(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(Answer(410), "GET", "Task"):
        assert reconcile(hospital).missing == 1

    link = Link.objects.get(type="Task")
    assert (link.state, link.error_category) == (Link.State.GONE, "Gone")
    assert Loop.objects.get(kind="upkeep").about == f"Link/{link.pk}"
    assert handoff.is_open


def test_what_is_brought_back_there_gets_what_was_changed_here_meanwhile(
    handoff: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    task = ehr.all("Task")[0]
    ehr.remove("Task", task["id"])
    reconcile(hospital)
    workflow.perform(handoff.id, "cancel", story.gp, data={"reason": "no-longer-needed"})
    ehr.put(task)

    take(hospital)
    pushing.run_once(hospital)

    link = Link.objects.get(type="Task")
    assert (link.state, link.error_text, ehr.all("Task")[0]["status"]) == (Link.State.CLEAN, "", "cancelled")
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()


def test_what_is_brought_back_there_as_we_have_it_is_in_step_again(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    task = ehr.all("Task")[0]
    ehr.remove("Task", task["id"])
    reconcile(hospital)
    ehr.put(task)
    ehr.requests.clear()

    take(hospital)
    pushing.run_once(hospital)

    assert Link.objects.get(type="Task").state == Link.State.CLEAN
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()
    assert handoff.is_open
    assert {request.verb for request in ehr.requests} == {"GET"}


def test_what_a_server_without_410_has_deleted_is_no_sign_of_a_restore(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    practitioner = Link.objects.get(type="Practitioner")
    ehr.gone_status = 404
    ehr.remove("Practitioner", str(practitioner.remote_id))

    assert reconcile(hospital, Scope.ALL).missing == 1

    practitioner.refresh_from_db()
    hospital.refresh_from_db()
    assert (practitioner.state, hospital.state) == (Link.State.GONE, Partner.State.ACTIVE)
    assert handoff.is_open


POISON = {
    "an error": Answer(500),
    "a page of HTML": Answer(200, text="<html>", headers={"Content-Type": "text/html"}),
    "a refusal": Answer(400),
    "another resource": Answer(200, {"resourceType": "Basic", "id": "poison"}),
}


@pytest.mark.parametrize("poison", POISON)
def test_one_that_can_not_be_read_is_counted_and_keeps_no_other_from_being_read(
    poison: str, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    for _number in range(3):
        story.refer()
    pushing.run_once(hospital)
    first, *others = Link.objects.filter(type="Task").order_by("pk")
    for other in others:
        ehr.remove("Task", str(other.remote_id))

    def refusal(request: Request) -> Answer | None:
        is_it = request.path == f"Task/{first.remote_id}" or (request.path == "Task" and "_id" in dict(request.query))
        return POISON[poison] if is_it else None

    ehr.refusal = refusal
    tasks.reconcile_due(clock.now())

    assert set(Link.objects.filter(type="Task", state=Link.State.GONE)) == set(others)
    found = {one.scope: one for one in status.reconciled(hospital.pk)}
    assert (found["open"].read, found["open"].missing, found["open"].unreadable) == (5, 2, 1)
    assert found["open"].finished_at is not None
    said = StringIO()
    call_command("partner", "show", "Hospital", stdout=said)
    assert "unreadable 1" in said.getvalue()
    ehr.refusal = None
    assert reconcile(hospital).unreadable == 0


def test_where_one_after_the_other_can_not_be_read_the_round_ends_and_the_next_goes_on_behind(
    story: Story, hospital: Partner, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "MOST_IN_A_ROW", 2)
    for _number in range(3):
        story.refer()
    pushing.run_once(hospital)

    with ehr.refusing(Answer(500), "GET"):
        tasks.reconcile_due(clock.now())
    hospital.refresh_from_db()
    begun = Reconciliation.objects.get(scope=Scope.OPEN)
    assert (begun.read, begun.unreadable, begun.finished_at) == (0, 2, None)
    assert hospital.last_error == "The partner answered 500."

    done = reconcile(hospital)
    assert (done.pk, done.read, done.unreadable) == (begun.pk, 4, 2)
    assert reconcile(hospital).read == 6


def test_a_partner_that_asks_us_to_wait_is_read_by_id_no_further(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.requests.clear()
    with ehr.refusing(Answer(429, headers={"Retry-After": "60"})):
        tasks.reconcile_due(clock.now())
    (begun,) = Reconciliation.objects.all()
    assert (begun.reached, begun.unreadable, len(ehr.requests)) == (0, 0, 1)
    assert handoff.is_open


def test_a_sign_that_can_not_be_looked_at_again_is_counted_and_proves_nothing_yet(
    story: Story, handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    pushing.run_once(hospital)
    task = next(each for each in ehr.all("Task") if each["id"] == Link.objects.get(local_id=handoff.id).remote_id)
    backup = ehr.shelf.snapshot()
    ehr.put(task | {"status": "accepted"})
    take(hospital)
    ehr.shelf.rewind(backup)

    with clock.at(clock.now() + LATER):
        with ehr.refusing(Answer(500), "GET", "Task/"):
            done = reconcile(hospital)
        hospital.refresh_from_db()
        assert (done.unreadable, hospital.state) == (1, Partner.State.ACTIVE)
        assert Inbox.objects.filter(type="Task").count() == 1
        with pytest.raises(rewinding.Rewound):
            reconcile(hospital)


def test_what_can_not_be_read_after_a_restore_is_a_persons_work_and_the_exchange_goes_on(
    story: Story, handoff: Handoff, hospital: Partner, ehr: FakeEhr, backup: Shelf
) -> None:
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    take(hospital)
    ehr.shelf.rewind(backup)

    with clock.at(clock.now() + LATER):
        tasks.reconcile_due(clock.now())
        with ehr.refusing(Answer(500), "GET", "ServiceRequest"):
            tasks.reconcile_due(clock.now())
        (unread, other) = status.troubles(hospital.pk)
        assert {unread.type, other.type} == {"ServiceRequest", "Task"}
        assert {unread.category, other.category} == {"Rewound"}

        operations.resume(hospital, SYSTEM)
        operations.retry_all(status.Filter(partner=hospital.name), story.nina)
        tasks.push(hospital.pk)
        tasks.reconcile_due(clock.now() + timedelta(days=1))

    hospital.refresh_from_db()
    assert hospital.is_active
    assert status.troubles(hospital.pk) == []
    assert handoff.is_open


def test_a_change_that_no_poll_shows_is_found_and_counted(handoff: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    take(hospital)
    task = ehr.all("Task")[0]
    put_at(ehr, task | {"status": "accepted"}, datetime.fromisoformat(task["meta"]["lastUpdated"]))

    tasks.reconcile_due(clock.now())
    applying.apply_pending(hospital)

    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    found = {one.scope: one for one in status.reconciled(hospital.pk)}
    assert (found["open"].read, found["open"].changed) == (2, 1)
    assert (found["all"].read, found["all"].changed) == (6, 0)
    said = StringIO()
    call_command("partner", "show", "Hospital", stdout=said)
    assert "2, changed 1, missing 0" in said.getvalue()


def test_it_is_done_hourly_and_nightly_and_gone_on_with_after_a_death(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    assert reconciling.due(hospital, now) == [Scope.OPEN, Scope.ALL]
    monkeypatch.setattr(reconciling, "BATCH", 2)
    begun = reconciling.run(hospital, Scope.ALL, seconds=-1.0)
    assert begun is not None
    assert (begun.read, begun.finished_at) == (2, None)

    assert reconcile(hospital, Scope.ALL).read == 6
    reconcile(hospital)
    assert reconciling.due(hospital, now) == []
    assert reconciling.due(hospital, now + timedelta(hours=1, minutes=1))[0] == Scope.OPEN
    assert Scope.ALL in reconciling.due(hospital, now + timedelta(days=1))
    assert Reconciliation.objects.count() == 2
    assert handoff.is_open


def test_an_older_version_than_we_have_seen_stops_all_writing_and_is_shown(
    story: Story, handoff: Handoff, hospital: Partner, ehr: FakeEhr, backup: Shelf
) -> None:
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    take(hospital)
    ehr.shelf.rewind(backup)

    with clock.at(clock.now() + LATER):
        tasks.reconcile_due(clock.now())
        hospital.refresh_from_db()
        assert hospital.state == Partner.State.REWOUND
        assert loops.loop_view(story.nina, handoff.loop_id, clock.now()).handoffs[0].unknown_since is not None
        with pytest.raises(Conflict):
            operations.resume(hospital, SYSTEM)
        store.write(store.get("Task", handoff.id) | {"note": [{"text": "ours"}]}, actor=SYSTEM)
        before = len(ehr.requests)
        tasks.push(hospital.pk)
        tasks.pull(hospital.pk)
        assert len(ehr.requests) == before, "nothing is sent and nothing is read but what is linked"

        tasks.reconcile_due(clock.now())
        (trouble,) = status.troubles(hospital.pk)
        assert (trouble.type, trouble.state, trouble.category) == ("Task", "conflict", "Rewound")
        assert Handoff.objects.get(loop=trouble.loop_id).list.key == story.pool
        assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking", "what they said is not unsaid"

        operations.resume(hospital, SYSTEM)
        operations.retry(trouble.key, story.nina)
        tasks.push(hospital.pk)
        ehr.put(ehr.all("Task")[0] | {"status": "in-progress"})
        tasks.pull(hospital.pk)

    hospital.refresh_from_db()
    assert hospital.state == Partner.State.ACTIVE
    assert ehr.all("Task")[0]["note"] == [{"text": "ours"}]
    assert Handoff.objects.get(pk=handoff.pk).stage == "in-progress"
    assert status.troubles(hospital.pk) == []


def test_what_was_sent_after_the_backup_is_sent_anew(
    story: Story,
    hospital: Partner,
    ehr: FakeEhr,
    backup: Shelf,
) -> None:
    second = story.refer()
    pushing.run_once(hospital)
    ehr.shelf.rewind(backup)

    with clock.at(clock.now() + LATER):
        tasks.reconcile_due(clock.now())
        tasks.reconcile_due(clock.now())
        assert {(one.type, one.state) for one in status.troubles(hospital.pk)} == {
            ("ServiceRequest", "conflict"),
            ("Task", "conflict"),
        }
        operations.resume(hospital, SYSTEM)
        operations.retry_all(status.Filter(partner=hospital.name), story.nina)
        tasks.push(hospital.pk)

    assert len(ehr.all("Task")) == 2
    assert Link.objects.get(type="Task", local_id=second.id).state == Link.State.CLEAN
    assert status.troubles(hospital.pk) == []


def test_a_version_that_comes_back_with_other_content_is_a_sign_in_a_poll(
    handoff: Handoff,
    hospital: Partner,
    ehr: FakeEhr,
    backup: Shelf,
) -> None:
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    ehr.put(ehr.all("Task")[0] | {"status": "in-progress"})
    take(hospital)
    ehr.shelf.rewind(backup)
    ehr.put(ehr.all("Task")[0] | {"status": "received"})

    with pytest.raises(rewinding.Rewound):
        polling.poll(hospital)

    hospital.refresh_from_db()
    assert hospital.state == Partner.State.REWOUND
    assert Handoff.objects.get(pk=handoff.pk).stage == "in-progress"
    assert Inbox.objects.filter(type="Task").count() == 1


def test_a_copy_of_their_database_that_lags_behind_is_no_sign(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr, backup: Shelf
) -> None:
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    take(hospital)
    ehr.shelf.rewind(backup)

    reconcile(hospital)

    hospital.refresh_from_db()
    assert hospital.is_active
    assert handoff.is_open


def test_an_answer_that_tells_its_time_finer_than_it_is_kept_is_no_sign(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    def finer(request: Request, honest: Answer) -> Answer:
        meta = (honest.body or {}).get("meta", {})
        if request.verb != "POST" or not meta:
            return honest
        told = meta | {"lastUpdated": meta["lastUpdated"].replace("Z", "456Z")}
        return replace(honest, body={**(honest.body or {}), "meta": told})

    hospital.chosen = {"send": "single"}
    hospital.save()
    story.refer()
    with ehr.faulty(finer):
        pushing.run_once(hospital)
    ehr.skew = LATER / 2

    with clock.at(clock.now() + LATER / 2):
        take(hospital)
        assert reconcile(hospital, Scope.ALL).changed == 0

    hospital.refresh_from_db()
    assert hospital.state == Partner.State.ACTIVE


def test_the_command_looks_and_says_what_differs(hospital: Partner, ehr: FakeEhr, backup: Shelf) -> None:
    said = StringIO()
    call_command("partner", "rewound-check", "Hospital", stdout=said)
    assert "differing: 0" in said.getvalue()

    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    take(hospital)
    ehr.shelf.rewind(backup)
    with clock.at(clock.now() + LATER):
        call_command("partner", "rewound-check", "Hospital", stdout=said)
    assert "differing: 1" in said.getvalue()
    assert silence.silent_since(HOSPITAL, clock.now()) is not None
    call_command("partner", "resume", "Hospital")
    hospital.refresh_from_db()
    assert hospital.is_active
    with pytest.raises(CommandError):
        call_command("partner", "resume", "Nobody")
