"""A specimen that had to be collected again: that it is, that it won't be, and a result that comes all the same."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from records import clock
from records.access import Actor
from records.errors import Incorrect
from records.json import Resource
from referrals import workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import answer, concept, open_kinds, request, result, said, take, the, the_loop
from tests.referrals.region import Region
from tests.referrals.ward import MONDAY, hours

LABORATORY: dict[str, Any] = {
    "code": {"text": "CBC"},
    "category": [concept("108252007")],
    "authoredOn": MONDAY.isoformat(),
}
pytestmark = [pytest.mark.django_db]


@pytest.fixture
def here(db: None) -> Iterator[Region]:
    with clock.at(MONDAY):
        yield region.build()


@pytest.fixture
def rejected(here: Region) -> Loop:
    """The specimen was collected, and is unsatisfactory."""
    take(request(**LABORATORY), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    does(here.partner, loop, "fulfil", "collect", 1)
    does(here.partner, loop, "fulfil", "reject-specimen", 2, reason="specimen-unsatisfactory")
    return loop


def does(actor: Actor, loop: Loop, kind: str, action: str, at: float, **data: Any) -> workflow.Outcome:
    with clock.at(hours(at)):
        return workflow.perform(the(loop, kind).id, action, actor, data=data)


def arrives(resource: Resource, actor: Actor, at: float) -> None:
    with clock.at(hours(at)):
        take(resource, actor)


def keeps(here: Region, loop: Loop) -> None:
    does(here.gp, loop, "decide-next-step", "keep", 3)
    assert open_kinds(loop) == ["recollect"]


def reads_and_tells(here: Region, loop: Loop) -> None:
    does(here.gp, loop, "review-report", "acknowledge", 20, plan="Go on", question_answered=True)
    does(here.nina, loop, "notify-patient", "tell", 21, channel="phone")


def specimen(key: str, status: str, at: datetime, **elements: Any) -> Resource:
    about = {"subject": {"reference": "Patient/ana"}, "request": [{"reference": "ServiceRequest/sr"}]}
    return said({"resourceType": "Specimen", "id": key, "status": status, **about, **elements}, at)


def test_the_referrer_cancels_a_recollection_for_a_coded_reason(here: Region, rejected: Loop) -> None:
    keeps(here, rejected)
    does(here.gp, rejected, "recollect", "cancel", 4, reason="no-longer-needed")
    assert (the(rejected, "recollect").stage, open_kinds(rejected)) == ("cancelled", ["notify-patient"])
    does(here.nina, rejected, "notify-patient", "tell", 5, channel="phone")
    assert (the_loop().stage, the_loop().end_reason) == ("cancelled", "no-longer-needed")


@pytest.mark.parametrize(("status", "stage"), [("rejected", "declined"), ("failed", "failed"), ("cancelled", "failed")])
def test_a_laboratory_that_will_not_collect_again_asks_the_referrer(
    here: Region, rejected: Loop, status: str, stage: str
) -> None:
    keeps(here, rejected)
    arrives(answer(the(rejected, "recollect"), status, hours(4)), here.partner, 4)
    assert the(rejected, "recollect").stage == stage
    assert open_kinds(rejected) == ["decide-next-step", "notify-patient"]
    does(here.gp, rejected, "decide-next-step", "close", 5, reason="no-longer-needed")
    does(here.nina, rejected, "notify-patient", "tell", 6, channel="phone")
    assert the_loop().stage == "cancelled"


def test_a_recollection_that_fails_before_the_referrer_has_decided_asks_nothing_twice(
    here: Region, rejected: Loop
) -> None:
    does(here.partner, rejected, "recollect", "fail", 3, reason="unable")
    assert open_kinds(rejected) == ["decide-next-step", "notify-patient"]
    with pytest.raises(Incorrect, match="nobody is performing it"):
        does(here.gp, rejected, "decide-next-step", "keep", 4)


def test_a_patient_who_declines_the_recollection_leaves_the_decision_to_the_referrer(
    here: Region, rejected: Loop
) -> None:
    keeps(here, rejected)
    does(here.nina, rejected, "recollect", "patient-declines", 4)
    assert open_kinds(rejected) == ["decide-next-step"]
    does(here.gp, rejected, "decide-next-step", "close", 5, reason="patient-declined")
    assert the_loop().stage == "closed-patient-declined"


def test_a_request_that_is_revoked_ends_the_recollection(here: Region, rejected: Loop) -> None:
    keeps(here, rejected)
    arrives(request(**LABORATORY, status="revoked"), here.ehr, 4)
    assert (the(rejected, "recollect").stage, open_kinds(rejected)) == ("cancelled", ["notify-patient"])
    assert the_loop().end_reason == "withdrawn"


def test_a_request_on_hold_asks_the_referrer_while_the_recollection_waits(here: Region, rejected: Loop) -> None:
    arrives(request(**LABORATORY, status="on-hold"), here.ehr, 3)
    assert Event.objects.filter(loop=rejected, action="hold").exists(), "the journal says so, one decision is enough"
    assert open_kinds(rejected) == ["decide-next-step", "recollect"]
    arrives(request(**LABORATORY, status="active"), here.ehr, 4)
    keeps(here, rejected)
    arrives(request(**LABORATORY, status="on-hold"), here.ehr, 5)
    assert the(rejected, "decide-next-step").stage == "in-question"


def test_a_request_on_hold_that_only_waits_for_a_decision_is_in_the_journal(here: Region, rejected: Loop) -> None:
    does(here.partner, rejected, "recollect", "fail", 3, reason="unable")
    arrives(request(**LABORATORY, status="on-hold"), here.ehr, 4)
    assert Event.objects.get(loop=rejected, action="hold").evidence == "ServiceRequest/sr"
    assert open_kinds(rejected) == ["decide-next-step", "notify-patient"]


@pytest.mark.parametrize("status", ["revoked", "on-hold"])
def test_what_has_been_performed_can_not_be_withdrawn_in_silence(here: Region, rejected: Loop, status: str) -> None:
    keeps(here, rejected)
    arrives(result("final", hours(4)), here.partner, 4)
    with pytest.raises(Incorrect, match="nothing is left to be withdrawn"):
        arrives(request(**LABORATORY, status=status), here.ehr, 5)
    assert open_kinds(rejected) == ["review-report"]


def test_a_result_after_all_ends_the_recollection(here: Region, rejected: Loop) -> None:
    keeps(here, rejected)
    arrives(result("cancelled", hours(4)), here.partner, 4)
    assert open_kinds(rejected) == ["recollect", "review-report"], "that is no result"
    arrives(result("final", hours(5), key="right"), here.partner, 5)
    assert the(rejected, "recollect").stage == "overtaken"
    does(here.gp, rejected, "review-report", "acknowledge", 6, plan="Go on", question_answered=True)
    for review in Handoff.objects.filter(loop=rejected, kind="review-report", closed_at=None):
        with clock.at(hours(7)):
            workflow.perform(review.id, "acknowledge", here.gp, data={"plan": "Go on", "question_answered": True})
    does(here.nina, rejected, "notify-patient", "tell", 8, channel="phone")
    assert (the_loop().stage, the_loop().end_reason) == ("closed", "")


def test_a_decision_that_is_ended_after_its_result_was_read_and_told_leaves_the_loop_closed(
    here: Region, rejected: Loop
) -> None:
    arrives(result("final", hours(4)), here.partner, 4)
    assert open_kinds(rejected) == ["decide-next-step", "review-report"]
    reads_and_tells(here, rejected)
    does(here.gp, rejected, "decide-next-step", "close", 22, reason="no-longer-needed")
    loop = the_loop()
    assert (loop.stage, loop.end_reason, loop.acknowledged_reason, loop.told_reason) == ("closed", "", "", "")


def test_a_new_specimen_is_the_recollection(here: Region, rejected: Loop) -> None:
    arrives(specimen("new", "available", hours(4)), here.partner, 4)
    assert (the(rejected, "recollect").stage, the(rejected, "fulfil").stage) == ("recollected", "specimen-collected")
    assert (open_kinds(rejected), Event.objects.get(action="recollected").evidence) == (["fulfil"], "Specimen/new")


def test_a_new_specimen_that_is_in_the_laboratory_was_collected_again(here: Region, rejected: Loop) -> None:
    arrives(specimen("new", "available", hours(4), receivedTime=hours(4).isoformat()), here.partner, 4)
    assert (open_kinds(rejected), the(rejected, "fulfil").stage) == (["fulfil"], "in-lab")


def test_the_old_specimen_is_no_recollection_and_rejects_only_itself(here: Region) -> None:
    take(request(**LABORATORY), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    arrives(specimen("old", "available", hours(1)), here.partner, 1)
    arrives(specimen("old", "unsatisfactory", hours(2)), here.partner, 2)
    arrives(specimen("old", "available", hours(3)), here.partner, 3)
    taken = {"collection": {"collectedDateTime": hours(1).isoformat()}}
    arrives(specimen("older", "available", hours(3), **taken), here.partner, 3)
    assert open_kinds(loop) == ["decide-next-step", "recollect"]
    arrives(specimen("new", "available", hours(4)), here.partner, 4)
    arrives(specimen("old", "unsatisfactory", hours(5), note=[{"text": "Clotted"}]), here.partner, 5)
    assert (open_kinds(loop), the(loop, "fulfil").stage) == (["fulfil"], "specimen-collected")
    arrives(specimen("new", "unsatisfactory", hours(6)), here.partner, 6)
    assert open_kinds(loop) == ["decide-next-step", "recollect"]


def test_another_laboratorys_own_specimen_is_not_the_one_that_was_to_be_collected_again(here: Region) -> None:
    region.keep({"resourceType": "Organization", "id": "sanatorium", "name": "Sanatorium"})
    other = Actor(id="partner:sanatorium", kind="partner", display="Sanatorium", organization="sanatorium")
    take(request(**LABORATORY), here.ehr)
    loop = the_loop()
    both = {"performer": ["Organization/hospital", "Organization/sanatorium"]}
    workflow.perform(the(loop, "dispatch").id, "send", here.gp, data=both)
    arrives(specimen("theirs", "available", hours(1)), here.partner, 1)
    arrives(specimen("theirs", "unsatisfactory", hours(2)), here.partner, 2)
    arrives(specimen("own", "available", hours(3)), other, 3)
    part = Handoff.objects.get(loop=loop, kind="fulfil", owner__organization="sanatorium")
    assert (part.stage, the(loop, "recollect").stage) == ("specimen-collected", "to-recollect")
