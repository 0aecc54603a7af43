"""Another performer, another request, the same loop: the clock of the first order runs on."""

from datetime import date, timedelta

import pytest

from records import access, clock, store
from referrals import composer, workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import concept, document, open_kinds, request, take, task_of, the, the_loop
from tests.referrals.region import CLINIC, HOSPITAL, Region
from tests.referrals.ward import MONDAY

FULL = {"reason": "no-capacity", "reason_text": "Full."}
AT_CLINIC = [{"reference": f"Organization/{CLINIC}"}]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def declined(here: Region) -> Loop:
    """A referral that was written in Baton, sent to the hospital, and declined there after a week."""
    draft = composer.draft(here.gp, "ana", "heart-clinic", reason="Murmur", needed_by=date(2026, 6, 1))
    loop = composer.submit(draft, here.gp)
    with clock.at(MONDAY + timedelta(days=7)):
        workflow.perform(the(loop, "fulfil").id, "decline", here.partner, data=FULL)
    return loop


def redirected(here: Region, loop: Loop, **data: object) -> Handoff:
    with clock.at(MONDAY + timedelta(days=8)):
        data = {"performer": [f"Organization/{CLINIC}"]} | data
        workflow.perform(the(loop, "decide-next-step").id, "redirect", here.gp, data=data)
    return the(loop, "fulfil")


def test_the_new_request_replaces_the_old_one_which_is_revoked(here: Region, declined: Loop) -> None:
    fulfil = redirected(here, declined)
    old = store.get("ServiceRequest", str(declined.request_id))
    new = store.get(*fulfil.focus.split("/"))
    assert new["replaces"] == [{"reference": f"ServiceRequest/{old['id']}"}]
    assert (new["status"], old["status"]) == ("active", "revoked")
    assert new["performer"] == AT_CLINIC
    assert new["identifier"][0]["value"] == new["id"]
    assert (new["reasonCode"], new["subject"], new["occurrencePeriod"]) == (
        old["reasonCode"],
        old["subject"],
        old["occurrencePeriod"],
    )
    assert task_of(fulfil)["focus"] == {"reference": f"ServiceRequest/{new['id']}"}
    assert task_of(fulfil)["basedOn"] == [{"reference": f"ServiceRequest/{new['id']}"}]


def test_the_clock_of_the_first_order_runs_on(here: Region, declined: Loop) -> None:
    fulfil = redirected(here, declined)
    loop = Loop.objects.get(pk=declined.pk)
    assert (loop.ordered_at, loop.needed_by) == (declined.ordered_at, declined.needed_by)
    assert fulfil.needed_by == declined.needed_by
    assert Loop.objects.count() == 1
    assert (loop.performer, fulfil.opened_at) == (CLINIC, MONDAY + timedelta(days=8))


def test_the_one_who_is_asked_instead_reads_the_new_request(here: Region, declined: Loop) -> None:
    fulfil = redirected(here, declined)
    clinic = region.client("clinic", CLINIC)
    seen = access.visible(clinic, "ServiceRequest").values_list("id", flat=True)
    assert list(seen) == [fulfil.focus.removeprefix("ServiceRequest/")]


def test_a_report_of_the_new_request_comes_to_the_same_loop_and_completes_it(here: Region, declined: Loop) -> None:
    fulfil = redirected(here, declined)
    note = document(MONDAY + timedelta(days=20), context={"related": [{"reference": fulfil.focus}]})
    with clock.at(MONDAY + timedelta(days=20)):
        assert take(note, region.client("clinic", CLINIC)).loop_id == declined.id
    assert "review-report" in open_kinds(declined)
    assert store.get(*fulfil.focus.split("/"))["status"] == "completed"


