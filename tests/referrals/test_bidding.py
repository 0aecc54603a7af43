"""A request sent to several as offers: the first acceptance takes it, whoever comes second is told clearly."""

import threading

import pytest
from django.db import connection

from records import clock
from records.access import Actor
from records.errors import BatonError, Incorrect, Stale
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals.test_several_performers import of
from tests.referrals.ward import MONDAY, Ward, found_ward

BOTH = ["Organization/clinic", "Organization/elsewhere"]
FULL = {"reason": "no-capacity", "reason_text": "Full."}


def offered(ward: Ward) -> tuple[Loop, Handoff, Handoff]:
    """A loop offered to the clinic and to an organisation with an EHR of its own."""
    loop = ward.order()
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=BOTH, bidding=True)
    return Loop.objects.get(pk=loop.pk), of(loop, "clinic"), of(loop, "elsewhere")


def again(handoff: Handoff) -> Handoff:
    return Handoff.objects.get(pk=handoff.pk)


def test_the_first_to_accept_takes_it_and_the_other_ends_as_not_selected(ward: Ward) -> None:
    loop, clinic, elsewhere = offered(ward)
    assert (loop.performer, loop.performer_owner) == ("", None), "nobody performs it yet"
    ward.does(ward.partner, elsewhere, "accept")
    lost = again(clinic)
    assert (lost.stage, lost.task_status, lost.reason_code) == ("cancelled", "cancelled", "not-selected")
    assert again(elsewhere).stage == "awaiting-booking"
    assert not again(elsewhere).is_offer
    assert Loop.objects.get(pk=loop.pk).performer == "elsewhere"
    assert ward.open_kinds(loop) == ["fulfil"], "nobody decides and nobody is told: it goes on"


@pytest.mark.parametrize(
    ("action", "data"),
    [("book", {"slot_end": "2026-03-05T09:00:00+00:00"}), ("seen", {}), ("report", {"report": "DocumentReference/1"})],
)
def test_any_step_that_implies_acceptance_takes_it(ward: Ward, action: str, data: dict[str, str]) -> None:
    _loop, clinic, elsewhere = offered(ward)
    ward.does(ward.clinic, clinic, action, **data)
    assert again(elsewhere).reason_code == "not-selected"


@pytest.mark.parametrize(("action", "data"), [("receive", {}), ("ask-information", {"question": "Since when?"})])
def test_looking_at_an_offer_takes_nothing(ward: Ward, action: str, data: dict[str, str]) -> None:
    _loop, clinic, elsewhere = offered(ward)
    ward.does(ward.clinic, clinic, action, **data)
    assert again(elsewhere).is_open
    assert again(clinic).is_offer


def test_a_loser_hears_why_and_nothing_changes(ward: Ward) -> None:
    _loop, clinic, elsewhere = offered(ward)
    ward.does(ward.partner, elsewhere, "accept")
    with pytest.raises(Incorrect, match="Another performer was selected"):
        ward.does(ward.clinic, clinic, "accept")
    with pytest.raises(Stale, match="Another performer was selected"):
        workflow.perform(clinic.id, "accept", ward.clinic, version=clinic.version)
    assert again(elsewhere).is_open


def test_a_declined_offer_asks_for_no_decision_until_the_last_is_declined(ward: Ward) -> None:
    loop, clinic, elsewhere = offered(ward)
    ward.does(ward.clinic, clinic, "decline", **FULL)
    assert ward.open_kinds(loop) == ["fulfil"], "another may still take it, and the patient has lost nothing"
    ward.does(ward.partner, elsewhere, "decline", **FULL)
    assert ward.open_kinds(loop) == ["decide-next-step", "notify-patient"]


def test_what_a_loser_had_asked_is_asked_no_more(ward: Ward) -> None:
    loop, clinic, elsewhere = offered(ward)
    ward.does(ward.clinic, clinic, "ask-information", question="Since when?")
    ward.does(ward.partner, elsewhere, "accept")
    assert ward.open_kinds(loop) == ["fulfil"]


def test_a_loser_that_has_begun_in_its_own_system_is_asked_to_cancel(ward: Ward) -> None:
    loop, clinic, elsewhere = offered(ward)
    Handoff.objects.filter(pk=elsewhere.pk).update(task_status="in-progress")
    ward.does(ward.clinic, clinic, "accept")
    asked = ward.only(loop, "request-cancellation")
    assert (asked.focus, asked.owner, asked.reason_code) == (f"Task/{elsewhere.id}", ward.outside, "not-selected")
    assert again(elsewhere).is_open, "until it agrees, it may be going on"
    ward.does(ward.partner, asked, "accept-cancellation")
    assert ward.open_kinds(loop) == ["fulfil"], "the patient is not told of a bid that was lost"
    assert Loop.objects.get(pk=loop.pk).performer == "clinic"


