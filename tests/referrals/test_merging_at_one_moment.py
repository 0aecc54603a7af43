"""Two records become one while something is ordered, or somebody dies: nothing stays with the record that is gone (0117, 0126)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from django.db import connection, transaction

from records import clock, store
from records.errors import BatonError
from records.types import row_class
from referrals import mortality, workflow
from referrals.models import Handoff, Loop, Merge
from referrals.upheavals import death, merge
from tests.referrals import region
from tests.referrals.exchange import concept, request, result, said, take, the, the_loop
from tests.referrals.meanwhile import meanwhile
from tests.referrals.region import CLINIC, Region, build, keep
from tests.referrals.test_upheaval_discharge import stay
from tests.referrals.ward import MONDAY

LAB = {"code": {"text": "CBC"}, "category": [concept("108252007")]}
READ = {"plan": "None", "question_answered": True}
Deed = Callable[[Region], object]


@pytest.fixture
def here(commits: None) -> Iterator[Region]:
    """The standing people of a region, committed, so that others see them."""
    with clock.at(MONDAY):
        yield build()


def both(here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed) -> None:
    """The second begins while the first is still at it."""
    with transaction.atomic():
        first(here)
        later = meanwhile(others, lambda: second(here))
    later.result()


def merges(here: Region) -> None:
    assert merge.merge("ana", "ben", here.nina) is not None


def parts(here: Region) -> None:
    merge.undo("ana", here.nina)


def orders(here: Region) -> None:
    take(request("new"), here.ehr)


def takes_up(here: Region) -> None:
    """A report that is amended after its loop has ended opens the loop that follows it."""
    take(result("amended", MONDAY), here.partner)


def dies(here: Region) -> None:
    death.report("ana", here.partner)


def is_confirmed(here: Region) -> None:
    dies(here)
    workflow.perform(Handoff.objects.get(kind="confirm-death", closed_at=None).id, "confirm", here.nina)


def in_either_order(first: Deed, second: Deed) -> list[tuple[Deed, Deed]]:
    return [(first, second), (second, first)]


def patients() -> set[str]:
    return set(Loop.objects.values_list("patient_id", flat=True))


@pytest.mark.parametrize(("first", "second"), in_either_order(orders, merges))
def test_an_order_placed_while_its_patient_is_merged_follows(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    both(here, others, first, second)
    loop = the_loop("new")
    assert loop.patient_id == "ben"
    assert row_class("ServiceRequest").rows("ServiceRequest").get(id="new").patient == "ben"
    parts(here)
    assert the_loop("new").patient_id == "ana"
    merges(here)
    is_confirmed(here)
    assert the_loop("new").end_reason == "patient-died"


@pytest.mark.parametrize(("first", "second"), in_either_order(orders, parts))
def test_an_order_placed_while_a_merge_is_undone_goes_back(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    merges(here)
    both(here, others, first, second)
    assert the_loop("new").patient_id == "ana"
    assert row_class("ServiceRequest").rows("ServiceRequest").get(id="new").patient == "ana"


def test_what_is_being_written_while_its_patient_is_merged_follows_soon(
    here: Region, others: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        about = {"subject": {"reference": "Patient/ana"}}
        keep({"resourceType": "List", "id": "plan", "status": "current", "mode": "working", **about})
        meanwhile(others, lambda: merges(here)).result()
    assert [merge.sweep(MONDAY), merge.sweep(MONDAY)] == [1, 0]
    row = row_class("List").rows("List").filter(id="plan")
    assert row.get().patient == "ben"
    parts(here)
    assert row.get().patient == "ana"


@pytest.mark.parametrize(("first", "second"), in_either_order(takes_up, merges))
def test_what_follows_an_ended_loop_follows_its_patient(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    take(request("sr", **LAB), here.ehr)
    loop = the_loop("sr")
    workflow.perform(the(loop, "dispatch").id, "send", here.gp)
    take(result("final", MONDAY), here.partner)
    workflow.perform(the(loop, "review-report").id, "acknowledge", here.gp, data=READ)
    workflow.perform(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    both(here, others, first, second)
    assert Loop.objects.get(based_on=loop).patient_id == "ben"
    parts(here)
    assert patients() == {"ana"}


@pytest.mark.parametrize(("first", "second"), in_either_order(dies, merges))
def test_a_death_reported_while_the_record_is_merged_is_asked_of_the_one_that_counts(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    orders(here)
    both(here, others, first, second)
    assert (mortality.known_of("ana"), mortality.known_of("ben")) == ("to-confirm-death",) * 2
    assert patients() == {"ben"}


@pytest.mark.parametrize(("first", "second"), in_either_order(is_confirmed, merges))
def test_a_death_confirmed_while_the_record_is_merged_ends_what_is_open(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    orders(here)
    both(here, others, first, second)
    assert (mortality.known_of("ana"), mortality.known_of("ben")) == ("death-confirmed",) * 2
    assert (the_loop("new").end_reason, patients()) == ("patient-died", {"ben"})


@pytest.mark.parametrize("answer", ["confirm", "refute"])
@pytest.mark.parametrize("is_first", [True, False])
def test_an_answer_given_while_the_record_is_merged_counts(
    here: Region, others: ThreadPoolExecutor, answer: str, is_first: bool
) -> None:
    orders(here)
    dies(here)
    question = Handoff.objects.get(kind="confirm-death")

    def answers(here: Region) -> None:
        workflow.perform(question.id, answer, here.nina)

    both(here, others, *((answers, merges) if is_first else (merges, answers)))
    assert mortality.known_of("ben") == ("death-confirmed" if answer == "confirm" else "")
    assert the_loop("new").end_reason == ("patient-died" if answer == "confirm" else "")


def at_once(pool: ThreadPoolExecutor, *deeds: Callable[[], object]) -> None:
    """All of them begun together, each on a connection of its own; some may be refused, none may stand in another's way."""
    barrier = Barrier(len(deeds))

    def one(deed: Callable[[], object]) -> None:
        try:
            with clock.at(MONDAY), suppress(BatonError):
                barrier.wait()
                deed()
        finally:
            connection.close()

    for done in [pool.submit(one, deed) for deed in deeds]:
        done.result()


