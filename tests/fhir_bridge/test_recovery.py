"""What a steward does about what has failed: sees both versions, decides, corrects, tries again or gives up; all audited."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations, status
from fhir_bridge.inbound import applying
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import inbox
from records import clock, store
from records.access import SYSTEM
from records.errors import Conflict, Incorrect, NotFound, Stale
from records.types import row_class
from referrals import workflow
from referrals.models import Handoff
from tests.fhir_bridge.story import ANA, Story, keep

BROKEN = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "required", "diagnostics": "Ana"}],
}


@pytest.fixture(autouse=True)
def now() -> Iterator[datetime]:
    at = datetime.now(UTC)
    with clock.at(at):
        yield at


def push(partner: Partner, minutes: float = 0) -> None:
    partner.refresh_from_db()
    with clock.at(clock.now() + timedelta(minutes=minutes)):
        pushing.run_once(partner)


def key(type_: str) -> str:
    return f"Link/{Link.objects.get(type=type_).pk}"


def audited() -> list[dict[str, str]]:
    """What the AuditEvents of the exchange say, name by name, by what was done: the clock stands still."""
    bodies = row_class("AuditEvent").rows("AuditEvent").values_list("body", flat=True)
    events = [json.loads(body)["entity"][0] for body in bodies]
    told = [
        {one["type"]: one["valueString"] for one in each["detail"]} for each in events if each["name"] == "exchange"
    ]
    return sorted(told, key=lambda each: each["what"])


def stuck(story: Story, hospital: Partner, ehr: FakeEhr, kind: str = "ServiceRequest") -> Handoff:
    handoff = story.refer()
    with ehr.refusing(Answer(422, BROKEN), "POST", kind):
        pushing.run_once(hospital)
    return handoff


def test_a_steward_corrects_what_was_refused_and_it_is_sent(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = stuck(story, hospital, ehr)
    shown = operations.show(key("ServiceRequest"), story.nina)
    assert shown.comparison is not None
    corrected = json.loads(shown.comparison.local) | {"patientInstruction": "Bring your letter"}

    operations.correct(key("ServiceRequest"), story.nina, json.dumps(corrected), version=shown.comparison.version)
    push(hospital, minutes=1)

    assert ehr.all("ServiceRequest")[0]["patientInstruction"] == "Bring your letter"
    assert Link.objects.get(type="Task").state == Link.State.CLEAN
    assert [each["what"] for each in audited()] == ["correct", "show"]
    with pytest.raises(Stale):
        operations.correct(key("ServiceRequest"), story.nina, json.dumps(corrected), version=shown.comparison.version)
    with pytest.raises(Incorrect):
        operations.correct(key("ServiceRequest"), story.nina, json.dumps(corrected | {"id": "x"}), version=9)
    assert handoff.is_open


def test_for_all_others_there_is_no_such_item(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    stuck(story, hospital, ehr)

    for attempt in (
        lambda: operations.show(key("ServiceRequest"), story.gp),
        lambda: operations.retry(key("ServiceRequest"), story.gp),
        lambda: operations.discard(key("ServiceRequest"), story.gp, reason="not-worth-sending"),
        lambda: operations.show("Link/0", story.nina),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert operations.retry_all(status.Filter(), story.gp) == 0
    assert audited() == []


@pytest.fixture
def conflict(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """The practice takes back what the hospital has begun."""
    handoff = story.refer()
    pushing.run_once(hospital)
    ehr.put(ehr.all("Task")[0] | {"status": "in-progress"})
    workflow.perform(handoff.pk, "cancel", story.gp, data={"reason": "no-longer-needed"})
    with ehr.refusing(Answer(412), "PUT", "Task"):
        pushing.run_once(hospital)
    push(hospital)
    assert Link.objects.get(type="Task").state == Link.State.CONFLICT
    return handoff


def test_both_versions_of_a_conflict_are_shown_and_theirs_may_stand(
    conflict: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    shown = operations.show(key("Task"), story.nina)
    assert shown.comparison is not None
    clashes = [(row.element, row.ours, row.theirs) for row in shown.comparison.rows if row.is_clash]
    assert clashes == [("status", '"cancelled"', '"in-progress"')]
    with pytest.raises(Incorrect):
        operations.resolve(key("Task"), story.nina, {})

    operations.resolve(key("Task"), story.nina, {"status": "theirs"})
    push(hospital, minutes=1)

    link = Link.objects.get(type="Task")
    assert (ehr.all("Task")[0]["status"], link.state) == ("in-progress", Link.State.CLEAN)
    assert Handoff.objects.get(kind="mend-exchange").stage == "mended"
    assert audited()[0] | {"items": ""} == {
        "what": "resolve",
        "number": "1",
        "items": "",
        "partner": "Hospital",
        "status": "theirs",
    }


def test_ours_may_stand_too_once_theirs_has_been_heard(
    conflict: Handoff, story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    operations.resolve(key("Task"), story.nina, {"status": "ours"})
    applying.apply_pending(hospital)
    push(hospital, minutes=1)
    assert ehr.all("Task")[0]["status"] == "cancelled"
    assert Link.objects.get(type="Task", local_id=conflict.pk).state == Link.State.CLEAN


def test_what_nobody_owns_alone_is_decided_element_by_element(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    about = {"subject": {"reference": f"Patient/{ANA}"}, "code": {"text": "Angina"}, "onsetString": "spring"}
    keep({"resourceType": "Condition", "id": "c", "note": [{"text": "x"}], **about})
    story.refer(reasonReference=[{"reference": "Condition/c"}])
    pushing.run_once(hospital)
    mine = {"code": {"text": "Angina pectoris"}, "onsetString": "summer"}
    theirs = {"code": {"text": "Infarction"}, "onsetString": "autumn"}
    ehr.put(ehr.all("Condition")[0] | theirs)
    store.write(store.get("Condition", "c") | mine, actor=SYSTEM)
    with ehr.refusing(Answer(412), "PUT", "Condition"):
        pushing.run_once(hospital)
    push(hospital)

    operations.resolve(key("Condition"), story.nina, {"code": "ours", "onsetString": "theirs"})
    applying.apply_pending(hospital)
    push(hospital, minutes=1)

    both = [ehr.all("Condition")[0], store.get("Condition", "c")]
    assert [(each["code"]["text"], each["onsetString"]) for each in both] == [("Angina pectoris", "autumn")] * 2
    assert Link.objects.get(type="Condition").state == Link.State.CLEAN


def test_what_was_deleted_there_is_sent_anew_with_what_refers_to_it(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    old = ehr.all("ServiceRequest")[0]["id"]
    del ehr.store["ServiceRequest", old]
    store.write(store.get("ServiceRequest", str(handoff.loop.request_id)) | {"priority": "urgent"}, actor=SYSTEM)
    pushing.run_once(hospital)
    assert Link.objects.get(type="ServiceRequest").state == Link.State.GONE
    with pytest.raises(Incorrect):
        operations.recreate(key("Task"), story.nina)

    operations.recreate(key("ServiceRequest"), story.nina)
    push(hospital, minutes=1)
    push(hospital, minutes=2)

    anew = ehr.all("ServiceRequest")[0]["id"]
    assert anew != old
    assert ehr.all("Task")[0]["focus"]["reference"] == f"ServiceRequest/{anew}"
    assert set(Link.objects.values_list("state", flat=True)) == {Link.State.CLEAN}


def test_all_of_a_kind_are_tried_again_at_once(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    for _number in range(3):
        stuck(story, hospital, ehr)
    with ehr.refusing(Answer(422, BROKEN), "POST", "Task"):
        push(hospital)
    chosen = status.Filter(partner="Hospital", type="ServiceRequest", state="stuck", category="Incorrect")
    assert len(status.troubles(chosen=chosen)) == 3

    assert operations.retry_all(chosen, story.nina) == 3
    push(hospital, minutes=1)

    assert status.troubles() == []
    assert audited() == [
        {
            "what": "retry-all",
            "number": "3",
            "items": audited()[0]["items"],
            "partner": "Hospital",
            "type": "ServiceRequest",
            "state": "stuck",
            "category": "Incorrect",
        }
    ]


def command(*args: str) -> Any:
    said = StringIO()
    call_command("deadletters", *args, stdout=said, stderr=StringIO())
    return json.loads(said.getvalue()) if "--json" in args else said.getvalue()


def test_the_command_lists_shows_retries_and_discards(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    stuck(story, hospital, ehr)
    raw = ehr.all("Patient")[0] | {"id": "x", "birthDate": f"Canary{story.run}"}
    inbox.put(hospital, [raw])
    applying.apply_pending(hospital)
    item = f"Inbox/{Inbox.objects.get().pk}"

    listed = command("list", "--json")
    assert {(each["key"], each["state"]) for each in listed} == {
        (key("ServiceRequest"), "stuck"),
        (item, "quarantined"),
    }
    assert "Canary" not in json.dumps(listed)
    assert "Hospital" in command("list")
    assert f"Canary{story.run}" in command("show", item, "--json")["raw"]
    assert "ours:" in command("show", key("ServiceRequest"))

    assert command("retry", "--type", "ServiceRequest", "--json") == {"retried": 1}
    push(hospital, minutes=1)
    assert [each["key"] for each in command("list", "--json")] == [item]
    assert command("discard", item, "--reason", "not-worth-sending", "--by", "nina", "--json") == {"discarded": item}
    assert command("list", "--json") == []
    assert [each["what"] for each in audited()] == ["discard", "retry-all", "show", "show"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("retry",), "Name an item, a filter, or --all."),
        (("retry", "Link/0"), "There is no such item in the exchange."),
        (("retry", "Link/99999999999999999999999"), "There is no such item in the exchange."),
        (("list", "--limit", "-1"), "Error: argument --limit: “-1” is no number of things."),
        (("list", "--limit", "9" * 20), "Error: argument --limit: No more than 1000000 are listed."),
        (("discard", "Link/0", "--reason", "x", "--by", "nobody"), "There is no user “nobody”."),
    ],
)
@pytest.mark.usefixtures("hospital")
def test_the_command_says_what_is_wrong_in_one_line(args: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError) as caught:
        command(*args)
    assert str(caught.value) == said


def test_what_gives_no_trouble_is_neither_tried_again_nor_given_up(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    stuck(story, hospital, ehr)
    done, waits = Link.objects.get(type="Patient"), Link.objects.get(type="Task")
    assert (done.state, waits.state) == (Link.State.CLEAN, Link.State.WANTED)
    for link in (done, waits):
        with pytest.raises(Conflict):
            operations.discard(f"Link/{link.pk}", story.nina, reason="not-worth-sending")
    assert operations.retry(f"Link/{done.pk}", story.nina) == 0

    operations.discard(key("ServiceRequest"), story.nina, reason="not-worth-sending")
    assert command("retry", key("ServiceRequest"), "--json") == {"retried": 0}
    assert {link.state for link in (done, waits)} == set(
        Link.objects.filter(pk__in=[done.pk, waits.pk]).values_list("state", flat=True)
    )


def test_one_type_that_can_not_be_read_keeps_sync_from_nothing_else(
    story: Story, handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})
    said = StringIO()
    with ehr.refusing(Answer(500), "GET", "Appointment"), pytest.raises(CommandError):
        call_command("sync", "--once", "--partner", "Hospital", "--json", stdout=said, stderr=StringIO())
    told = json.loads(said.getvalue())
    assert (told["new"], told["applied"]) == (1, {"applied": 1})
    assert told["error"]
    assert Handoff.objects.get(pk=handoff.pk).stage == "awaiting-booking"