def test_a_loser_that_begins_after_it_has_lost_is_asked_to_cancel(ward: Ward) -> None:
    loop, clinic, elsewhere = offered(ward)
    ward.does(ward.clinic, clinic, "accept")
    ward.does(ward.partner, elsewhere, "start-anyway")
    assert ward.open_kinds(loop) == ["fulfil", "request-cancellation"]
    assert again(elsewhere).reason_code == "not-selected"


@pytest.mark.usefixtures("commits")
def test_of_two_acceptances_at_once_exactly_one_wins() -> None:
    with clock.at(MONDAY):
        ward = found_ward()
        loop, clinic, elsewhere = offered(ward)
    together, refusals = threading.Barrier(2), list[BatonError]()

    def accept(handoff: Handoff, actor: Actor) -> None:
        together.wait(timeout=20)
        try:
            workflow.perform(handoff.id, "accept", actor)
        except BatonError as refusal:
            refusals.append(refusal)
        finally:
            connection.close()

    bidders = [
        threading.Thread(target=accept, args=pair) for pair in ((clinic, ward.clinic), (elsewhere, ward.partner))
    ]
    for bidder in bidders:
        bidder.start()
    for bidder in bidders:
        bidder.join(timeout=20)
    assert [str(one) for one in refusals if "Another performer was selected" in str(one)]
    assert len(refusals) == 1
    stages = sorted(Handoff.objects.filter(loop=loop, kind="fulfil").values_list("stage", flat=True))
    assert stages == ["awaiting-booking", "cancelled"]
    assert Event.objects.filter(loop=loop, action="accept").count() == 1


def test_whoever_was_asked_before_bids_with_those_who_are_asked_besides(ward: Ward) -> None:
    loop, clinic = ward.sent()
    ward.does(ward.referrer, clinic, "add-performer", performer="Organization/elsewhere", bidding=True)
    elsewhere = of(loop, "elsewhere")
    assert (again(clinic).is_offer, elsewhere.is_offer) == (True, True)
    ward.does(ward.partner, elsewhere, "accept")
    assert again(clinic).reason_code == "not-selected"
    assert Loop.objects.get(pk=loop.pk).performer == "elsewhere"


def test_whoever_has_accepted_already_bids_no_more(ward: Ward) -> None:
    loop, clinic = ward.sent()
    ward.does(ward.clinic, clinic, "accept")
    ward.does(ward.referrer, clinic, "add-performer", performer="Organization/elsewhere", bidding=True)
    ward.does(ward.partner, of(loop, "elsewhere"), "accept")
    assert again(clinic).is_open


@pytest.mark.parametrize("asks", [False, True])
def test_whoever_has_accepted_by_telephone_bids_no_more(ward: Ward, asks: bool) -> None:
    loop, elsewhere = ward.sent(performer="elsewhere")
    told = {"channel": "phone", "spoken_to": "Sister Joy"}
    workflow.perform(elsewhere.id, "accept", ward.coordinator, data=told, attested=True)
    if asks:
        question = told | {"question": "Since when?"}
        workflow.perform(elsewhere.id, "ask-information", ward.coordinator, data=question, attested=True)
    ward.does(ward.referrer, elsewhere, "add-performer", performer="Organization/clinic", bidding=True)
    assert not again(elsewhere).is_offer
    ward.does(ward.clinic, of(loop, "clinic"), "accept")
    assert again(elsewhere).is_open


def a_visit_for_bids(ward: Ward) -> Loop:
    """A follow-up that could not take place and is offered to two."""
    loop = ward.order("follow-up", performer="practice")
    ward.does(ward.coordinator, ward.only(loop, "fulfil"), "fail", reason="unable")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "redirect", performer=BOTH, bidding=True)
    return Loop.objects.get(pk=loop.pk)


@pytest.mark.parametrize("is_told", [False, True])
def test_an_offer_that_is_superseded_is_not_accepted_and_the_last_one_leaves_a_decision(
    ward: Ward, is_told: bool
) -> None:
    loop = a_visit_for_bids(ward)
    if is_told:
        ward.tell(loop)
    ward.does(ward.clinic, of(loop, "clinic"), "supersede", reason="done-elsewhere")
    assert of(loop, "elsewhere").is_offer, "it goes on"
    ward.does(ward.partner, of(loop, "elsewhere"), "decline", **FULL)
    assert "decide-next-step" in ward.open_kinds(loop)
    for call in loop.handoffs.filter(kind="notify-patient", closed_at=None):
        ward.does(ward.coordinator, call, "tell", channel="phone")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="done-elsewhere")
