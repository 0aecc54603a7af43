"""An import opens no loop: its orders are listed, and a coordinator adopts or dismisses them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from records import clock, store
from records.access import Actor
from records.errors import Forbidden, Incorrect
from records.json import Resource, dumps, loads
from referrals import adoption, escalation, intake
from referrals.models import Adoptable, Handoff, Loop
from tests.referrals.exchange import concept, document, open_kinds, request, result, take, the_loop
from tests.referrals.region import PRACTICE, Region
from tests.referrals.ward import MONDAY

ORDERED = MONDAY - timedelta(days=40)
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def bring(resource: Resource, actor: Actor) -> intake.Received:
    """An import takes the resource in."""
    return intake.receive(loads(dumps(resource)), actor, opens=False)


def old(key: str = "sr", **elements: Any) -> Resource:
    return request(key, **{"authoredOn": ORDERED.isoformat(), **elements})


def waiting(actor: Actor, **more: Any) -> list[str]:
    return [one.request for one in adoption.listed(actor, clock.now(), **more).rows]


def test_an_imported_order_opens_nothing_and_is_listed(here: Region) -> None:
    assert bring(old(priority="urgent"), here.ehr).loop_id is None
    assert bring(old(priority="urgent"), here.ehr).loop_id is None
    assert not Loop.objects.exists()
    (one,) = adoption.listed(here.nina, MONDAY).rows
    assert (one.request, one.kind, one.title, one.priority) == ("sr", "referral", "Cardiology", "urgent")
    assert (one.patient_name, one.ordered_at, one.placer) == ("Ana Ruiz", ORDERED, PRACTICE)
    assert adoption.count(here.nina, MONDAY) == 1
    assert adoption.listed(here.outsider, MONDAY).rows == []


@pytest.mark.parametrize(
    "elements",
    [
        {"status": "completed"},
        {"status": "draft"},
        {"intent": "plan"},
        {"code": concept("420227002", "Recommendation")},
        {"authoredOn": "2025-03-01"},
    ],
)
def test_what_is_over_unknown_or_older_than_a_year_is_only_a_record(here: Region, elements: dict[str, Any]) -> None:
    bring(old(**elements), here.ehr)
    assert store.get("ServiceRequest", "sr")
    assert waiting(here.nina) == []
    assert adoption.count(here.nina, MONDAY) == 0


@pytest.mark.parametrize("is_first", [True, False])
def test_an_order_with_an_outcome_is_not_listed_whichever_came_first(here: Region, is_first: bool) -> None:
    report = result("final", MONDAY)
    for one in (report, old()) if is_first else (old(), report):
        bring(one, here.ehr)
    assert waiting(here.nina) == []
    assert not Loop.objects.exists(), "the report of an import opens no loop either"


def test_a_preliminary_result_or_a_document_of_another_order_is_no_outcome(here: Region) -> None:
    bring(old(), here.ehr)
    bring(result("preliminary", MONDAY), here.ehr)
    bring(document(MONDAY, context={"related": [{"reference": "ServiceRequest/another"}]}), here.ehr)
    assert waiting(here.nina) == ["sr"]
    bring(document(MONDAY, id="own", context={"related": [{"reference": "ServiceRequest/sr"}]}), here.ehr)
    assert waiting(here.nina) == []


def test_what_was_withdrawn_since_is_no_longer_listed(here: Region) -> None:
    bring(old(), here.ehr)
    bring(old(status="revoked"), here.ehr)
    assert waiting(here.nina) == []
    assert adoption.adopt(here.nina, ["sr"])[0].refused == "It is no active order any more."


def test_an_adopted_loop_keeps_the_orders_clock_and_its_first_handoff_starts_now(here: Region) -> None:
    bring(old(occurrencePeriod={"end": "2026-03-20"}), here.ehr)
    (done,) = adoption.adopt(here.nina, ["sr"])
    loop = the_loop()
    assert (done.request, done.loop, done.refused) == ("sr", loop.id, "")
    assert (loop.ordered_at, loop.opened_at, loop.placer, open_kinds(loop)) == (ORDERED, MONDAY, PRACTICE, ["dispatch"])
    assert loop.needed_by == datetime(2026, 3, 20, 23, 59, 59, tzinfo=UTC)
    assert Handoff.objects.get(loop=loop).due_at == MONDAY + timedelta(days=1)
    assert escalation.sweep(MONDAY) == 0, "nobody is told off for the time before"
    assert waiting(here.nina) == []
    assert Adoptable.objects.get().loop == loop


def test_adopting_twice_opens_one_loop(here: Region) -> None:
    bring(old(), here.ehr)
    first, second = adoption.adopt(here.nina, ["sr"]), adoption.adopt(here.nina, ["sr", "sr"])
    assert first == second
    assert Loop.objects.count() == 1


def test_many_are_adopted_at_once_and_what_failed_is_named(here: Region) -> None:
    for number in range(3):
        bring(old(f"sr-{number}"), here.ehr)
    bring(old("sr-1", status="revoked"), here.ehr)
    done = adoption.adopt(here.nina, ["sr-0", "sr-1", "sr-2", "nothing"])
    assert [bool(one.loop) for one in done] == [True, False, True, False]
    assert [one.request for one in done if one.refused] == ["sr-1", "nothing"]
    assert Loop.objects.count() == 2


def test_a_dismissed_order_leaves_the_list_with_its_reason_and_can_still_be_adopted(here: Region) -> None:
    bring(old(), here.ehr)
    assert adoption.dismiss(here.nina, ["sr"], reason="done-elsewhere")[0].refused == ""
    assert waiting(here.nina) == []
    (one,) = adoption.listed(here.nina, MONDAY, state="dismissed").rows
    assert (one.reason_code, one.dismissed_at) == ("done-elsewhere", MONDAY)
    bring(old(), here.ehr)
    assert waiting(here.nina) == [], "the same import again doesn't bring it back"
    assert adoption.adopt(here.nina, ["sr"])[0].loop
    assert waiting(here.nina, state="dismissed") == []
    assert adoption.dismiss(here.nina, ["sr"], reason="done-elsewhere")[0].refused == "It has been adopted already."


def test_a_dismissal_needs_a_reason_and_other_needs_words(here: Region) -> None:
    bring(old(), here.ehr)
    for reason, text, field in (("", "", "reason"), ("no-capacity", "", "reason"), ("other", " ", "reason_text")):
        with pytest.raises(Incorrect) as refused:
            adoption.dismiss(here.nina, ["sr"], reason=reason, text=text)
        assert refused.value.issues[0].expression == field
    assert waiting(here.nina) == ["sr"]


def test_only_coordinators_and_supervisors_of_the_organisation_decide(here: Region) -> None:
    bring(old(), here.ehr)
    for actor in (here.gp, here.partner, replace(here.nina, roles=frozenset({"administrator"}))):
        with pytest.raises(Forbidden):
            adoption.adopt(actor, ["sr"])
        with pytest.raises(Forbidden):
            adoption.dismiss(actor, ["sr"], reason="done-elsewhere")
    assert adoption.adopt(replace(here.nina, organization="elsewhere"), ["sr"])[0].refused
    assert not Loop.objects.exists()


def test_an_order_whose_loop_is_open_goes_the_usual_way_in_an_import_too(here: Region) -> None:
    take(request(), here.ehr)
    assert bring(request(status="revoked"), here.ehr).loop_id == the_loop().id
    assert the_loop().closed_at is not None
    assert not Adoptable.objects.exists()


def test_a_later_message_of_the_ehr_opens_the_loop_and_takes_the_order_off_the_list(here: Region) -> None:
    bring(old(), here.ehr)
    take(old(priority="urgent"), here.ehr)
    assert waiting(here.nina) == []
    assert adoption.adopt(here.nina, ["sr"])[0].loop == the_loop().id


def test_the_list_is_read_page_by_page_longest_waiting_first(
    here: Region, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        bring(old(f"sr-{number}", authoredOn=(ORDERED - timedelta(days=number)).isoformat()), here.ehr)
    seen, after = [], None
    for _page in range(3):
        with django_assert_max_num_queries(2):
            found = adoption.listed(here.nina, MONDAY, after=after, limit=2)
        seen += [one.request for one in found.rows]
        after = found.next
    assert seen == ["sr-4", "sr-3", "sr-2", "sr-1", "sr-0"]
    assert after is None
