"""The list to adopt over the API."""

import pytest

from records import access
from records.access import Actor
from referrals import intake
from tests.api.v1.conftest import EVERYTHING, PERFORMER, PLACER, Town


@pytest.fixture
def orders(town: Town) -> list[str]:
    """Three orders of the practice came with an import."""
    actor = Actor("client:x", "client", "Import", organization=PLACER, scopes=frozenset({EVERYTHING}))
    keys = [f"order-{number}" for number in range(3)]
    for key in keys:
        intake.receive(_order(key), actor, opens=False)
    return keys


def _order(key: str) -> dict[str, object]:
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]},
        "subject": {"reference": "Patient/p-1"},
        "requester": {"reference": f"Organization/{PLACER}"},
        "performer": [{"reference": f"Organization/{PERFORMER}"}],
    }


def test_orders_are_listed_by_pages_and_adopted_in_bulk(town: Town, orders: list[str]) -> None:
    first = town.placer.get("adoption", limit=2).json()
    second = town.placer.get("adoption", limit=2, after=first["next"]).json()
    assert [one["request"] for one in first["rows"] + second["rows"]] == orders
    assert second["next"] is None
    done = town.placer.post("adoption/adopt", {"requests": [orders[0], "nothing"]}).json()["done"]
    assert town.placer.get(f"referrals/{done[0]['loop']}").json()["loop"]["request"] == orders[0]
    assert (done[1]["loop"], bool(done[1]["refused"])) == ("", True)
    assert len(town.placer.get("adoption").json()["rows"]) == 2


def test_a_dismissal_names_its_reason(town: Town, orders: list[str]) -> None:
    wrong = town.placer.post("adoption/dismiss", {"requests": orders, "reason": "no-capacity"})
    assert (wrong.status_code, wrong.json()["issues"][0]["expression"]) == (422, "reason")
    town.placer.post("adoption/dismiss", {"requests": orders[:1], "reason": "other", "reason_text": "Seen at home."})
    (gone,) = town.placer.get("adoption", state="dismissed").json()["rows"]
    assert (gone["request"], gone["reason_text"]) == (orders[0], "Seen at home.")


def test_the_list_of_another_organisation_is_nobodys_business(town: Town, orders: list[str]) -> None:
    assert access.is_tenant(PERFORMER)
    for caller in (town.performer, town.outsider):
        assert caller.get("adoption").json()["rows"] == []
        assert caller.post("adoption/adopt", {"requests": orders[:1]}).json()["done"][0]["loop"] == ""
    assert len(town.placer.get("adoption").json()["rows"]) == 3
