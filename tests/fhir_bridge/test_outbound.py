"""What a partner gets: the least it needs, in an order that resolves, exactly once, through every fault."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge import operations
from fhir_bridge.connecting import partners
from fhir_bridge.inbound import applying
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing, sending
from records import clock, store
from records.access import SYSTEM
from referrals import workflow
from referrals.models import Handoff, Loop
from referrals.placing import REQUEST_IDENTIFIER
from tests.fhir_bridge.story import ANA, HOSPITAL, MRN, REGISTER, Story, promise

SENT_ONCE = ["Organization", "Organization", "Patient", "Practitioner", "ServiceRequest", "Task"]


@pytest.fixture
def later() -> Iterator[Any]:
    """Let time pass without waiting for it."""
    with clock.at(datetime.now(UTC)):

        def run(partner: Partner, minutes: float = 20.0, limit: int = 1000) -> dict[str, int]:
            partner.refresh_from_db()
            with clock.at(clock.now() + timedelta(minutes=minutes)):
                return pushing.run_once(partner, limit=limit)

        yield run


def types(ehr: FakeEhr) -> list[str]:
    return sorted(type_ for type_, _id in ehr.store)


def states(partner: Partner) -> set[str]:
    return set(Link.objects.filter(partner=partner).values_list("state", flat=True))


def lose_replies_to(verb: str, kind: str) -> Any:
    """Drops the first reply to a write of a type, after it was written."""
    lost: list[Request] = []

    def fault(request: Request, honest: Answer) -> Answer:
        if request.verb == verb and request.path.startswith(kind) and not lost:
            lost.append(request)
            return Answer(is_dropped=True)
        return honest

    return fault


def test_the_hospital_gets_the_referral_and_what_it_refers_to_and_nothing_else(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()

    pushing.run_once(hospital)

    assert types(ehr) == SENT_ONCE
    task, request = ehr.all("Task")[0], ehr.all("ServiceRequest")[0]
    assert task["focus"] == {"reference": f"ServiceRequest/{request['id']}"}
    assert task["for"]["reference"] == f"Patient/{ehr.all('Patient')[0]['id']}"
    assert {"system": f"{settings.BATON_BASE_URL}/id/task", "value": handoff.id}.items() <= task["identifier"][
        0
    ].items()
    assert "partOf" not in task
    assert "extension" not in task
    assert states(hospital) == {Link.State.CLEAN}


def test_what_was_sent_on_paper_before_the_hospital_was_connected_reaches_its_ehr_once(
    story: Story, ehr: FakeEhr
) -> None:
    handoff = story.refer()

    call_command("partner", "add", "Hospital", ehr.base_url, "--organization", HOSPITAL, "--steward-pool", story.pool)
    hospital = partners.by_name("Hospital")
    pushing.run_once(hospital)

    assert types(ehr) == SENT_ONCE
    assert ehr.all("Task")[0]["identifier"][0]["value"] == handoff.id
    assert pushing.catch_up(hospital) == 0


def test_a_second_run_sends_nothing(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    story.refer()
    pushing.run_once(hospital)
    seen = len(ehr.requests)

    pushing.run_once(hospital)

    assert len(ehr.requests) == seen


def test_the_other_tasks_of_the_loop_stay_here(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.refer()
    workflow.perform(handoff.id, "accept", story.nina, attested=True, data={"channel": "phone", "spoken_to": "Dr Who"})
    pushing.run_once(hospital)

    assert [task["status"] for task in ehr.all("Task")] == ["requested"]
    assert Link.objects.filter(type="Task").count() == 1


def test_a_patient_and_an_organization_that_the_hospital_knows_are_accepted_as_they_are(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    known = {"system": MRN, "value": f"4711-{story.run}"}
    ana = ehr.put({"resourceType": "Patient", "identifier": [known], "name": [{"family": "Theirs"}]})
    ehr.put({"resourceType": "Organization", "identifier": [{"system": REGISTER, "value": f"{HOSPITAL}-{story.run}"}]})
    story.refer()

    pushing.run_once(hospital)
    store.write(store.get("Patient", ANA) | {"gender": "female"}, actor=SYSTEM)
    pushing.run_once(hospital)

    assert ehr.all("Patient") == [ana]
    assert len(ehr.all("Organization")) == 2
    assert ehr.all("Task")[0]["for"]["reference"] == f"Patient/{ana['id']}"


def test_two_patients_with_the_same_number_are_a_persons_work(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    known = [{"system": MRN, "value": f"4711-{story.run}"}]
    ehr.put({"resourceType": "Patient", "identifier": known})
    ehr.put({"resourceType": "Patient", "identifier": known})
    story.refer()

    pushing.run_once(hospital)

    link = Link.objects.get(type="Patient")
    upkeep = Loop.objects.get(kind="upkeep")
    assert (link.state, link.mend_loop, upkeep.about) == (Link.State.STUCK, upkeep.id, f"Link/{link.pk}")
    assert ehr.all("Task") == []
    assert Handoff.objects.get(loop=upkeep).owner.key == story.pool


@pytest.mark.parametrize("kind", ["Patient", "ServiceRequest", "Task"])
@pytest.mark.parametrize("takes_if_none_exist", [True, False])
def test_a_lost_reply_is_looked_up_and_never_sent_twice(
    kind: str, takes_if_none_exist: bool, story: Story, hospital: Partner, ehr: FakeEhr, later: Any
) -> None:
    ehr.takes_if_none_exist = takes_if_none_exist
    promise(hospital, if_none_exist=takes_if_none_exist)
    story.refer()

    with ehr.faulty(lose_replies_to("POST", kind)):
        pushing.run_once(hospital)
    assert Link.objects.get(type=kind).state == Link.State.UNKNOWN
    later(hospital)
    later(hospital)

    assert types(ehr) == SENT_ONCE
    assert states(hospital) == {Link.State.CLEAN}


def test_an_update_whose_reply_was_lost_is_read_before_it_is_repeated(
    story: Story, hospital: Partner, ehr: FakeEhr, later: Any
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    request = store.get("ServiceRequest", str(handoff.loop.request_id))
    store.write(request | {"priority": "urgent"}, actor=SYSTEM)

    with ehr.faulty(lose_replies_to("PUT", "ServiceRequest")):
        pushing.run_once(hospital)
    later(hospital)

    assert [each["meta"]["versionId"] for each in ehr.all("ServiceRequest")] == ["2"]
    assert states(hospital) == {Link.State.CLEAN}


@pytest.mark.parametrize("stale_status", [409, 412])
@pytest.mark.parametrize("takes_if_match", [True, False])
def test_a_change_of_theirs_in_between_is_merged_and_not_overwritten(
    stale_status: int, takes_if_match: bool, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.stale_status = stale_status
    ehr.takes_if_match = takes_if_match
    promise(hospital, if_match=takes_if_match)
    handoff = story.refer()
    pushing.run_once(hospital)
    ehr.put(ehr.all("Task")[0] | {"status": "accepted", "note": [{"text": "theirs"}]})

    local = store.get("Task", handoff.id)
    store.write(local | {"note": [{"text": "ours"}]}, actor=SYSTEM)
    pushing.run_once(hospital)
    applying.apply_pending(hospital)
    pushing.run_once(hospital)

    task = ehr.all("Task")[0]
    assert task["status"] == "accepted"
    assert task["note"] == [{"text": "theirs"}, {"text": "ours"}]
    assert {note["text"] for note in store.get("Task", handoff.id)["note"]} == {"ours", "theirs"}
    assert states(hospital) == {Link.State.CLEAN}
    assert hospital.inbox.get(type="Task").version_id == "2"


def test_a_version_that_is_always_stale_ends_as_a_conflict_for_a_person(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    store.write(store.get("Task", handoff.id) | {"priority": "urgent"}, actor=SYSTEM)

    with ehr.refusing(Answer(412), "PUT"):
        pushing.run_once(hospital)

    link = Link.objects.get(type="Task")
    assert link.state == Link.State.CONFLICT
    assert sum(request.verb == "PUT" for request in ehr.requests) == 5
    operations.retry(f"Link/{link.pk}", story.nina)
    pushing.run_once(hospital)
    assert states(hospital) == {Link.State.CLEAN}
    assert Handoff.objects.get(loop=link.mend_loop).stage == "mended"


def test_a_refusal_is_kept_with_the_partners_words_and_a_new_version_tries_again(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    words = {"severity": "error", "code": "required", "expression": ["Task.restriction"], "diagnostics": "Ana Canary"}
    refusal = Answer(422, {"resourceType": "OperationOutcome", "issue": [words]})

    with ehr.refusing(refusal, "POST", "Task"):
        pushing.run_once(hospital)

    link = Link.objects.get(type="Task")
    assert (link.state, link.error_category) == (Link.State.STUCK, "Incorrect")
    assert link.error_text == "The partner answered 422: required Task.restriction."
    store.write(store.get("Task", handoff.id) | {"priority": "urgent"}, actor=SYSTEM)
    assert Link.objects.get(type="Task").state == Link.State.WANTED


def test_a_busy_partner_is_left_alone_until_it_said(story: Story, hospital: Partner, ehr: FakeEhr, later: Any) -> None:
    story.refer()
    with ehr.refusing(Answer(429, headers={"Retry-After": "600"})):
        pushing.run_once(hospital)
    assert len(ehr.requests) == 1

    later(hospital, minutes=5)
    assert len(ehr.requests) == 1
    later(hospital, minutes=11)
    assert types(ehr) == SENT_ONCE
    assert not Link.objects.exclude(attempts=0).exists()


def test_a_refused_token_pauses_the_partner_and_loses_nothing(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    story.refer()
    with ehr.refusing(Answer(401)):
        pushing.run_once(hospital)
    hospital.refresh_from_db()
    assert (hospital.state, len(ehr.requests)) == (Partner.State.PAUSED, 1)

    operations.resume(hospital, story.nina)
    hospital.refresh_from_db()
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        pushing.run_once(hospital)
    assert types(ehr) == SENT_ONCE


def test_a_task_that_was_deleted_there_is_a_persons_work(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    store.write(store.get("Task", handoff.id) | {"priority": "urgent"}, actor=SYSTEM)

    with ehr.refusing(Answer(410)):
        pushing.run_once(hospital)

    assert Link.objects.get(type="Task").state == Link.State.GONE
    assert Loop.objects.filter(kind="upkeep").count() == 1


def test_a_dead_workers_claim_is_taken_over_and_what_it_sent_is_found(
    story: Story, hospital: Partner, ehr: FakeEhr, later: Any
) -> None:
    """The worker dies between the partner's answer and its own note of it, at every one of its exchanges."""
    story.refer()
    for _death in SENT_ONCE:
        claimed = pushing.claim(hospital)
        assert claimed is not None
        sending.send(partners.connect(hospital), claimed[0], is_doubtful=claimed[1])
        assert Link.objects.get(pk=claimed[0].pk).state == Link.State.INFLIGHT
        later(hospital, limit=1)

    assert types(ehr) == SENT_ONCE
    assert states(hospital) == {Link.State.CLEAN}


