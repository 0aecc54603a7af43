"""Whose word counts: an outcome is the performer's to tell; what others send is kept with the order or asks a person."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from records import access, clock
from records.errors import Incorrect
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import concept, document, encounter, open_kinds, request, result, take, the, the_loop
from tests.referrals.region import CARDIOLOGY, CLINIC, PRACTICE, Region
from tests.referrals.ward import MONDAY

LAB = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
NAMED = {"context": {"related": [{"reference": "ServiceRequest/sr"}]}}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def ordered(here: Region, **elements: Any) -> Loop:
    take(request(**elements), here.ehr)
    return the_loop()


def sent(here: Region, **elements: Any) -> Loop:
    loop = ordered(here, **elements)
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    return loop


def arrives(resource: Resource, sender: access.Actor) -> str | None:
    with clock.at(MONDAY + timedelta(hours=6)):
        return take(resource, sender).loop_id


def five_o_clock() -> datetime:
    return MONDAY + timedelta(hours=5)


@pytest.mark.parametrize("sender", ["ehr", "partner"])
def test_a_result_of_an_order_that_was_not_sent_is_a_persons_work(here: Region, sender: str) -> None:
    loop = ordered(here, **LAB)
    arrives(result("final", five_o_clock()), getattr(here, sender))
    unsolicited = Loop.objects.get(kind="unsolicited")
    assert (open_kinds(loop), open_kinds(unsolicited)) == (["dispatch"], ["match-evidence"])
    assert unsolicited.about == "DiagnosticReport/result"


def test_what_is_matched_to_an_order_that_was_not_sent_waits_until_it_was(here: Region) -> None:
    loop = ordered(here, **LAB)
    arrives(result("final", five_o_clock()), here.partner)
    waiting = the(Loop.objects.get(kind="unsolicited"), "match-evidence")
    with clock.at(MONDAY + timedelta(hours=7)):
        with pytest.raises(Incorrect, match="send it first"):
            workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
        assert Handoff.objects.get(pk=waiting.pk).is_open
        workflow.perform(the(loop, "dispatch").id, "send", here.gp)
        workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
    assert open_kinds(loop) == ["review-report"]
    assert Loop.objects.get(kind="unsolicited").stage == "matched"


def test_the_referrers_own_letter_is_kept_with_the_referral_and_ends_nothing(here: Region) -> None:
    loop = sent(here, performer=[{"reference": f"Organization/{CLINIC}"}])
    assert arrives(document(five_o_clock(), **NAMED), here.ehr) == loop.id
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["fulfil"])
    assert access.visible(region.client("clinic", CLINIC), "DocumentReference").get().pk == "note"
    assert Loop.objects.count() == 1


def test_who_refers_to_themselves_sends_no_report_with_the_letter(here: Region) -> None:
    own = {"performer": [{"reference": f"Organization/{PRACTICE}"}]}
    loop = sent(here, supportingInfo=[{"reference": "DocumentReference/letter"}], **own)
    arrives(document(five_o_clock(), id="letter", **NAMED), here.ehr)
    before = (MONDAY - timedelta(hours=1)).isoformat()
    arrives(document(five_o_clock(), id="earlier", date=before, **NAMED), here.ehr)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["fulfil"])
    arrives(document(five_o_clock(), date=five_o_clock().isoformat(), **NAMED), here.ehr)
    assert open_kinds(loop) == ["review-report"]


def test_a_performer_that_has_reported_amends_its_own_report_while_another_goes_on(here: Region) -> None:
    loop = sent(here, performer=[{"reference": f"Organization/{CLINIC}"}])
    hospital = {"performer": [f"Organization/{CARDIOLOGY}"]}
    workflow.perform(the(loop, "fulfil").id, "add-performer", here.gp, data=hospital)
    clinic = region.client("clinic", CLINIC)
    arrives(document(five_o_clock(), **NAMED), clinic)
    arrives(document(five_o_clock(), docStatus="amended", **NAMED), clinic)
    assert Event.objects.filter(loop=loop, action="amend").exists()
    assert Handoff.objects.get(loop=loop, kind="fulfil", closed_at=None).owner.organization == region.HOSPITAL


def test_a_referral_letter_before_the_sending_asks_nobody(here: Region) -> None:
    loop = ordered(here)
    assert arrives(document(five_o_clock(), **NAMED), here.ehr) == loop.id
    assert (open_kinds(loop), Loop.objects.count()) == (["dispatch"], 1)


def test_a_performer_who_works_here_sends_the_report_by_its_own_client(here: Region) -> None:
    loop = sent(here, performer=[{"reference": f"Organization/{CLINIC}"}])
    arrives(document(five_o_clock(), **NAMED), region.client("clinic", CLINIC))
    assert open_kinds(loop) == ["review-report"]


def test_a_report_from_elsewhere_asks_the_referrer_to_decide_and_the_referral_goes_on(here: Region) -> None:
    loop = sent(here)
    other = replace(here.partner, id="partner:other", organization="other")
    arrives(document(five_o_clock(), **NAMED), other)
    arrives(document(five_o_clock(), description="again", **NAMED), other)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["decide-next-step", "fulfil"])
    assert Event.objects.get(loop=loop, action="seen-elsewhere").evidence == "DocumentReference/note"
    assert access.visible(here.gp, "DocumentReference").get().pk == "note", "the referrer may read what was found there"


def test_a_visit_says_itself_who_had_it_whoever_brings_the_news(here: Region) -> None:
    loop = sent(here)
    at_the_clinic = {"serviceProvider": {"reference": f"Organization/{CLINIC}"}}
    arrives(encounter(five_o_clock(), **at_the_clinic), here.ehr)
    assert (the(loop, "fulfil").stage, open_kinds(loop)) == ("sent", ["decide-next-step", "fulfil"])
    at_the_hospital = {"serviceProvider": {"reference": f"Organization/{CARDIOLOGY}"}}
    arrives(encounter(five_o_clock(), id="other", **at_the_hospital), here.ehr)
    assert the(loop, "fulfil").stage == "seen-awaiting-report"


def test_a_result_that_the_orderers_system_brings_is_confirmed_by_a_person(here: Region) -> None:
    loop = sent(here, **LAB)
    arrives(result("final", five_o_clock()), here.ehr)
    waiting = the(Loop.objects.get(kind="unsolicited"), "match-evidence")
    assert open_kinds(loop) == ["fulfil"]
    with clock.at(MONDAY + timedelta(hours=7)):
        workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
    assert open_kinds(loop) == ["review-report"]


def test_a_visit_that_the_referrer_had_with_the_patient_completes_no_follow_up_elsewhere(here: Region) -> None:
    at_clinic = [{"reference": f"Organization/{CLINIC}"}]
    loop = ordered(here, code=concept("390906007"), performer=at_clinic)
    arrives(encounter(five_o_clock()), here.ehr)
    assert (loop.placer, the(loop, "fulfil").stage) == (PRACTICE, "planned")
