"""Reading between two instants: every change is seen, whatever the partner's pages do."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.connecting.client import Server
from fhir_bridge.inbound import windows
from records import errors
from tests.fhir_bridge.shelf import put_at

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = NOON + timedelta(hours=1)
WHOLE = windows.Window("Observation", NOON, END)


def put(ehr: FakeEhr, id_: str, at: datetime, version: int = 1) -> None:
    ehr.shifts = True
    put_at(ehr, {"resourceType": "Observation", "id": id_}, at, version)


def at(milliseconds: int) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def read(ehr: FakeEhr, window: windows.Window = WHOLE, size: int = 3) -> Counter[str]:
    """The ids that one reading gives; it must end at the window's end and never go back."""
    found: Counter[str] = Counter()
    reached = window.lower
    for stretch in windows.read(Server(ehr.base_url), window, size):
        assert stretch.until >= reached
        reached = stretch.until
        found.update(str(each["id"]) for each in stretch.resources)
    assert reached == window.upper
    return found


def searches(ehr: FakeEhr) -> int:
    return sum(1 for request in ehr.requests if request.verb == "GET")


def test_pages_are_read_to_the_end(ehr: FakeEhr) -> None:
    for number in range(20):
        put(ehr, str(number), at(number * 10))
    assert set(read(ehr)) == {str(number) for number in range(20)}


def test_what_changes_while_the_pages_are_read_moves_nothing_out_of_sight(ehr: FakeEhr) -> None:
    for number in range(12):
        put(ehr, str(number), at(number * 10))

    def change_the_first(_request: Request, honest: Answer) -> Answer:
        moved = searches(ehr) - 1
        if moved < 4:
            put(ehr, str(moved), END + timedelta(seconds=moved), 2)  # leaves the window, the others move up
        return honest

    with ehr.faulty(change_the_first):
        found = read(ehr)
    assert set(found) >= {str(number) for number in range(4, 12)}