@pytest.mark.parametrize("number", range(3))
def test_whoever_merges_orders_answers_and_takes_back_at_once_waits_in_one_order(here: Region, number: int) -> None:
    orders(here)
    dies(here)
    question, dispatch = Handoff.objects.get(kind="confirm-death"), the(the_loop("new"), "dispatch")
    with ThreadPoolExecutor(4) as pool:
        at_once(
            pool,
            lambda: merges(here),
            lambda: take(request(f"later{number}"), here.ehr),
            lambda: workflow.perform(question.id, "confirm", here.nina),
            lambda: workflow.perform(dispatch.id, "send", here.gp),
        )
        assert patients() == {"ben"}
        at_once(pool, lambda: death.refute("ana", here.nina), lambda: parts(here), lambda: dies(here))
    assert set(Loop.objects.filter(kind="referral").values_list("patient_id", flat=True)) == {"ana"}


def stay_ends(here: Region) -> None:
    take(stay(), region.client("clinic", CLINIC))


def moves(here: Region) -> None:
    take({**store.get("Patient", "ana"), "address": [{"country": "ES", "state": "B"}]}, here.ehr)


def whose(type_: str, key: str) -> str:
    return str(row_class(type_).rows(type_).get(id=key).patient)


@pytest.mark.parametrize(("first", "second"), in_either_order(stay_ends, merges))
def test_the_visit_after_a_stay_follows_with_its_request_and_goes_back(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    both(here, others, first, second)
    visit = Loop.objects.get(kind="follow-up")
    assert (visit.patient_id, whose("ServiceRequest", str(visit.request_id))) == ("ben", "ben")
    parts(here)
    visit.refresh_from_db()
    assert (visit.patient_id, whose("ServiceRequest", str(visit.request_id))) == ("ana", "ana")
    assert {whose("Task", each.id) for each in visit.handoffs.all()} == {"ana"}


def test_whoever_moves_while_they_are_merged_is_asked_about(here: Region, others: ThreadPoolExecutor) -> None:
    take({**store.get("Patient", "ana"), "address": [{"country": "ES", "state": "M"}]}, here.ehr)
    orders(here)
    both(here, others, merges, moves)
    assert the(the_loop("new"), "decide-next-step").opened_by_id == the(the_loop("new"), "dispatch").id


def is_written_again(here: Region) -> None:
    take(said({**PRESSURE, "note": [{"text": "Sitting"}]}, MONDAY + timedelta(hours=1)), here.partner)


PRESSURE = {
    "resourceType": "Observation",
    "id": "pressure",
    "status": "final",
    "code": {"text": "Blood pressure"},
    "subject": {"reference": "Patient/ana"},
}


@pytest.mark.parametrize(
    ("first", "second"),
    [(merges, orders), (merges, stay_ends), (parts, is_written_again)],
    ids=lambda deed: deed.__name__,
)
def test_of_two_who_wait_for_each_other_nobody_is_refused(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    take(request("new", status="draft"), here.ehr)
    take(stay("in-progress"), region.client("clinic", CLINIC))
    take(said(PRESSURE, MONDAY), here.partner)
    if first is parts:
        merges(here)
    with transaction.atomic():
        mortality.hold("ana")  # the second holds its record, then both wait for the patient: the first comes first
        begun = [meanwhile(others, partial(deed, here)) for deed in (first, second)]
    for one in begun:
        one.result()
    merge.sweep(MONDAY)
    everything = [("Observation", "pressure"), ("ServiceRequest", "new"), ("Encounter", "stay")]
    assert {whose(*each) for each in everything} == {"ana" if first is parts else "ben"}


def test_two_who_merge_the_same_records_the_other_way_round_merge_once(
    here: Region, others: ThreadPoolExecutor
) -> None:
    both(here, others, merges, lambda here: merge.merge("ben", "ana", here.gp))
    assert [(one.source, one.target) for one in Merge.objects.all()] == [("ana", "ben")]


def is_replaced(here: Region) -> None:
    link = [{"other": {"reference": "Patient/zoe"}, "type": "replaced-by"}]
    take({**store.get("Patient", "ana"), "active": False, "link": link}, here.ehr)


def replaces(here: Region) -> None:
    take({"resourceType": "Patient", "id": "zoe", "name": [{"family": "Ruiz"}]}, here.ehr)


@pytest.mark.parametrize(("first", "second"), [(is_replaced, replaces), (replaces, is_replaced)])
def test_a_record_and_the_one_that_replaces_it_find_each_other(
    here: Region, others: ThreadPoolExecutor, first: Deed, second: Deed
) -> None:
    both(here, others, first, second)
    assert Merge.objects.get().target == "zoe"
