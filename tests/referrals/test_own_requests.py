"""A request that was placed in Baton says what has become of it: Baton is its placer and writes its status (PATHWAYS §1)."""

from typing import Any

import pytest

from records import clock, store
from records.access import SYSTEM
from referrals import upheavals, workflow
from referrals.models import Handoff, Loop
from referrals.placing import REQUEST_IDENTIFIER
from tests.referrals.ward import Ward

ERROR = {"reason": "entered-in-error", "second_person": "Practitioner/boss"}
WITHDRAWN = {"reason": "no-longer-needed"}
REPORT = "DocumentReference/r"


def place() -> str:
    """A request that was written here; gives its id."""
    key = clock.new_id()
    mark = [{"system": REQUEST_IDENTIFIER, "value": key}]
    body = {"resourceType": "ServiceRequest", "id": key, "status": "active", "intent": "order", "identifier": mark}
    store.write(body, actor=SYSTEM, validate=False)
    return key


def says(loop: Loop) -> str:
    """What the loop's request says."""
    return str(store.get("ServiceRequest", str(loop.request_id))["status"])


def sent(ward: Ward, kind: str = "referral", **changes: Any) -> tuple[Loop, Handoff]:
    return ward.sent(kind, request=place(), **changes)


def elsewhere(ward: Ward) -> tuple[Loop, Handoff]:
    """One that a performer elsewhere has begun."""
    loop, fulfil = sent(ward, performer="elsewhere")
    ward.does(ward.partner, fulfil, "accept")
    theirs = store.get("Task", fulfil.id) | {"status": "in-progress"}
    workflow.perform(fulfil.id, "start", ward.partner, base=theirs)
    return loop, fulfil


@pytest.mark.parametrize(
    ("action", "data", "status"),
    [("cancel", WITHDRAWN, "revoked"), ("enter-in-error", ERROR, "entered-in-error"), ("hold", {}, "on-hold")],
)
def test_what_its_placer_does_to_it_is_what_it_says(ward: Ward, action: str, data: dict[str, Any], status: str) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.referrer, fulfil, action, **data)
    assert says(loop) == status


@pytest.mark.parametrize(
    ("reason", "status"), [("no-longer-needed", "revoked"), ("ordered-in-error", "entered-in-error")]
)
def test_one_that_was_never_sent_is_revoked_or_was_never_meant(ward: Ward, reason: str, status: str) -> None:
    loop = ward.order(request=place())
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "withdraw", reason=reason)
    assert says(loop) == status


def test_one_that_was_looked_at_is_revoked_although_it_was_ordered_in_error(ward: Ward) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.clinic, fulfil, "receive")
    ward.does(ward.referrer, fulfil, "cancel", reason="ordered-in-error")
    assert says(loop) == "revoked"


def test_a_decision_that_ends_it_revokes_it(ward: Ward) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
    assert says(loop) == "active", "its referrer still decides"
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="no-service-found")
    assert says(loop) == "revoked"


@pytest.mark.parametrize(("decision", "status"), [("keep", "active"), ("close", "revoked")])
def test_what_was_on_hold_goes_on_or_ends_as_it_is_decided(ward: Ward, decision: str, status: str) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.referrer, fulfil, "hold")
    data = {"reason": "withdrawn"} if decision == "close" else {}
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), decision, **data)
    assert says(loop) == status


def test_one_on_hold_that_is_sent_goes_on(ward: Ward) -> None:
    loop = ward.order(request=place())
    dispatch = ward.only(loop, "dispatch")
    ward.does(ward.referrer, dispatch, "hold")
    assert says(loop) == "on-hold"
    ward.does(ward.referrer, dispatch, "send")
    assert says(loop) == "active"


def test_one_on_hold_that_is_declined_and_sent_elsewhere_is_replaced_by_an_active_one(ward: Ward) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.referrer, fulfil, "hold")
    ward.does(ward.clinic, fulfil, "decline", reason="no-capacity", reason_text="Full")
    assert says(loop) == "on-hold"
    decision = Handoff.objects.filter(loop=loop, kind="decide-next-step", closed_at=None).earliest("opened_at", "id")
    ward.does(ward.referrer, decision, "redirect", performer=[ward.outside.pk])
    assert says(loop) == "revoked"
    assert store.get(*ward.only(loop, "fulfil").focus.split("/"))["status"] == "active"


