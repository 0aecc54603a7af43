"""Whatever begins after a patient's death was confirmed tells nobody; a death known before the first order is asked about."""

from collections.abc import Iterator

import pytest

from records import clock, store
from referrals import workflow
from referrals.models import Handoff, Loop
from referrals.upheavals import death
from tests.referrals.exchange import answer, open_kinds, request, result, take, the, the_loop
from tests.referrals.region import Region, build
from tests.referrals.test_upheaval_death import FOLLOW_UP, LAB, ana, confirmed, dies, now, ordered
from tests.referrals.ward import MONDAY, hours

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]
READ = {"plan": "None", "question_answered": True}


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        yield build()


def test_a_late_report_of_the_dead_is_read_and_told_to_nobody(here: Region) -> None:
    loop = ordered(here, "sr", **LAB)
    with clock.at(hours(2)):
        take(result("final", hours(2)), here.partner)
        workflow.perform(the(loop, "review-report").id, "acknowledge", here.gp, data=READ)
        workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    ordered(here, "other")
    confirmed(here, hours(3))
    with clock.at(hours(5)):
        take(result("amended", hours(5)), here.partner)
    later = Loop.objects.get(based_on=loop)
    assert open_kinds(later) == ["review-report"]
    with clock.at(hours(6)):
        workflow.perform(the(later, "review-report").id, "acknowledge", here.gp, data=READ)
    assert (open_kinds(later), now(later).told_reason) == ([], "patient-died")


def test_an_order_after_the_death_goes_its_way_and_tells_nobody(here: Region) -> None:
    ordered(here, "sr")
    confirmed(here, hours(3))
    with clock.at(hours(4)):
        loop = ordered(here, "late")
        assert open_kinds(loop) == ["fulfil"]
        take(answer(the(loop, "fulfil"), "rejected", hours(4)), here.partner)
    assert open_kinds(loop) == ["decide-next-step"]
    with clock.at(hours(5)):
        workflow.perform(the(loop, "decide-next-step").id, "close", here.gp, data={"reason": "no-longer-needed"})
    assert (now(loop).stage, now(loop).told_reason) == ("cancelled", "patient-died")


def test_a_follow_up_of_the_dead_calls_nobody(here: Region) -> None:
    ordered(here, "sr")
    confirmed(here, hours(3))
    assert open_kinds(ordered(here, "visit", **FOLLOW_UP)) == ["fulfil"]


def test_a_death_that_is_refuted_reaches_what_was_ordered_after_it(here: Region) -> None:
    ordered(here, "sr")
    confirmed(here, hours(3))
    loop = ordered(here, "late")
    with clock.at(hours(6)):
        take(ana(deceasedBoolean=False), here.ehr)
    assert open_kinds(loop) == ["decide-next-step", "fulfil"]
    assert (now(loop).told_by, now(loop).end_reason) == ("", "")


def test_a_death_known_before_the_first_order_is_asked_about_with_it_once(here: Region) -> None:
    take(ana(deceasedBoolean=True), here.ehr)
    assert not Handoff.objects.exists()
    take(request("sr"), here.ehr)
    take(request("another"), here.ehr)
    asked = Handoff.objects.get(kind="confirm-death")
    assert (asked.loop.about, asked.owner) == ("Patient/ana", here.pool.owner)
    workflow.perform(asked.id, "refute", here.nina)
    take(request("third"), here.ehr)
    assert Handoff.objects.filter(kind="confirm-death").count() == 1, "what a person has refuted is not asked again"
    assert open_kinds(the_loop("third")) == ["dispatch"]


def test_the_silence_follows_a_merge_and_its_undoing(here: Region) -> None:
    ordered(here, "sr")
    dies(here, hours(1))
    into = {"link": [{"other": {"reference": "Patient/ben"}, "type": "replaced-by"}], "active": False}
    take({**store.get("Patient", "ana"), **into}, here.ehr)
    assert death.is_silenced("ana")
    assert death.is_silenced("ben")
    take(
        {**{key: value for key, value in store.get("Patient", "ana").items() if key != "link"}, "active": True},
        here.ehr,
    )
    assert not death.is_silenced("ben")
    assert death.is_silenced("ana")
