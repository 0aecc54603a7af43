"""An organisation's clocks and calendar over the API."""

from collections.abc import Callable
from typing import Any

from referrals.models import Policy
from tests.api.v1.conftest import PLACER, Caller, Town

KEY = "*.dispatch.*.*"


def put(caller: Caller, path: str, body: dict[str, Any]) -> Any:
    return caller.http.put(f"/api/v1/{path}", body, format="json")


def test_an_own_number_holds_for_new_clocks_and_says_so(town: Town) -> None:
    answer = put(town.placer, f"policies/{KEY}", {"amount": 2, "unit": "hours"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["clock"]["amount"] == 2
    assert "from now on" in answer.json()["applies_to"]
    listed = {one["key"]: one for one in town.placer.get("policies").json()["clocks"]}
    assert listed[KEY] | {"level": ""} == {
        "key": KEY,
        "loop_kind": "",
        "handoff": "dispatch",
        "stage": "",
        "level": "",
        "amount": 2,
        "unit": "hours",
        "is_own": True,
        "default_amount": 1,
        "default_unit": "business-days",
    }
    assert not any(one["is_own"] for one in town.performer.get("policies").json()["clocks"])
    gone = town.placer.http.delete(f"/api/v1/policies/{KEY}")
    assert (gone.status_code, gone.json()["clock"]["is_own"]) == (200, False)
    assert town.placer.http.delete(f"/api/v1/policies/{KEY}").status_code == 404


def test_what_is_wrong_is_named(town: Town) -> None:
    for path, body, field in (
        (f"policies/{KEY}", {"amount": 0, "unit": "hours"}, "amount"),
        (f"policies/{KEY}", {"amount": 1, "unit": "years"}, "unit"),
        ("policies/nothing", {"amount": 1, "unit": "hours"}, "key"),
        ("calendar", {"time_zone": "Mars/Olympus"}, "time_zone"),
        ("calendar", {"time_zone": "UTC", "closed_on": ["soon"]}, "closed_on"),
        ("calendar", {"time_zone": "UTC", "closed_on": ["9999-12-31"]}, "closed_on"),
        ("calendar", {"time_zone": "UTC", "weekend": [5]}, "weekend"),
    ):
        answer = put(town.placer, path, body)
        assert answer.status_code == 422, answer.content
        assert answer.json()["issues"][0]["expression"].split(".")[0] == field
    assert not Policy.objects.exists()


def test_the_calendar_is_set_as_a_whole(town: Town) -> None:
    assert town.placer.get("calendar").json()["is_own"] is False
    body = {"time_zone": "Europe/Berlin", "country": "DE", "region": "BY", "closed_on": ["2026-12-24"]}
    assert put(town.placer, "calendar", body).json()["calendar"] == body | {"is_own": True}
    assert town.placer.get("calendar").json() == body | {"is_own": True}
    assert town.performer.get("calendar").json()["is_own"] is False


def test_a_client_that_may_not_change_its_organisation_only_reads(town: Town, caller: Callable[..., Caller]) -> None:
    reader = caller(PLACER, "system/*.rs")
    assert reader.get("policies").status_code == 200
    assert put(reader, f"policies/{KEY}", {"amount": 2, "unit": "hours"}).status_code == 403
    assert put(reader, "calendar", {"time_zone": "UTC"}).status_code == 403
    assert reader.http.delete(f"/api/v1/policies/{KEY}").status_code == 403