def test_a_performer_that_holds_its_own_part_says_nothing_about_the_request(ward: Ward) -> None:
    loop, fulfil = sent(ward, performer="elsewhere")
    ward.does(ward.partner, fulfil, "hold")
    assert says(loop) == "active"


def test_what_is_carried_out_while_on_hold_is_completed(ward: Ward) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.referrer, fulfil, "hold")
    ward.does(ward.clinic, fulfil, "report", report=REPORT)
    assert says(loop) == "completed"


def test_what_a_performer_has_begun_is_revoked_once_that_has_agreed(ward: Ward) -> None:
    loop, fulfil = elsewhere(ward)
    ward.does(ward.referrer, fulfil, "request-cancellation", **WITHDRAWN)
    assert says(loop) == "active"
    ward.does(ward.partner, ward.only(loop, "request-cancellation"), "accept-cancellation")
    assert says(loop) == "revoked"


def split(ward: Ward) -> tuple[Loop, Handoff, Handoff]:
    """Two performers under one request: the clinic's part, and the one elsewhere."""
    loop, fulfil = sent(ward)
    ward.does(ward.referrer, fulfil, "add-performer", performer=[ward.outside.pk])
    return loop, fulfil, Handoff.objects.exclude(pk=fulfil.pk).get(loop=loop, kind="fulfil")


def test_of_several_performers_the_last_one_that_is_cancelled_revokes_it(ward: Ward) -> None:
    loop, first, second = split(ward)
    ward.does(ward.referrer, first, "cancel", **WITHDRAWN)
    assert says(loop) == "active"
    ward.does(ward.referrer, second, "cancel", **WITHDRAWN)
    assert says(loop) == "revoked"


def test_what_one_of_several_has_reported_is_completed_when_the_others_are_cancelled(ward: Ward) -> None:
    loop, first, second = split(ward)
    ward.does(ward.clinic, first, "report", report=REPORT)
    assert says(loop) == "active"
    ward.does(ward.referrer, second, "cancel", **WITHDRAWN)
    assert says(loop) == "completed"


def test_a_report_that_was_void_is_no_outcome_of_what_ends_then(ward: Ward) -> None:
    loop, fulfil = sent(ward)
    ward.does(ward.clinic, fulfil, "report", report=REPORT)
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert says(loop) == "active"
    ward.does(ward.referrer, ward.only(loop, "fulfil"), "cancel", **WITHDRAWN)
    for decision in Handoff.objects.filter(loop=loop, kind="decide-next-step", closed_at=None):
        ward.does(ward.referrer, decision, "close", reason="withdrawn")
    assert says(loop) == "revoked"


def test_a_death_revokes_what_nobody_has_performed(ward: Ward) -> None:
    waiting, _fulfil = sent(ward)
    done, fulfil = sent(ward)
    begun, theirs = elsewhere(ward)
    ward.does(ward.clinic, fulfil, "report", report=REPORT)
    upheavals.death.report(ward.patient, ward.coordinator)
    asked = Handoff.objects.get(kind="confirm-death", closed_at=None)
    ward.does(ward.coordinator, asked, "confirm")
    assert (says(waiting), says(done), says(begun)) == ("revoked", "completed", "active")
    ward.does(ward.partner, ward.only(begun, "request-cancellation"), "accept-cancellation")
    assert (theirs.loop_id, says(begun)) == (begun.id, "revoked")


def test_who_lives_after_all_and_is_sent_elsewhere_has_an_active_request(ward: Ward) -> None:
    loop, _fulfil = sent(ward)
    upheavals.death.report(ward.patient, ward.coordinator)
    ward.does(ward.coordinator, Handoff.objects.get(kind="confirm-death", closed_at=None), "confirm")
    upheavals.death.refute(ward.patient, ward.coordinator)
    again = Loop.objects.get(based_on=loop)
    assert says(loop) == "revoked"
    ward.does(ward.referrer, ward.only(again, "decide-next-step"), "redirect", performer=[ward.outside.pk])
    assert store.get(*ward.only(again, "fulfil").focus.split("/"))["status"] == "active"


def test_the_request_of_an_ehr_is_the_ehrs_to_change(ward: Ward) -> None:
    store.write({"resourceType": "ServiceRequest", "id": "theirs", "status": "active"}, actor=SYSTEM, validate=False)
    loop, fulfil = ward.sent(request="theirs")
    ward.does(ward.referrer, fulfil, "cancel", **WITHDRAWN)
    assert says(loop) == "active"
