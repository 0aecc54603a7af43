"""The figures over the API."""

from tests.api.v1.conftest import Town


def test_a_clients_own_loops_are_counted_by_service_and_priority(town: Town) -> None:
    town.refer()
    town.refer(priority="urgent")
    answer = town.placer.get("metrics").json()
    assert [(one["service"], one["priority"], one["loops"]) for one in answer["groups"]] == [
        ("clinic", "routine", 1),
        ("clinic", "urgent", 1),
    ]
    first = answer["groups"][0]["intervals"][0]
    assert (first["begins"], first["ends"], first["count"]) == ("ordered", "sent", 1)
    together = town.performer.http.get("/api/v1/metrics?by=performer&by=service&direction=received").json()["groups"]
    assert [(one["performer"], one["priority"], one["loops"]) for one in together] == [("city-hospital", "", 2)]
    assert town.outsider.get("metrics").json()["groups"] == []
    assert town.placer.get("metrics", priority="stat").json()["groups"] == []


def test_the_period_is_of_whole_days_and_both_count(town: Town) -> None:
    town.refer()
    answer = town.placer.get("metrics").json()
    until = answer["until"][:10]
    assert town.placer.get("metrics", since="2020-01-01", until="2020-12-31").json()["groups"] == []
    assert answer["since"] < until
    assert town.placer.get("metrics", kind="test-order").json()["groups"] == []


def test_what_makes_no_sense_is_named(town: Town) -> None:
    for name, value in (
        ("kind", "upkeep"),
        ("since", "soon"),
        ("by", "patient"),
        ("direction", "up"),
        ("pool", "x"),
        ("until", "9999-12-31"),
    ):
        answer = town.placer.get("metrics", **{name: value})
        assert answer.status_code == 400, answer.content
        assert answer.json()["issues"][0]["expression"] == name
