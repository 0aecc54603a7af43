"""A death that is said of one of two records that become one: somebody confirms it for the other as well (decision 0126)."""

from collections.abc import Iterator

import pytest

from records import clock, store
from referrals import mortality, workflow
from referrals.models import Handoff, Loop
from referrals.upheavals import death, merge
from tests.referrals.exchange import answer, open_kinds, request, take, the, the_loop
from tests.referrals.region import PRACTICE, Region, build, patient
from tests.referrals.ward import MONDAY, hours

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]
BEN = {"subject": {"reference": "Patient/ben"}}


@pytest.fixture
def here() -> Iterator[Region]:
    with clock.at(MONDAY):
        yield build()


def ordered(here: Region, key: str, **elements: object) -> Loop:
    take(request(key, **elements), here.ehr)
    workflow.perform(the(the_loop(key), "dispatch").id, "send", here.gp)
    return the_loop(key)


def asked() -> Handoff:
    return Handoff.objects.select_related("loop", "owner").get(kind="confirm-death", closed_at=None)


def answered(here: Region, what: str) -> None:
    workflow.perform(asked().id, what, here.nina)


def dead(here: Region, who: str = "ana") -> None:
    death.report(who, here.partner)
    answered(here, "confirm")


def merged(here: Region, source: str = "ana", target: str = "ben") -> None:
    merge.merge(source, target, here.nina)


def ends(*loops: Loop) -> list[str]:
    return [Loop.objects.get(pk=loop.pk).end_reason for loop in loops]


def test_a_confirmed_death_is_asked_again_for_who_has_something_open(here: Region) -> None:
    first, second = ordered(here, "sr"), ordered(here, "sr2", **BEN)
    dead(here)
    merged(here)
    assert (asked().loop.about, asked().owner, mortality.known_of("ben")) == (
        "Patient/ben",
        here.pool.owner,
        "to-confirm-death",
    )
    assert (death.is_silenced("ben"), ends(first, second)) == (True, ["patient-died", ""])
    answered(here, "confirm")
    assert ends(first, second) == ["patient-died", "patient-died"]
    assert open_kinds(second) == []


def test_what_is_open_of_the_record_that_is_gone_is_asked_about_as_well(here: Region) -> None:
    loop = ordered(here, "sr")
    ordered(here, "sr2", **BEN)
    dead(here, "ben")
    merged(here)
    answered(here, "confirm")
    assert ends(loop) == ["patient-died"]


def test_nobody_is_asked_who_has_nothing_open(here: Region) -> None:
    ordered(here, "sr")
    dead(here)
    merged(here)
    assert not Handoff.objects.filter(closed_at=None).exists()
    assert mortality.known_of("ben") == "death-confirmed"


def test_a_death_that_only_the_record_says_is_asked_about_with_the_merge_or_the_next_order(here: Region) -> None:
    patient("third", "Ruis", "1980-01-31", "9998", PRACTICE)
    take({**store.get("Patient", "third"), "deceasedBoolean": True}, here.ehr)
    loop = ordered(here, "sr2", **BEN)
    merged(here, "third")
    assert asked().loop.patient_id == "ben"
    answered(here, "refute")
    merge.undo("third", here.nina)
    merged(here, "third", "ana")
    assert not Handoff.objects.filter(kind="confirm-death", closed_at=None).exists()
    ordered(here, "sr")
    assert (asked().loop.patient_id, open_kinds(loop)) == ("ana", ["fulfil"])


def test_two_who_were_asked_about_are_asked_about_once_and_twice_again_when_they_are_two(here: Region) -> None:
    ordered(here, "sr")
    loop = ordered(here, "sr2", **BEN)
    for who in ("ana", "ben"):
        death.report(who, here.partner)
    merged(here)
    assert (asked().loop.about, open_kinds(loop)) == ("Patient/ben", ["fulfil"])
    merge.undo("ana", here.nina)
    waiting = Handoff.objects.filter(kind="confirm-death", closed_at=None)
    assert sorted(waiting.values_list("loop__patient_id", flat=True)) == ["ana", "ben"]


def test_an_answer_that_was_another_for_each_is_asked_again(here: Region) -> None:
    ordered(here, "sr")
    dead(here)
    ordered(here, "sr2", **BEN)
    with clock.at(hours(1)):
        death.report("ben", here.partner)
        answered(here, "refute")
        merged(here)
        assert mortality.known_of("ben") == "to-confirm-death"


def test_who_lives_after_all_has_everything_taken_up_that_ended_by_it(here: Region) -> None:
    first, second = ordered(here, "sr"), ordered(here, "sr2", **BEN)
    dead(here)
    merged(here)
    answered(here, "refute")
    later = Loop.objects.get(based_on=first)
    assert (open_kinds(later), later.patient_id, open_kinds(second)) == (["decide-next-step"], "ben", ["fulfil"])
    assert mortality.known_of("ana") == ""


def test_two_people_after_all_the_other_one_lives(here: Region) -> None:
    first, second = ordered(here, "sr"), ordered(here, "sr2", **BEN)
    death.report("ana", here.partner)
    merged(here)
    answered(here, "confirm")
    assert ends(first, second) == ["patient-died", "patient-died"]
    merge.undo("ana", here.nina)
    later = Loop.objects.get(based_on=second)
    assert (open_kinds(later), later.patient_id) == (["decide-next-step"], "ben")
    assert not Loop.objects.filter(based_on=first).exists()
    assert (mortality.known_of("ana"), mortality.known_of("ben")) == ("death-confirmed", "")


def test_a_decline_while_it_is_asked_reaches_the_referrer_alone_once_it_is_confirmed(here: Region) -> None:
    ordered(here, "sr")
    loop = ordered(here, "sr2", **BEN)
    dead(here)
    merged(here)
    with clock.at(hours(1)):
        take(answer(the(loop, "fulfil"), "rejected", hours(1)), here.partner)
        answered(here, "confirm")
    assert (open_kinds(loop), ends(loop)) == ([], ["patient-died"])


def test_whoever_comes_after_a_chain_of_merges_is_of_the_record_that_counts(here: Region) -> None:
    patient("third", "Ruis", "1980-01-31", "9998", PRACTICE)
    loop = ordered(here, "sr")
    merged(here, "third", "ben")
    merged(here, "ana", "third")
    assert Loop.objects.get(pk=loop.pk).patient_id == "ben"
    merge.undo("third", here.nina)
    assert Loop.objects.get(pk=loop.pk).patient_id == "third"
    merge.undo("ana", here.nina)
    assert Loop.objects.get(pk=loop.pk).patient_id == "ana"
