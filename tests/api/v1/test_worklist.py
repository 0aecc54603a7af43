"""The worklist over v1: who has to do what by when, for each organisation its own."""

from datetime import timedelta
from typing import Any

import pytest

from records import clock
from tests.api.v1.conftest import Town


def test_a_sent_referral_stands_on_the_performers_list_and_is_awaited_by_the_placer(town: Town) -> None:
    loop = town.refer()["loop"]["id"]
    theirs = town.performer.get("worklist").json()["rows"]
    assert [(row["loop_id"], row["handoff"], row["stage"], row["patient_name"]) for row in theirs] == [
        (loop, "fulfil", "sent", "Ana Ferreira")
    ]
    assert "unclaimed" in theirs[0]["labels"]
    assert [row["loop_id"] for row in town.placer.get("worklist", label="waiting").json()["rows"]] == [loop]
    assert town.outsider.get("worklist", scope="organisation").json() == {"rows": [], "next": None}


def test_overdue_is_told_by_the_clock_alone(town: Town) -> None:
    town.refer(priority="stat")
    assert town.performer.get("worklist", label="overdue").json()["rows"] == []
    with clock.at(clock.now() + timedelta(minutes=4)):  # the token lives for five
        assert town.performer.get("worklist", label="due-soon").status_code == 200
    rows = town.performer.get("worklist").json()["rows"]
    assert rows[0]["due_at"].endswith("Z")


def test_the_tiles_count_the_rows_of_their_lists(town: Town) -> None:
    for _number in range(3):
        town.refer()
    tiles = {tile["name"]: tile for tile in town.performer.get("worklist/tiles").json()["tiles"]}
    assert tiles["team"] == {"name": "team", "count": 3, "is_capped": False}
    assert tiles["team"]["count"] == len(town.performer.get("worklist").json()["rows"])


def test_the_most_urgent_come_first_and_pages_follow_by_key(town: Town) -> None:
    made = {priority: town.refer(priority=priority)["loop"]["id"] for priority in ("routine", "stat", "urgent")}
    first = town.performer.get("worklist", limit=2).json()
    rest = town.performer.get("worklist", limit=2, after=first["next"]).json()
    assert [row["loop_id"] for row in first["rows"] + rest["rows"]] == [made["stat"], made["urgent"], made["routine"]]
    assert rest["next"] is None


def test_the_handoffs_of_the_whole_organisation_are_listed(town: Town) -> None:
    town.refer()
    town.refer(send=False)
    assert [row["handoff"] for row in town.placer.get("handoffs", handoff="dispatch").json()["rows"]] == ["dispatch"]
    assert {row["handoff"] for row in town.placer.get("handoffs").json()["rows"]} == {"dispatch", "fulfil"}


@pytest.mark.parametrize(
    "wanted",
    [
        {"label": "late"},
        {"scope": "world"},
        {"kind": "gift"},
        {"stage": "nonsense"},
        {"label": "nonsense"},
        {"owner": "me"},
        {"owner": "1e99"},
        {"after": "x"},
        {"after": "AAAA"},
        {"text": "a\x00b"},
        {"order_by": "id"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(town: Town, wanted: dict[str, str]) -> None:
    response = town.placer.get("worklist", **wanted)
    assert response.status_code == 400
    assert response.json()["category"] == "malformed"


def test_the_list_costs_the_same_however_long_it_is(town: Town, django_assert_max_num_queries: Any) -> None:
    for _number in range(4):
        town.refer()
    with django_assert_max_num_queries(5):  # the token, whose lists (two), the rows, the patients' names
        assert len(town.performer.get("worklist").json()["rows"]) == 4
    with django_assert_max_num_queries(4):
        town.performer.get("worklist/tiles")
