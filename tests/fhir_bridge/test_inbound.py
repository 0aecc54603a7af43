"""What a partner says: taken once, in order, kept exactly; what can't be applied blocks nothing and is somebody's work."""

from typing import Any

import pytest
from django.conf import settings

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import operations
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner, Watermark
from fhir_bridge.outbound import pushing
from fhir_bridge.pending import inbox as pending
from records import store
from records.access import SYSTEM
from records.errors import BatonError
from referrals import workflow
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import ANA, MRN, Story

NAME = "Canary"


def take(partner: Partner) -> dict[str, int]:
    polling.poll(partner)
    return applying.apply_pending(partner)


def inbox(**query: Any) -> list[str]:
    return list(Inbox.objects.filter(**query).order_by("pk").values_list("state", flat=True))


def stage(handoff: Handoff) -> str:
    return str(Handoff.objects.get(pk=handoff.pk).stage)


@pytest.fixture
def task(handoff: Handoff, ehr: FakeEhr) -> dict[str, Any]:
    """The hospital's copy of its Task."""
    assert handoff.is_open
    return ehr.all("Task")[0]


def test_a_word_of_theirs_moves_the_stage_and_leaves_the_rest_of_our_task_as_it_is(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    before = store.get("Task", handoff.id)
    ehr.put(task | {"status": "accepted", "note": [{"text": "Room 4"}]})

    take(hospital)

    after = store.get("Task", handoff.id)
    assert stage(handoff) == "awaiting-booking"
    assert handoff.events.latest("id").actor_display == "Hospital Nord"
    assert (after["status"], after["note"]) == ("accepted", [{"text": "Room 4"}])
    for element in ("partOf", "for", "focus", "requester", "identifier", "code"):
        assert after[element] == before[element]


def test_the_echo_of_our_own_write_is_not_even_stored(handoff: Handoff, hospital: Partner) -> None:
    assert handoff.is_open
    assert take(hospital) == {}
    assert inbox() == []


def test_a_late_message_never_undoes_a_newer_one(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    accepted = ehr.put(task | {"status": "accepted"})
    ehr.put(task | {"status": "in-progress"})
    take(hospital)
    pending.put(hospital, [accepted])

    take(hospital)

    assert stage(handoff) == "in-progress"
    assert inbox(type="Task") == ["applied", "discarded"]


def test_messages_in_one_round_are_applied_in_the_order_of_their_times(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    request = Link.objects.get(type="ServiceRequest").remote_id
    patient = Link.objects.get(type="Patient").remote_id
    ehr.put(task | {"status": "accepted"})
    ehr.put(
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": "2027-01-04T09:00:00Z",
            "end": "2027-01-04T09:30:00Z",
            "basedOn": [{"reference": f"{ehr.base_url}/ServiceRequest/{request}"}],
            "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
        }
    )

    take(hospital)

    assert stage(handoff) == "scheduled"
    assert inbox() == ["applied", "applied"]


def test_an_item_that_can_not_be_applied_is_kept_in_full_and_the_others_go_on(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr, story: Story
) -> None:
    based_on = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
    broken = ehr.put({"resourceType": "Encounter", "basedOn": based_on, "status": f"{NAME}!", "unknown": 1.50})
    ehr.put(task | {"status": "accepted"})

    take(hospital)

    item = Inbox.objects.get(type="Encounter")
    upkeep = Loop.objects.get(kind="upkeep")
    assert stage(handoff) == "awaiting-booking"
    assert (item.state, item.mend_loop) == (Inbox.State.QUARANTINED, upkeep.id)
    assert f'"id":"{broken["id"]}"' in item.body
    assert NAME not in item.error_text
    assert Handoff.objects.get(loop=upkeep).list.key == story.pool

    operations.discard(f"Inbox/{item.pk}", story.nina, reason="not-worth-sending")
    assert Handoff.objects.get(loop=upkeep).stage == "discarded"
    assert take(hospital) == {}


def test_what_nobody_has_thought_of_is_kept_in_full_as_somebodys_work_and_the_others_go_on(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    based_on = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
    ehr.put({"resourceType": "Encounter", "basedOn": based_on, "status": "finished", "identifier": [f"{NAME}?"]})
    ehr.put(task | {"status": "accepted"})

    take(hospital)

    item = Inbox.objects.get(type="Encounter")
    assert (stage(handoff), item.state) == ("awaiting-booking", Inbox.State.QUARANTINED)
    assert f"{NAME}?" in item.body
    assert item.error_text == "This is not valid FHIR R4: Encounter.identifier[0]."
    assert Handoff.objects.get(loop=item.mend_loop).is_open


def test_a_task_waits_for_its_request(hospital: Partner, ehr: FakeEhr, handoff: Handoff) -> None:
    patient = Link.objects.get(type="Patient").remote_id
    first = ehr.put(
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "for": {"reference": f"Patient/{patient}"},
            "focus": {"reference": "ServiceRequest/777"},
            "basedOn": [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}],
        }
    )
    assert take(hospital) == {"waiting": 1}

    ehr.put(
        {"resourceType": "ServiceRequest", "id": "777", "status": "active", "intent": "plan"}
        | {"subject": first["for"]}
    )
    take(hospital)

    assert inbox(type="Task") == ["applied"]
    assert inbox(type="ServiceRequest") == ["applied"]
    assert stage(handoff) == "sent"


def test_whoever_a_document_names_is_taken_over_first_and_known_people_are_recognised(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    doctor = ehr.put({"resourceType": "Practitioner", "name": [{"family": "Heart"}]})
    twin = ehr.put({"resourceType": "Patient", "identifier": [{"system": MRN, "value": "another"}]})
    known = {"system": f"{settings.BATON_BASE_URL}/id/practitioner", "value": "gp"}
    gp = next(each for each in ehr.all("Practitioner") if known in each["identifier"])
    ehr.put(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": f"Patient/{Link.objects.get(type='Patient').remote_id}"},
            "author": [{"reference": f"Practitioner/{doctor['id']}"}, {"reference": f"Practitioner/{gp['id']}"}],
            "context": {"related": [{"reference": f"Patient/{twin['id']}"}, {"reference": "CarePlan/3"}]},
            "content": [{"attachment": {"url": "Binary/8"}}],
        }
    )

    take(hospital)

    document = store.get("DocumentReference", Link.objects.get(type="DocumentReference").local_id)
    ids = dict(Link.objects.filter(partner=hospital).values_list("remote_id", "local_id"))
    assert document["subject"]["reference"] == f"Patient/{ANA}"
    assert document["author"] == [{"reference": f"Practitioner/{ids[doctor['id']]}"}, {"reference": "Practitioner/gp"}]
    assert document["context"]["related"][1] == {"reference": f"{ehr.base_url}/CarePlan/3"}
    assert document["content"][0]["attachment"]["url"] == f"{ehr.base_url}/Binary/8"
    assert ids[twin["id"]] != ANA
    assert handoff.is_open


def test_a_change_that_nobody_here_may_make_to_our_request_is_left_there(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.put(ehr.all("ServiceRequest")[0] | {"status": "revoked"})

    take(hospital)

    assert store.get("ServiceRequest", str(handoff.loop.request_id))["status"] == "active"
    assert not Loop.objects.filter(kind="upkeep").exists()


def test_the_watermark_stays_when_a_page_is_lost_and_no_change_is_missed(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    take(hospital)
    marks = dict(Watermark.objects.values_list("type", "until"))
    ehr.put(task | {"status": "accepted"})

    with ehr.refusing(Answer(500), "GET", "Task"), pytest.raises(BatonError):
        polling.poll(hospital)
    assert Watermark.objects.get(type="Task").until == marks["Task"]
    hospital.refresh_from_db()
    assert hospital.last_error
    take(hospital)
    assert stage(handoff) == "awaiting-booking"


def test_pages_are_followed_to_the_end(handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr) -> None:
    ehr.page = 2
    based_on = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
    for number in range(7):
        ehr.put(
            {
                "resourceType": "Task",
                "status": "draft",
                "intent": "plan",
                "basedOn": based_on,
                "description": str(number),
            }
        )
    ehr.put(task | {"status": "accepted"})

    take(hospital)

    assert stage(handoff) == "awaiting-booking"
    assert inbox(type="Task") == ["applied"] * 8


def test_what_we_change_goes_out_and_what_they_change_comes_in_at_the_same_time(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    store.write(store.get("Task", handoff.id) | {"note": [{"text": "ours"}]}, actor=SYSTEM)
    ehr.put(task | {"status": "accepted", "note": [{"text": "theirs"}]})

    pushing.run_once(hospital)
    take(hospital)
    pushing.run_once(hospital)

    theirs, ours = ehr.all("Task")[0], store.get("Task", handoff.id)
    assert theirs["status"] == ours["status"] == "accepted"
    assert {note["text"] for note in theirs["note"]} == {note["text"] for note in ours["note"]} == {"ours", "theirs"}
    assert stage(handoff) == "awaiting-booking"


def test_our_own_request_seen_anew_is_recognised_and_not_taken_for_theirs(
    handoff: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    """After their restore or move, or under another registration of the same server."""
    Link.objects.filter(type__in=["ServiceRequest", "Task"]).delete()
    ehr.put(ehr.all("ServiceRequest")[0])
    ehr.put(ehr.all("Task")[0] | {"status": "accepted"})

    take(hospital)

    assert Link.objects.get(type="ServiceRequest").local_id == handoff.loop.request_id
    assert Link.objects.get(type="Task").local_id == handoff.id
    assert stage(handoff) == "awaiting-booking"


def test_a_corrected_report_opens_a_second_review(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    handoff = story.order_test()
    pushing.run_once(hospital)
    coded = {"system": "http://loinc.org", "code": "24323-8"}
    report = ehr.put(
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"coding": [coded]},
            "basedOn": [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}],
            "subject": {"reference": f"Patient/{Link.objects.get(type='Patient').remote_id}"},
            "issued": "2026-11-21T10:00:00Z",
        }
    )
    take(hospital)
    assert stage(handoff) == "final"
    reviews = Handoff.objects.filter(loop=handoff.loop, kind="review-report")
    assert reviews.count() == 1

    ehr.put(report | {"status": "corrected", "conclusion": "Other"})
    take(hospital)
    assert reviews.count() == 2
    assert inbox(type="DiagnosticReport") == ["applied", "applied"]


@pytest.mark.parametrize("answer", [Answer(500), Answer(404), Answer(403), Answer(200, text="<html>")])
def test_somebody_who_can_not_be_read_holds_up_nobody_else(
    answer: Answer, handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.put(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": f"Patient/{Link.objects.get(type='Patient').remote_id}"},
            "author": [{"reference": "Practitioner/5"}],
            "content": [{"attachment": {"url": "Binary/8"}}],
        }
    )
    ehr.put(task | {"status": "accepted"})

    with ehr.refusing(answer, "GET", "Practitioner"):
        take(hospital)
    assert stage(handoff) == "awaiting-booking"
    take(hospital)
    assert inbox(type="DocumentReference") == ["applied"]


def test_a_task_that_comes_after_its_request_is_the_one_we_answer(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.refer()
    pushing.run_once(hospital)
    us, them = (_named(ehr, "Organization", name) for name in ("Practice", "Hospital Nord"))
    about = {"subject": {"reference": f"Patient/{ehr.all('Patient')[0]['id']}"}, "code": {"text": "Home visit"}}
    request = {"resourceType": "ServiceRequest", "id": "visit", "status": "active", "intent": "order"}
    ehr.put(request | about | _REFERRAL | {"requester": them, "performer": [us]})
    take(hospital)
    handoff = Handoff.objects.get(loop__answer_only=True)

    focus = {"reference": "ServiceRequest/visit"}
    task = {"resourceType": "Task", "id": "theirs", "status": "requested", "intent": "order", "code": _FULFILL}
    ehr.put(task | {"focus": focus, "for": about["subject"], "requester": them, "owner": us})
    take(hospital)
    workflow.perform(handoff.id, "accept", story.nina)
    pushing.run_once(hospital)

    theirs = next(one for one in ehr.all("Task") if one["id"] == "theirs")
    assert not Handoff.objects.exclude(pk=handoff.pk).filter(loop=handoff.loop).exists()
    assert theirs["status"] == "accepted"
    assert theirs["requester"] == them


_FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
_REFERRAL = {"category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}]}


def _named(ehr: FakeEhr, type_: str, name: str) -> dict[str, str]:
    return next({"reference": f"{type_}/{one['id']}"} for one in ehr.all(type_) if one["name"] == name)


def test_a_partner_without_versions_that_goes_back_to_what_it_said_before_is_heard(
    handoff: Handoff, task: dict[str, Any], hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.shelf.keeps_versions = False
    heard = []
    for said in ("accepted", "on-hold", "accepted", "accepted"):
        ehr.put(task | {"status": said})
        take(hospital)
        heard.append(store.get("Task", handoff.id)["status"])

    assert heard == ["accepted", "on-hold", "accepted", "accepted"]
    assert inbox() == ["applied"] * 3