def test_more_of_one_instant_than_a_page_holds(ehr: FakeEhr) -> None:
    for number in range(11):
        put(ehr, f"same-{number}", at(50))
    put(ehr, "later", at(51))
    assert set(read(ehr)) == {f"same-{number}" for number in range(11)} | {"later"}


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_link_that_expires_costs_nothing(status: int, ehr: FakeEhr) -> None:
    for number in range(12):
        put(ehr, str(number), at(number // 2))

    def expired(request: Request, honest: Answer) -> Answer:
        return Answer(status) if dict(request.query).get("_offset", "0") != "0" else honest

    with ehr.faulty(expired):
        assert set(read(ehr, size=4)) == {str(number) for number in range(12)}


def test_of_a_partner_that_does_not_sort_a_narrower_window_is_read_when_its_links_expire(ehr: FakeEhr) -> None:
    for number in range(40):
        put(ehr, str(number), at(number * 60_000))

    def unsorted_and_forgetful(request: Request, honest: Answer) -> Answer:
        if int(dict(request.query).get("_offset", "0")) > 6:
            return Answer(410)
        entries = list(reversed(honest.body["entry"])) if honest.body else []
        return Answer(200, {**(honest.body or {}), "entry": entries})

    with ehr.faulty(unsorted_and_forgetful):
        assert set(read(ehr)) == {str(number) for number in range(40)}


def test_a_partner_without_links_is_asked_until_it_has_nothing_new(ehr: FakeEhr) -> None:
    for number in range(10):
        put(ehr, str(number), at(number * 10))

    def unlinked(_request: Request, honest: Answer) -> Answer:
        return Answer(200, {key: value for key, value in (honest.body or {}).items() if key != "link"})

    with ehr.faulty(unlinked):
        assert set(read(ehr)) == {str(number) for number in range(10)}


def test_a_partner_that_is_known_to_give_links_is_not_asked_once_more(ehr: FakeEhr) -> None:
    put(ehr, "1", at(10))
    read(ehr, windows.Window("Observation", NOON, END, is_linked=True))
    assert searches(ehr) == 1


def test_a_link_to_another_path_or_server_is_never_followed(ehr: FakeEhr) -> None:
    for number in range(7):
        put(ehr, str(number), at(number * 10))

    def leads_away(_request: Request, honest: Answer) -> Answer:
        body: dict[str, Any] = dict(honest.body or {})
        if body.get("link"):
            body["link"] = [{"relation": "next", "url": "https://elsewhere.example/fhir?_getpages=1"}]
        return Answer(200, body)

    with ehr.faulty(leads_away):
        assert set(read(ehr)) == {str(number) for number in range(7)}


def test_a_page_that_can_not_be_read_is_asked_for_in_smaller_ones(ehr: FakeEhr) -> None:
    for number in range(9):
        put(ehr, str(number), at(number * 10))

    def too_much(request: Request, honest: Answer) -> Answer:
        return honest if int(dict(request.query)["_count"]) <= 2 else Answer(200, text="{")

    with ehr.faulty(too_much):
        assert set(read(ehr, size=10)) == {str(number) for number in range(9)}


def test_a_reading_goes_on_where_another_ended(ehr: FakeEhr) -> None:
    for number in range(12):
        put(ehr, str(number), at(number * 10))
    first = next(windows.read(Server(ehr.base_url), WHOLE, 3))
    ehr.requests.clear()

    rest = read(ehr, replace(WHOLE, lower=first.until))

    assert {str(each["id"]) for each in first.resources} | set(rest) == {str(number) for number in range(12)}
    assert "0" not in rest


def test_one_that_can_not_be_read_at_all_is_named_and_the_others_are_read(ehr: FakeEhr) -> None:
    for number in range(12):
        put(ehr, str(number), at(number // 3 * 10))

    def broken(request: Request, honest: Answer) -> Answer:
        entries = (honest.body or {}).get("entry", [])
        shown = {each["resource"]["id"] for each in entries} | {request.path.rpartition("/")[2]}
        is_whole = "_elements" not in dict(request.query)
        return Answer(200, text='{"resourceType": 1e999999}') if is_whole and "4" in shown else honest

    found, unreadable = set[str](), list[Any]()
    with ehr.faulty(broken):
        for stretch in windows.read(Server(ehr.base_url), WHOLE, 10):
            found |= {str(each["id"]) for each in stretch.resources}
            unreadable += stretch.unreadable
    assert found == {str(number) for number in range(12)} - {"4"}
    assert {each["id"] for each in unreadable} == {"4"}
    assert stretch.until == END


def test_pages_without_an_end_are_left(ehr: FakeEhr) -> None:
    for number in range(9):
        put(ehr, f"same-{number}", at(50))
    with ehr.moody(lambda request: "endless" if len(request.query) > 4 else ""), pytest.raises(errors.Unavailable):
        read(ehr)
    assert len(ehr.requests) < 20


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_type_that_the_partner_does_not_offer_is_not_one_without_changes(status: int, ehr: FakeEhr) -> None:
    with ehr.refusing(Answer(status)), pytest.raises(windows.NotOffered):
        read(ehr)


def test_what_fails_in_the_middle_is_told(ehr: FakeEhr) -> None:
    for number in range(12):
        put(ehr, str(number), at(number * 10))
    with (
        ehr.faulty(lambda _request, honest: honest if searches(ehr) < 3 else Answer(429, headers={"Retry-After": "7"})),
        pytest.raises(errors.Throttled),
    ):
        read(ehr)


@settings(max_examples=60)
@given(
    instants=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    size=st.integers(1, 7),
    cap=st.integers(1, 7),
    changes=st.dictionaries(st.integers(1, 12), st.integers(0, 29), max_size=4),
    expires=st.booleans(),
    linked=st.booleans(),
)
def test_whatever_the_pages_do_no_change_is_missed(
    instants: list[int], size: int, cap: int, changes: dict[int, int], expires: bool, linked: bool
) -> None:
    """Equal instants, page sizes that are ignored, resources that move while they are read, links that expire."""
    with FakeEhr() as ehr:
        ehr.page = max(cap, max(Counter(instants).values()) * 3) if expires or not linked else cap
        for number, instant in enumerate(instants):
            put(ehr, str(number), at(instant))

        def faults(request: Request, honest: Answer) -> Answer:
            moved = changes.get(searches(ehr))
            if moved is not None and moved < len(instants):
                put(ehr, str(moved), END + timedelta(seconds=searches(ehr)), 2)
            if expires and dict(request.query).get("_offset", "0") != "0":
                return Answer(410)
            body = {key: value for key, value in (honest.body or {}).items() if linked or key != "link"}
            return Answer(honest.status, body)

        with ehr.faulty(faults):
            found = read(ehr, size=ehr.page if expires or not linked else size)
        still_there = {each["id"] for each in ehr.all("Observation") if each["meta"]["versionId"] == "1"}
        assert set(found) >= still_there
