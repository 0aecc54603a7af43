"""What is known to have gone wrong, or nearly, when two things met."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request, script
from fhir_bridge.connecting import circuit
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from records.errors import BatonError
from referrals import intake
from referrals.models import Handoff
from tests.fhir_bridge.story import Story


@pytest.fixture
def unheard(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """A referral that the hospital has, while we don't know it: the answer to its creation was lost."""
    handoff = story.refer()
    with ehr.moody(script("dropped", verb="POST", kind="Task")):
        pushing.run_once(hospital)
    assert Link.objects.get(type="Task").state == Link.State.UNKNOWN
    return handoff


def later(partner: Partner) -> None:
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        for work in (pushing.run_once, polling.poll, applying.apply_pending, pushing.run_once):
            partner.refresh_from_db()
            work(partner)


def test_what_the_hospital_says_before_we_know_that_it_has_it_is_heard_and_kept(
    unheard: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.put(ehr.all("Task")[0] | {"note": [{"text": "theirs"}], "status": "accepted"})

    later(hospital)

    in_step(unheard, ehr)


def test_it_may_be_read_before_we_know_that_it_is_ours(unheard: Handoff, hospital: Partner, ehr: FakeEhr) -> None:
    ehr.put(ehr.all("Task")[0] | {"note": [{"text": "theirs"}], "status": "accepted"})
    polling.poll(hospital)
    applying.apply_pending(hospital)

    later(hospital)

    in_step(unheard, ehr)


def test_what_they_say_right_after_a_write_of_ours_that_is_answered_without_a_body_is_heard(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    intake.receive(store.get("Task", handoff.pk) | {"note": [{"text": "ours"}]}, story.nina)

    def bare(request: Request, honest: Answer) -> Answer:
        if request.verb != "PUT":
            return honest
        ehr.fault = None
        ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
        return replace(honest, text="")

    with ehr.faulty(bare):
        pushing.run_once(hospital)
        assert ehr.fault is None
    later(hospital)

    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"


def test_a_line_that_loses_an_answer_of_each_reading_is_not_taken_for_a_broken_one(
    hospital: Partner, ehr: FakeEhr
) -> None:
    """Of the dozen searches of a reading one is lost, and nothing else is exchanged meanwhile."""
    for minute in range(2 * circuit.THRESHOLD):
        hospital.refresh_from_db()
        lost = script("dropped", kind="Observation")
        with clock.at(datetime.now(UTC) + timedelta(minutes=minute)), ehr.moody(lost), suppress(BatonError):
            polling.poll(hospital)

    hospital.refresh_from_db()
    assert (hospital.failures, circuit.state_of(hospital, clock.now())) == (1, "closed")
    assert hospital.last_success_at is not None


def in_step(handoff: Handoff, ehr: FakeEhr) -> None:
    [task] = ehr.all("Task")
    assert task["note"] == store.get("Task", handoff.pk)["note"] == [{"text": "theirs"}]
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert list(Link.objects.filter(type="Task").values_list("state", flat=True)) == [Link.State.CLEAN]
    assert set(Inbox.objects.values_list("state", flat=True)) == {Inbox.State.APPLIED}