def test_the_request_of_an_ehr_is_not_written_by_baton(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    workflow.perform(the(loop, "fulfil").id, "decline", here.partner, data=FULL)
    fulfil = redirected(here, loop)
    assert fulfil.focus == ""
    assert store.get("ServiceRequest", "sr")["status"] == "active"


def test_a_request_that_replaces_a_loops_request_joins_that_loop(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    workflow.perform(the(loop, "fulfil").id, "decline", here.partner, data=FULL)
    with clock.at(MONDAY + timedelta(days=9)):
        later = request("sr-2", replaces=[{"reference": "ServiceRequest/sr"}], performer=AT_CLINIC)
        assert take(later, here.ehr).loop_id == loop.id
    assert Loop.objects.count() == 1
    assert open_kinds(loop) == ["decide-next-step", "dispatch", "notify-patient"]
    with clock.at(MONDAY + timedelta(days=9)):
        workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    fulfil = the(loop, "fulfil")
    assert (fulfil.focus, fulfil.owner.organization) == ("ServiceRequest/sr-2", CLINIC)
    assert open_kinds(loop) == ["fulfil", "notify-patient"], "the decision has been taken by the new request"
    assert Loop.objects.get(pk=loop.pk).ordered_at == MONDAY
    assert Event.objects.filter(loop=loop, action="replace").exists()


def test_the_old_request_revoked_afterwards_ends_its_own_part_alone(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    take(request("sr-2", replaces=[{"reference": "ServiceRequest/sr"}], performer=AT_CLINIC), here.ehr)
    take(request(status="revoked"), here.ehr)
    assert "dispatch" in open_kinds(loop)
    assert "fulfil" not in open_kinds(loop)
    assert Loop.objects.get(pk=loop.pk).closed_at is None
    take(
        {
            "resourceType": "Task",
            "id": "second",
            "status": "requested",
            "intent": "order",
            "code": concept("fulfill", system="http://hl7.org/fhir/CodeSystem/task-code"),
            "focus": {"reference": "ServiceRequest/sr-2"},
            "for": {"reference": "Patient/ana"},
            "owner": {"reference": f"Organization/{CLINIC}"},
        },
        here.ehr,
    )
    assert the(loop, "fulfil").id == "second"


def test_an_unsent_request_that_is_replaced_and_revoked_does_not_end_the_loop(here: Region) -> None:
    take(request(), here.ehr)
    loop = the_loop()
    take(request("sr-2", replaces=[{"reference": "ServiceRequest/sr"}], performer=AT_CLINIC), here.ehr)
    take(request(status="revoked"), here.ehr)
    assert open_kinds(loop) == ["dispatch"]
    assert Loop.objects.get(pk=loop.pk).told_by == ""
    take(
        request("sr-2", status="revoked", replaces=[{"reference": "ServiceRequest/sr"}], performer=AT_CLINIC), here.ehr
    )
    assert Loop.objects.get(pk=loop.pk).stage == "cancelled"


@pytest.mark.parametrize("changes", [{"subject": {"reference": "Patient/ben"}}, {"code": concept("390906007")}])
def test_a_request_for_another_patient_or_of_another_kind_is_an_order_of_its_own(
    here: Region, changes: dict[str, object]
) -> None:
    take(request(), here.ehr)
    take(request("sr-2", replaces=[{"reference": "ServiceRequest/sr"}], **changes), here.ehr)
    assert Loop.objects.count() == 2


def test_in_a_split_only_the_one_that_declined_is_sent_elsewhere_under_the_same_request(here: Region) -> None:
    draft = composer.draft(here.gp, "ana", "heart-clinic", reason="Murmur")
    loop = composer.submit(draft, here.gp)
    workflow.perform(the(loop, "fulfil").id, "add-performer", here.gp, data={"performer": [f"Organization/{CLINIC}"]})
    hospital = loop.handoffs.get(kind="fulfil", owner__organization=HOSPITAL)
    workflow.perform(hospital.id, "decline", here.partner, data=FULL)
    other = {"performer": [f"CareTeam/{here.pool.id}"]}
    workflow.perform(the(loop, "decide-next-step").id, "redirect", here.gp, data=other)
    assert store.get("ServiceRequest", str(loop.request_id))["status"] == "active"
    assert not loop.handoffs.exclude(focus="").filter(kind="fulfil").exists()
