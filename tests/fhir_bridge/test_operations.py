"""What a person sees of the exchange, and what they may do about it."""

import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations, status, tasks
from fhir_bridge.inbound import applying, reconciling
from fhir_bridge.models import Inbox, Link, Partner, Subscription
from fhir_bridge.outbound import pushing, sending
from fhir_bridge.pending import inbox
from records import clock, store
from records.errors import Incorrect, NotFound
from referrals import workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, Story, keep


def sync() -> str:
    said = StringIO()
    call_command("sync", "--partner", "Hospital", "--once", stdout=said, stderr=StringIO())
    return said.getvalue()


def test_the_command_says_what_it_did(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.refer()
    assert sync().splitlines() == ["Sent: 6 clean", "New from the partner: 0", "Applied: 0"]

    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    assert "Applied: 1 applied" in sync()
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
    assert status.of(hospital).links == {"clean": 6}


@pytest.mark.usefixtures("hospital")
def test_a_partner_that_does_not_answer_is_said_in_one_line(story: Story) -> None:
    Partner.objects.update(base_url="http://127.0.0.1:9/fhir")
    story.refer()

    with pytest.raises(CommandError) as caught:
        sync()

    assert str(caught.value) == "The partner can't be reached."


def test_trouble_is_listed_without_patient_data_and_can_be_given_up_with_a_reason(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    words = {"severity": "error", "code": "invalid", "diagnostics": f"Canary{story.run}"}
    with ehr.refusing(Answer(422, {"resourceType": "OperationOutcome", "issue": [words]}), "POST", "Patient"):
        tasks.push(hospital.pk)

    trouble = status.troubles(hospital.pk)[0]
    assert (trouble.type, trouble.state, trouble.category) == ("Patient", "stuck", "Incorrect")
    assert "Canary" not in trouble.text
    assert status.of(hospital).troubled == 1
    with pytest.raises(Incorrect):
        operations.discard(trouble.key, story.nina, reason="")
    operations.discard(trouble.key, story.nina, reason="not-worth-sending")
    assert status.troubles(hospital.pk) == []
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        tasks.push(hospital.pk)
    assert {each.type for each in status.troubles(hospital.pk)} == {"ServiceRequest", "Task"}
    assert Handoff.objects.get(loop=trouble.loop_id).stage == "discarded"
    with pytest.raises(NotFound):
        operations.retry("Link/0", story.nina)


def test_what_can_never_be_sent_is_said_whatever_else_it_waits_for(story: Story, hospital: Partner) -> None:
    seen = [
        keep(
            {
                "resourceType": "Observation",
                "status": "final",
                "subject": {"reference": f"Patient/{ANA}"},
                "code": {"text": f"Reading {number}"},
            }
        )
        for number in range(20)
    ]
    story.refer(supportingInfo=[{"reference": f"Observation/{id_}"} for id_ in seen])
    Link.objects.filter(type="Patient").update(state=Link.State.CLEAN, due_at=None)  # given up

    with pytest.raises(Incorrect, match=f"Patient/{ANA}, whose sending was given up"):
        sending.compose(Link.objects.get(type="ServiceRequest"))


def test_a_paused_partner_hears_nothing_and_everything_goes_out_once_it_is_resumed(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    operations.pause(hospital, story.nina, "moving")
    story.refer()
    tasks.push_due(clock.now())
    tasks.pull_due(clock.now())
    assert ehr.requests == []

    operations.resume(hospital, story.nina)
    tasks.push_due(clock.now())
    assert set(Link.objects.values_list("state", flat=True)) == {"clean"}


def test_silence_is_an_alarm(hospital: Partner) -> None:
    assert status.of(hospital).silent_since is None
    with clock.at(datetime.now(UTC) + timedelta(hours=2)):
        assert status.of(hospital).silent_since == hospital.created_at


def test_mended_by_a_persons_word_is_tried_again_and_comes_back_when_it_still_fails(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    with ehr.refusing(Answer(422), "POST", "Patient"):
        tasks.push(hospital.pk)
        first = status.troubles(hospital.pk)[0]
        mend(first, story, "mend")
        assert Link.objects.get(type="Patient").state == "wanted"
        with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
            tasks.push(hospital.pk)

    second = status.troubles(hospital.pk)[0]
    assert (second.key, second.state) == (first.key, "stuck")
    assert second.loop_id != first.loop_id
    mend(second, story, "mend")
    with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
        tasks.push(hospital.pk)
    assert status.troubles(hospital.pk) == []
    assert ehr.all("Patient")


def test_discarded_at_its_handoff_is_given_up_at_the_exchange_too(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    with ehr.refusing(Answer(422), "POST", "Patient"):
        tasks.push(hospital.pk)
    mend(status.troubles(hospital.pk)[0], story, "discard", reason="not-worth-sending")
    assert status.troubles(hospital.pk) == []
    assert Link.objects.get(type="Patient").state == "clean"


def mend(trouble: status.Trouble, story: Story, action: str, **data: str) -> None:
    handoff = Handoff.objects.get(loop=trouble.loop_id)
    workflow.perform(handoff.pk, action, story.nina, data=data)


def test_a_loop_knows_that_its_exchange_needs_mending(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    shared = [f"Task/{story.refer().pk}", "Patient/ana"]
    with ehr.refusing(Answer(422), "POST", "Patient"):
        tasks.push(hospital.pk)
    assert status.to_mend(shared) == [hospital]
    assert status.to_mend(["Task/of-another-loop", "Patient/ana"]) == []

    operations.retry(status.troubles(hospital.pk)[0].key, story.nina)
    with clock.at(datetime.now(UTC) + timedelta(minutes=1)):
        tasks.push(hospital.pk)
    assert status.to_mend(shared) == []

    inbox.put(hospital, [ehr.all("Task")[0] | {"status": "no-such-status"}])
    applying.apply_pending(hospital)
    assert status.to_mend(shared) == [hospital]
    upkeep = Handoff.objects.get(kind="mend-exchange", closed_at=None)
    named = {"system": f"{settings.BATON_BASE_URL}/id/exchange", "value": upkeep.loop.about}
    assert store.get("Task", upkeep.pk)["focus"] == {"identifier": named}
    assert store.get("Task", upkeep.loop_id)["focus"] == {"identifier": named}


def status_of(*arguments: str) -> str:
    said = StringIO()
    call_command("sync", "status", *arguments, stdout=said)
    return said.getvalue()


def test_a_program_reads_what_is_counted_of_every_exchange(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    story.refer()
    pushing.run_once(hospital)
    link = Link.objects.get(type="Task")
    ehr.remove("Task", str(link.remote_id))
    reconciling.run(hospital, reconciling.Scope.OPEN)
    Subscription.objects.create(partner=hospital, type="Task", key="k", state="error", created_at=clock.now())
    came = Inbox.objects.create(partner=hospital, type="Task", remote_id="x", body="{}", received_at=clock.now())

    [one] = json.loads(status_of("--json"))

    assert (one["name"], one["state"], one["circuit"]) == ("Hospital", "active", "closed")
    assert one["links"]["gone"] == 1
    assert one["inbox"]["pending"] == 1
    assert one["unapplied_since"] == str(came.received_at)
    assert [(run["scope"], run["missing"]) for run in one["reconciled"]] == [("open", 1)]
    assert [(told["what"], told["state"]) for told in one["subscriptions"]] == [("Task", "error")]
    assert json.loads(status_of("--partner", "Hospital", "--json")) == [one]


def test_a_person_reads_the_same_in_tables(story: Story, hospital: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert status_of().count("Hospital") == 1
    reconciling.run(hospital, reconciling.Scope.ALL)
    Subscription.objects.create(partner=hospital, type="Task", key="k", state="active", created_at=clock.now())

    said = status_of()

    assert said.count("Hospital") == 3
    assert {"differing", "subscription", "to mend"} <= set(re.findall(r"[a-z][a-z ]*[a-z]", said))


@pytest.mark.parametrize(("arguments", "words"), [([], "--partner"), (["status", "--partner", "X"], "no partner")])
def test_what_is_missing_is_said(arguments: list[str], words: str, db: None) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("sync", *arguments)
