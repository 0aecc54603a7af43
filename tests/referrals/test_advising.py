"""Advice only: the performer answers, or proposes a full referral, which the referrer confirms or declines."""

from datetime import timedelta
from typing import Any

import pytest

from records import clock, store
from records.errors import Forbidden, Incorrect
from referrals import composer, workflow
from referrals.models import Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import document, open_kinds, request, take, the, the_loop
from tests.referrals.region import CLINIC, Region
from tests.referrals.ward import MONDAY

ADVICE: dict[str, Any] = {"category": [{"coding": [{"system": "https://ehr.example/category", "code": "advice"}]}]}
AT_CLINIC: dict[str, Any] = {"performer": [{"reference": f"Organization/{CLINIC}"}]}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


@pytest.fixture
def asked(here: Region) -> Loop:
    """Advice, asked of the clinic for Ana."""
    take(request(**ADVICE, **AT_CLINIC), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    return loop


def asked_with_another(here: Region) -> tuple[Loop, Handoff]:
    """Advice, asked of the hospital too; and what the clinic has of it."""
    take(request(**ADVICE), here.ehr)
    loop = the_loop()
    both = ["Organization/hospital", f"Organization/{CLINIC}"]
    workflow.perform(the(loop, "dispatch").id, "send", here.gp, data={"performer": both})
    return loop, Handoff.objects.get(loop=loop, kind="fulfil", owner__organization=CLINIC)


def proposed(loop: Loop) -> Handoff:
    clinic = region.client("clinic", CLINIC)
    workflow.perform(the(loop, "fulfil").id, "propose-referral", clinic, data={"proposal": "I should listen to it."})
    return loop.handoffs.get(stage="proposal-to-decide")


def test_a_request_of_the_category_advice_asks_for_advice_alone(asked: Loop) -> None:
    assert (asked.kind, asked.is_advice) == ("referral", True)


def test_the_performer_answers_and_nothing_else_is_needed(asked: Loop) -> None:
    clinic = region.client("clinic", CLINIC)
    region.keep(document(MONDAY, id="advice"))
    workflow.perform(the(asked, "fulfil").id, "report", clinic, data={"report": "DocumentReference/advice"})
    assert open_kinds(asked) == ["review-report"]


def test_a_confirmed_proposal_is_a_full_referral_in_the_same_loop_with_the_first_clock(
    here: Region, asked: Loop
) -> None:
    with clock.at(MONDAY + timedelta(days=3)):
        decision = proposed(asked)
        workflow.perform(decision.id, "convert", here.gp)
    first, full = Handoff.objects.filter(loop=asked, kind="fulfil").order_by("opened_at")
    assert (first.stage, first.reason_code) == ("cancelled", "converted")
    assert (full.stage, full.owner, full.opened_at) == ("sent", first.owner, MONDAY + timedelta(days=3))
    loop = Loop.objects.get(pk=asked.pk)
    assert (loop.ordered_at, loop.is_advice) == (MONDAY, False)
    assert open_kinds(asked) == ["fulfil"]


def test_of_several_who_advise_the_one_who_proposed_it_is_asked_in_full(here: Region) -> None:
    loop, asked = asked_with_another(here)
    clinic = region.client("clinic", CLINIC)
    workflow.perform(asked.id, "propose-referral", clinic, data={"proposal": "I should listen to it."})
    outcome = workflow.perform(loop.handoffs.get(stage="proposal-to-decide").id, "convert", here.gp)
    assert [one.owner for one in outcome.opened] == [asked.owner]
    assert (outcome.loop.performer, outcome.loop.performer_owner) == (CLINIC, asked.owner)
    performing = Handoff.objects.filter(loop=loop, kind="fulfil", closed_at=None).order_by("opened_at", "id")
    assert sorted(one.owner.organization for one in performing) == [CLINIC, "hospital"], "the other still advises"


def test_a_declined_proposal_leaves_the_question_with_the_performer(here: Region, asked: Loop) -> None:
    decision = proposed(asked)
    assert the(asked, "fulfil").stage == "referral-proposed"
    workflow.perform(decision.id, "decline-proposal", here.gp, data={"answer": "She is too frail to travel."})
    assert (the(asked, "fulfil").stage, open_kinds(asked)) == ("sent", ["fulfil"])
    assert Loop.objects.get(pk=asked.pk).is_advice


def test_after_a_declined_proposal_it_goes_on_where_it_was_though_nobody_but_us_had_said_so(here: Region) -> None:
    take(request(**ADVICE), here.ehr)
    loop, told = the_loop(), {"channel": "phone", "spoken_to": "The front desk"}
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    for action, more in (("receive", {}), ("propose-referral", {"proposal": "I should listen to it."})):
        workflow.perform(the(loop, "fulfil").id, action, here.nina, data=told | more, attested=True)
    decision = loop.handoffs.get(stage="proposal-to-decide")
    workflow.perform(decision.id, "decline-proposal", here.gp, data={"answer": "Advice is enough."})
    assert the(loop, "fulfil").stage == "in-triage"


def test_nobody_enters_anything_for_a_performer_who_works_here(here: Region, asked: Loop) -> None:
    told, fulfil = {"channel": "phone", "spoken_to": "The front desk"}, the(asked, "fulfil")
    with pytest.raises(Forbidden):
        workflow.perform(fulfil.id, "receive", here.nina, data=told, attested=True)
    assert not [offer for offer in workflow.available(here.nina, fulfil) if offer.attested]


def test_nobody_proposes_what_was_asked_for_already(here: Region) -> None:
    take(request(**AT_CLINIC), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    with pytest.raises(Incorrect, match="full referral was asked for"):
        proposed(the_loop())


def test_a_request_of_our_own_is_replaced_by_one_for_a_full_referral(here: Region) -> None:
    draft = composer.draft(here.gp, "ana", "heart-clinic", reason="Murmur", advice=True)
    loop = composer.submit(draft, here.gp)
    assert loop.is_advice
    workflow.perform(the(loop, "fulfil").id, "propose-referral", here.partner, data={"proposal": "Yes."})
    with clock.at(MONDAY + timedelta(days=1)):
        workflow.perform(the(loop, "decide-next-step").id, "convert", here.gp)
    full = Handoff.objects.get(loop=loop, kind="fulfil", closed_at=None)
    new, old = store.get(*full.focus.split("/")), store.get("ServiceRequest", str(loop.request_id))
    assert (new["status"], old["status"]) == ("active", "revoked")
    assert "advice" not in str(new["category"])
    assert new["performer"] == old["performer"]


def test_whoever_is_asked_again_after_the_end_may_still_propose_a_full_referral(here: Region, asked: Loop) -> None:
    clinic = region.client("clinic", CLINIC)
    region.keep(document(MONDAY, id="advice"))
    workflow.perform(the(asked, "fulfil").id, "report", clinic, data={"report": "DocumentReference/advice"})
    review = the(asked, "review-report").id
    workflow.perform(review, "acknowledge", here.gp, data={"plan": "As advised.", "question_answered": True})
    workflow.perform(the(asked, "notify-patient").id, "tell", here.gp, data={"channel": "phone"})
    again = workflow.perform(review, "void", here.gp, data={"reason": "entered-in-error"}).loop
    assert (again.based_on_id, again.is_advice) == (asked.id, True)
    assert proposed(again).stage == "proposal-to-decide"


@pytest.mark.parametrize("has_begun", [False, True])
def test_what_its_ehr_withdraws_while_a_full_referral_is_proposed_is_cancelled_or_asked_to_be(
    here: Region, asked: Loop, has_begun: bool
) -> None:
    clinic = region.client("clinic", CLINIC)
    if has_begun:
        workflow.perform(the(asked, "fulfil").id, "start", clinic)
    proposed(asked)
    take(request(status="revoked", **ADVICE, **AT_CLINIC), here.ehr)
    expected = ["decide-next-step", "fulfil", "request-cancellation"] if has_begun else ["notify-patient"]
    assert open_kinds(asked) == expected


def test_nobody_decides_about_a_proposal_whose_performer_has_declined_or_stopped(here: Region, asked: Loop) -> None:
    clinic = region.client("clinic", CLINIC)
    proposal = proposed(asked)
    why = {"reason": "no-capacity", "reason_text": "Full."}
    with clock.at(proposal.due_at + timedelta(days=3)):
        workflow.perform(the(asked, "fulfil").id, "decline", clinic, data=why)
    decision = the(asked, "decide-next-step")
    assert decision.due_at > decision.opened_at > proposal.due_at, "it is another question, with a time of its own"
    assert (Handoff.objects.get(pk=proposal.pk).stage, open_kinds(asked)) == (
        "overtaken",
        ["decide-next-step", "notify-patient"],
    )


def test_of_several_who_advise_the_proposal_of_the_one_who_agrees_to_stop_ends_with_its_part(here: Region) -> None:
    loop, asked = asked_with_another(here)
    clinic = region.client("clinic", CLINIC)
    workflow.perform(asked.id, "start", clinic)
    workflow.perform(asked.id, "propose-referral", clinic, data={"proposal": "I should listen to it."})
    workflow.perform(asked.id, "request-cancellation", here.gp, data={"reason": "withdrawn"})
    workflow.perform(the(loop, "request-cancellation").id, "accept-cancellation", clinic)
    assert open_kinds(loop) == ["fulfil", "notify-patient"]


def test_a_proposal_stands_beside_the_advice_that_was_given(here: Region, asked: Loop) -> None:
    proposal = proposed(asked)
    region.keep(document(MONDAY, id="advice"))
    report = {"report": "DocumentReference/advice"}
    workflow.perform(the(asked, "fulfil").id, "report", region.client("clinic", CLINIC), data=report)
    assert Handoff.objects.get(pk=proposal.pk).is_open