def test_a_worker_that_lost_its_claim_settles_nothing(
    story: Story, hospital: Partner, ehr: FakeEhr, later: Any
) -> None:
    story.refer()
    slow = pushing.claim(hospital)
    assert slow is not None
    later(hospital)
    said = len(ehr.requests)

    assert pushing._carry(partners.connect(hospital), slow[0], is_doubtful=False) == "overtaken"
    assert len(ehr.requests) == said
    assert types(ehr) == SENT_ONCE
    assert states(hospital) == {Link.State.CLEAN}


def test_what_becomes_of_a_request_of_ours_reaches_whoever_has_a_copy(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    fulfil = story.refer(identifier=[{"system": REQUEST_IDENTIFIER, "value": story.run}])
    said = []
    for kind, action, data in (
        ("fulfil", "hold", {}),
        ("decide-next-step", "keep", {}),
        ("fulfil", "cancel", {"reason": "no-longer-needed"}),
    ):
        pushing.run_once(hospital)
        said.append(ehr.all("ServiceRequest")[0]["status"])
        workflow.perform(fulfil.loop.handoffs.get(kind=kind, closed_at=None).id, action, story.gp, data=data)
    pushing.run_once(hospital)
    assert [*said, ehr.all("ServiceRequest")[0]["status"]] == ["active", "on-hold", "active", "revoked"]
