"""One order, several performers: each ends on its own, and the loop closes when every report has been read."""

from datetime import timedelta
from typing import Any

import pytest

from records import access, clock, store
from records.access import SYSTEM
from records.errors import Incorrect
from records.models import Tenant
from referrals import people, performing, worklists
from referrals.models import Handoff, Loop
from referrals.people import default_pool
from tests.referrals.region import client, keep
from tests.referrals.ward import MONDAY, Ward

BOTH = ["Organization/clinic", "Organization/elsewhere"]


def split(ward: Ward, **changes: Any) -> tuple[Loop, Handoff, Handoff]:
    """A loop whose request has gone to the clinic and to an organisation that doesn't work in Baton."""
    loop = ward.order(**changes)
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=BOTH)
    return Loop.objects.get(pk=loop.pk), of(loop, "clinic"), of(loop, "elsewhere")


def of(loop: Loop, organization: str) -> Handoff:
    found = Handoff.objects.select_related("loop__accountable", "owner").filter(loop=loop, kind="fulfil")
    return found.get(owner__organization=organization, closed_at=None)


def test_an_order_sent_to_two_is_with_both_each_with_a_clock_and_a_task_of_its_own(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    assert ward.open_kinds(loop) == ["fulfil", "fulfil"]
    assert (clinic.list, elsewhere.list) == (ward.clinic_pool, ward.practice_pool)
    assert loop.performer == "clinic", "the loop names the first"
    assert clinic.due_at == elsewhere.due_at


def test_each_of_two_performers_ends_on_its_own_and_the_loop_waits_for_both_reports(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.report(clinic)
    ward.acknowledge(loop)
    ward.tell(loop)
    assert ward.open_kinds(loop) == ["fulfil"]
    assert Loop.objects.get(pk=loop.pk).closed_at is None
    ward.does(ward.partner, elsewhere, "report", report="DocumentReference/second")
    ward.acknowledge(loop)
    assert Loop.objects.get(pk=loop.pk).closed_at is None, "the patient hears of the second report as well"
    ward.tell(loop)
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_while_one_of_two_reports_is_unread_neither_reading_nor_telling_is_the_whole_outcome(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.report(clinic)
    first = ward.only(loop, "review-report")
    ward.does(ward.partner, elsewhere, "report", report="DocumentReference/second")
    ward.does(ward.referrer, first, "acknowledge", plan="Continue.", question_answered=True)
    ward.tell(loop)
    loop.refresh_from_db()
    assert ward.open_kinds(loop) == ["review-report"]
    assert (loop.acknowledged_by, loop.told_by) == ("", ""), "the second is still unread"
    ward.acknowledge(loop)
    assert ward.open_kinds(loop) == ["notify-patient"], "and of that the patient has not heard"
    ward.tell(loop)
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_when_one_of_two_declines_the_referrer_decides_and_the_other_goes_on(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.does(ward.partner, elsewhere, "accept")
    ward.does(ward.partner, elsewhere, "start")
    ward.does(ward.clinic, clinic, "decline", reason="no-capacity", reason_text="Full.")
    assert ward.open_kinds(loop) == ["decide-next-step", "fulfil", "notify-patient"]
    ward.does(
        ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=[f"CareTeam/{ward.practice_pool.key}"]
    )
    assert of(loop, "elsewhere").stage == "in-progress", "what another has started is not touched"
    assert of(loop, "practice").stage == "sent"


def test_a_report_that_was_read_may_be_enough_when_the_other_performer_declines(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.report(clinic)
    ward.acknowledge(loop)
    ward.tell(loop)
    ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "keep")
    ward.tell(loop)
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_the_patient_still_hears_today_of_the_first_when_they_themselves_decline_the_second(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.does(ward.referrer, clinic, "cancel", reason="no-longer-needed")
    assert ward.only(loop, "notify-patient").stage == "to-tell-today"
    ward.does(ward.referrer, elsewhere, "cancel", reason="patient-declined")
    still = Loop.objects.get(pk=loop.pk)
    assert (ward.open_kinds(loop), still.told_by) == (["notify-patient"], "")
    ward.tell(loop)
    assert Loop.objects.get(pk=loop.pk).stage == "closed-patient-declined"


def test_nothing_is_enough_while_nobody_performs_and_nothing_was_reported(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    for actor, fulfil in ((ward.clinic, clinic), (ward.partner, elsewhere)):
        ward.does(actor, fulfil, "decline", reason="no-capacity", reason_text="Full.")
    decision = Handoff.objects.filter(loop=loop, kind="decide-next-step").first()
    assert decision is not None
    with pytest.raises(Incorrect, match="nobody is performing"):
        ward.does(ward.referrer, decision, "keep")


def test_another_performer_can_be_asked_later_and_hangs_on_nobody(ward: Ward) -> None:
    loop, clinic = ward.sent()
    outcome = ward.does(ward.referrer, clinic, "add-performer", performer=["Organization/elsewhere"])
    added = of(loop, "elsewhere")
    assert [one.id for one in outcome.opened] == [added.id]
    assert Loop.objects.get(pk=loop.pk).performer == "clinic"
    ward.does(ward.clinic, of(loop, "clinic"), "decline", reason="no-capacity", reason_text="Full.")
    ward.does(
        ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=[f"CareTeam/{ward.practice_pool.key}"]
    )
    assert of(loop, "elsewhere").is_open, "the first one's redirection doesn't end the second"


@pytest.mark.parametrize("named", [["Organization/clinic"], ["Organization/elsewhere", "Organization/clinic"]])
def test_who_performs_already_is_not_asked_twice(ward: Ward, named: list[str]) -> None:
    loop, clinic = ward.sent()
    with pytest.raises(Incorrect) as refusal:
        ward.does(ward.referrer, clinic, "add-performer", performer=named)
    assert [issue.expression for issue in refusal.value.issues] == ["performer"]
    assert ward.open_kinds(loop) == ["fulfil"]


def test_each_performer_sees_the_loop_and_its_own_part_but_nothing_of_the_other(ward: Ward) -> None:
    store_tenant("third")
    loop = ward.order()
    third = client("third", "third")
    performers = ["Organization/clinic", "Organization/third"]
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=performers)
    mine, theirs = of(loop, "third"), of(loop, "clinic")
    ward.does(ward.clinic, theirs, "accept", note="We can see her on Friday.")
    view = worklists.loop_view(third, loop.id, clock.now())
    assert {one.row.id for one in view.handoffs if one.row.kind == "fulfil"} == {mine.id}
    assert "accept" not in {event.action for event in view.events}
    seen = access.visible(third, "Task").values_list("id", flat=True)
    assert mine.id in seen
    assert theirs.id not in seen
    assert len([one for one in worklists.loop_view(ward.referrer, loop.id, MONDAY).handoffs if one.row.is_open]) == 2


def test_who_is_asked_instead_can_read_the_patient(ward: Ward) -> None:
    store_tenant("third")
    loop = ward.order()
    third = client("third", "third")
    assert not access.visible(third, "Patient").filter(pk=ward.patient).exists()
    request = {
        "resourceType": "ServiceRequest",
        "id": loop.request_id,
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{ward.patient}"},
    }
    keep(request, "practice")
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=["Organization/third"])
    assert access.visible(third, "Patient").filter(pk=ward.patient).exists()
    assert access.visible(third, "ServiceRequest").filter(pk=loop.request_id).exists()


def test_a_service_of_the_directory_can_be_named_as_the_performer(ward: Ward) -> None:
    keep(
        {
            "resourceType": "HealthcareService",
            "id": "heart",
            "providedBy": {"reference": "Organization/clinic"},
        }
    )
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=["HealthcareService/heart"])
    assert ward.only(loop, "fulfil").owner == people.default_pool("clinic")


@pytest.mark.parametrize("way", ["reader", "performer", "after the end"])
def test_the_right_result_is_asked_of_whoever_gave_the_wrong_one(ward: Ward, way: str) -> None:
    loop, clinic, elsewhere = split(ward, kind="test-order")
    ward.does(ward.partner, elsewhere, "result", report="DiagnosticReport/wrong")
    review = ward.only(loop, "review-report")
    if way == "after the end":
        ward.acknowledge(loop)
        ward.tell(loop)
        ward.does(ward.clinic, clinic, "result", report="DiagnosticReport/fine")
        ward.acknowledge(loop)
        ward.tell(loop)
    if way == "performer":
        report, reason = "DiagnosticReport/wrong", "entered-in-error"
        loop = ward.does(ward.partner, elsewhere, "withdraw-report", report=report, reason=reason).loop
    else:
        loop = ward.does(ward.referrer, review, "void", reason="wrong-patient").loop
    performing = Handoff.objects.filter(loop=loop, kind="fulfil", closed_at=None)
    asked = {one.owner.organization for one in performing}
    assert asked == ({"elsewhere"} if way == "after the end" else {"clinic", "elsewhere"})
    assert "decide-next-step" in ward.open_kinds(loop)


def test_the_right_result_is_asked_of_the_pool_from_which_a_person_had_taken_it(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward, kind="test-order", performer="elsewhere")
    ward.does(ward.clinic, clinic, "claim")
    ward.does(ward.clinic, clinic, "result", report="DiagnosticReport/wrong")
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert of(loop, "clinic").owner == ward.clinic_pool
    assert of(loop, "elsewhere").id == elsewhere.id


def test_who_performs_besides_under_another_request_is_asked_for_the_right_result_under_that(ward: Ward) -> None:
    loop, clinic = ward.sent("test-order")
    ward.does(ward.clinic, clinic, "cancel-test", reason="unable")
    decision = ward.only(loop, "decide-next-step")
    ward.does(ward.referrer, decision, "redirect", performer="Organization/elsewhere", request="ServiceRequest/second")
    elsewhere = of(loop, "elsewhere")
    ward.does(ward.partner, elsewhere, "result", report="DiagnosticReport/wrong")
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert of(loop, "elsewhere").focus == "ServiceRequest/second"


def store_tenant(key: str) -> None:
    keep({"resourceType": "Organization", "id": key, "name": key.title()})
    Tenant.objects.create(organization=key, name=key.title())
    default_pool(key)


def test_two_services_of_one_organisation_are_one_performer_and_the_refusal_names_the_second(ward: Ward) -> None:
    services = [f"HealthcareService/{keep_service(name)}" for name in ("Lipid clinic", "Heart failure clinic")]
    dispatch = ward.only(ward.order(), "dispatch")
    with pytest.raises(Incorrect, match="Heart failure clinic"):
        ward.does(ward.referrer, dispatch, "send", performer=services)
    loop, fulfil = ward.sent()
    with pytest.raises(Incorrect, match="Lipid clinic"):
        ward.does(ward.referrer, fulfil, "add-performer", performer=services[0])
    assert ward.open_kinds(loop) == ["fulfil"]


def keep_service(name: str) -> str:
    by = {"reference": "Organization/clinic"}
    body = {"resourceType": "HealthcareService", "name": name, "providedBy": by}
    return store.write(body, actor=SYSTEM).id


def test_a_performer_who_fails_after_its_report_asks_the_referrer_while_the_other_goes_on(ward: Ward) -> None:
    loop, _clinic, elsewhere = split(ward)
    ward.does(ward.partner, elsewhere, "report", report="DocumentReference/second")
    ward.does(ward.partner, Handoff.objects.get(pk=elsewhere.pk), "contradict")
    assert ward.open_kinds(loop) == ["decide-next-step", "fulfil", "review-report"]
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "keep")
    assert ward.open_kinds(loop) == ["fulfil", "review-report"]


def test_ending_it_after_one_has_declined_leaves_the_others_report_to_be_read(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.report(clinic)
    ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    ward.does(ward.coordinator, ward.only(loop, "decide-next-step"), "close", reason="withdrawn")
    assert "review-report" in ward.open_kinds(loop)
    ward.acknowledge(loop)
    ward.tell(loop)
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_who_ends_what_was_in_question_without_knowing_of_the_report_doesnt_end_its_reading(ward: Ward) -> None:
    loop, fulfil = ward.sent()
    ward.does(ward.referrer, fulfil, "hold")
    decision = ward.only(loop, "decide-next-step")
    ward.report(fulfil)
    ward.does(ward.coordinator, decision, "close", reason="withdrawn")
    review = ward.only(loop, "review-report")
    assert (review.stage, Loop.objects.get(pk=loop.pk).acknowledged_by) == ("to-review", "")


@pytest.mark.parametrize("is_first", [True, False])
def test_cancelling_one_leaves_the_decision_about_another_whichever_comes_first(ward: Ward, is_first: bool) -> None:
    loop, clinic, elsewhere = split(ward)
    if is_first:
        ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    ward.does(ward.coordinator, clinic, "cancel", reason="withdrawn")
    if not is_first:
        ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    decision = ward.only(loop, "decide-next-step")
    assert (decision.opened_by_id, Loop.objects.get(pk=loop.pk).closed_at) == (elsewhere.id, None)
    ward.does(ward.referrer, decision, "close", reason="withdrawn")
    assert Loop.objects.get(pk=loop.pk).stage == "plan-to-patient", "the patient is still to be told"


@pytest.mark.parametrize("is_first", [True, False])
def test_who_declines_the_second_still_hears_what_the_first_has_reported(ward: Ward, is_first: bool) -> None:
    loop, clinic, elsewhere = split(ward)
    if not is_first:
        ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    ward.report(clinic)
    ward.acknowledge(loop)
    if is_first:
        ward.does(ward.partner, elsewhere, "decline", reason="no-capacity", reason_text="Full.")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="patient-declined")
    still = Loop.objects.get(pk=loop.pk)
    assert (still.stage, still.acknowledged_by, still.acknowledged_reason) == ("plan-to-patient", "Referrer", "")
    for telling in Handoff.objects.filter(loop=loop, kind="notify-patient", closed_at=None):
        ward.does(ward.coordinator, telling, "tell", channel="phone")
    assert Loop.objects.get(pk=loop.pk).stage == "closed"


def test_who_has_died_or_is_not_to_be_found_is_not_told_what_was_reported(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.report(clinic)
    ward.acknowledge(loop)
    ward.does(ward.partner, elsewhere, "decline", reason="patient-declined", reason_text="By telephone.")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="lost-after-attempts")
    assert Loop.objects.get(pk=loop.pk).stage == "closed-lost-after-attempts"


@pytest.mark.parametrize(("kind", "given"), [("referral", timedelta(hours=48)), ("test-order", timedelta(days=3))])
def test_whoever_is_asked_instead_has_the_time_that_anybody_is_given(ward: Ward, kind: str, given: timedelta) -> None:
    loop, fulfil = ward.sent(kind, performer="elsewhere", priority="urgent")
    late = MONDAY + timedelta(days=5)
    with clock.at(late):
        ward.does(ward.referrer, fulfil, "hold")
        ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer="Organization/clinic")
    assert ward.only(loop, "fulfil").due_at == late + given
    assert Loop.objects.get(pk=loop.pk).ordered_at == loop.ordered_at, "the order's own time runs on"


ANOTHER = {"reason": "no-capacity", "reason_text": "Full."}
BESIDE: list[tuple[str, dict[str, Any]]] = [
    ("hold", {"note": "The machine is broken."}),
    ("contradict", {"note": "Completed, it says."}),
    ("lose-endpoint", {"note": "Gone."}),
    ("seen-elsewhere", {"note": "At the spa."}),
    ("patient-moves", {"note": "To the sea."}),
]


def to_decide(loop: Loop, part: Handoff) -> Handoff:
    return Handoff.objects.get(loop=loop, kind="decide-next-step", closed_at=None, opened_by=part)


@pytest.mark.parametrize(("action", "said"), BESIDE)
def test_what_one_performer_makes_the_referrer_decide_is_asked_though_another_is_being_decided_about(
    ward: Ward, action: str, said: dict[str, Any]
) -> None:
    loop, clinic, elsewhere = split(ward)
    ward.does(ward.partner, elsewhere, "accept")
    ward.does(ward.clinic, clinic, "decline", **ANOTHER)
    ward.does(ward.partner if action in ("hold", "contradict") else SYSTEM, elsewhere, action, **said)
    pool = f"CareTeam/{ward.practice_pool.key}"
    ward.does(ward.referrer, to_decide(loop, clinic), "redirect", performer=[pool])
    assert to_decide(loop, elsewhere).is_open


def test_of_a_specimen_that_nobody_collects_again_the_referrer_decides_though_asked_about_another_laboratory(
    ward: Ward,
) -> None:
    loop, clinic, elsewhere = split(ward, kind="test-order")
    ward.does(ward.partner, elsewhere, "collect")
    ward.does(ward.partner, elsewhere, "reject-specimen", reason="specimen-unsatisfactory")
    ward.does(ward.referrer, to_decide(loop, elsewhere), "keep")
    ward.does(ward.clinic, clinic, "decline", **ANOTHER)
    again = ward.only(loop, "recollect")
    ward.does(ward.partner, again, "decline", **ANOTHER)
    asked = Handoff.objects.filter(loop=loop, kind="decide-next-step", closed_at=None)
    assert {performing.root_of(one) for one in asked} == {clinic, elsewhere}


def test_whoever_did_not_come_to_either_of_two_is_called_for_both(ward: Ward) -> None:
    loop, clinic, elsewhere = split(ward)
    for who, part in ((ward.clinic, clinic), (ward.partner, elsewhere)):
        ward.does(who, part, "book", slot_start=MONDAY + timedelta(1), slot_end=MONDAY + timedelta(1, 3600))
    with clock.at(MONDAY + timedelta(2)):
        ward.does(ward.clinic, clinic, "no-show")
        ward.does(ward.partner, elsewhere, "no-show")
        calls = Handoff.objects.filter(loop=loop, kind="contact-patient", closed_at=None)
        assert set(calls.values_list("opened_by", flat=True)) == {clinic.id, elsewhere.id}
