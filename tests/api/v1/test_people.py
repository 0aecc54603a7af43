"""People over v1: pools, absences, giving work away, and leaving."""

import json
from typing import Any

import pytest

from records import store
from records.access import SYSTEM
from referrals import people
from referrals.models import Membership, User
from tests.api.v1.conftest import PERFORMER, PLACER, Town


def hire(name: str, *roles: str, at: str = PERFORMER) -> User:
    body = {"resourceType": "Practitioner", "id": name, "active": True, "name": [{"family": name.title()}]}
    store.write(body, actor=SYSTEM)
    user = User.objects.create(username=name, last_name=name.title(), practitioner=name)
    Membership.objects.create(user=user, organization=at, roles=list(roles or ("practitioner",)))
    people.owner_for("person", name, organization=at)
    return user


@pytest.fixture
def ada(town: Town) -> User:
    return hire("ada", "coordinator")


@pytest.fixture
def bea(town: Town) -> User:
    return hire("bea")


def put(town: Town, path: str, body: dict[str, Any]) -> Any:
    return town.performer.http.put(f"/api/v1/{path}", body, format="json")


def test_a_pool_is_made_renamed_and_gets_its_people(town: Town, ada: User, bea: User) -> None:
    made = town.performer.post("pools", {"name": "Night desk", "members": ["ada"], "supervisor": "Practitioner/ada"})
    assert made.status_code == 201
    pool = made.json()
    assert (pool["name"], [one["username"] for one in pool["members"]]) == ("Night desk", ["ada"])
    body = {"name": "Day desk", "members": ["Practitioner/bea"]}
    changed = put(town, f"pools/{pool['id']}", body).json()
    assert (changed["name"], changed["supervisor"]["id"]) == ("Day desk", "ada")
    assert [one["username"] for one in changed["members"]] == ["bea"]
    assert changed in town.performer.get("pools").json()["pools"]
    assert town.performer.get(f"pools/{pool['id']}").json() == changed
    team = store.get("CareTeam", pool["id"])
    assert team["name"] == "Day desk"
    assert store.version("CareTeam", pool["id"], 1).id == pool["id"], "its versions say who changed what"


def test_a_pool_belongs_to_its_house(town: Town, ada: User) -> None:
    pool = town.performer.post("pools", {"name": "Desk"}).json()
    hire("guest", at=PLACER)
    assert put(town, f"pools/{pool['id']}", {"name": "Desk", "members": ["guest"]}).status_code == 422
    assert put(town, f"pools/{pool['id']}", {"name": "Desk", "supervisor": "Practitioner/guest"}).status_code == 422
    for caller in (town.placer, town.outsider):
        assert caller.get(f"pools/{pool['id']}").status_code == 404
        assert caller.http.put(f"/api/v1/pools/{pool['id']}", {"name": "Mine"}, format="json").status_code == 404


def test_a_pool_with_open_work_keeps_a_reader(town: Town, bea: User) -> None:
    fulfil = town.fulfil(town.refer())
    pool = fulfil["list"]["id"]
    assert put(town, f"pools/{pool}", {"name": "Desk", "members": ["bea"]}).status_code == 200
    refused = put(town, f"pools/{pool}", {"name": "Desk", "members": []})
    assert (refused.status_code, refused.json()["category"]) == (409, "conflict")
    hire("overseer", "supervisor")
    assert put(town, f"pools/{pool}", {"name": "Desk", "members": []}).status_code == 200, "who oversees reads it"


def test_an_absence_is_announced_and_ended(town: Town, ada: User, bea: User) -> None:
    body = {
        "person": "Practitioner/ada",
        "surrogate": "Practitioner/bea",
        "starts_at": "2030-01-07T08:00:00Z",
        "ends_at": "2030-01-14T08:00:00Z",
    }
    made = town.performer.post("absences", body)
    assert made.status_code == 201
    assert made.json()["surrogate"]["id"] == "bea"
    assert town.performer.get("absences").json()["absences"] == [made.json()]
    assert town.outsider.get("absences").json()["absences"] == []
    assert town.outsider.http.delete(f"/api/v1/absences/{made.json()['id']}").status_code == 404
    assert town.performer.http.delete(f"/api/v1/absences/{made.json()['id']}").status_code == 204
    assert town.performer.get("absences").json()["absences"] == []
    far = ({"starts_at": "0001-01-01T00:00:00Z"}, {"ends_at": "9999-12-31T23:59:59Z"})
    for wrong in (
        *far,
        {"ends_at": body["starts_at"]},
        {"surrogate": "Practitioner/ada"},
        {"person": "Practitioner/no"},
    ):
        refused = town.performer.post("absences", body | wrong)
        assert (refused.status_code, refused.json()["issues"][0]["expression"]) == (422, next(iter(wrong)))


def test_somebody_leaves_once_their_work_is_given_away(town: Town, ada: User, bea: User) -> None:
    fulfil = town.fulfil(town.refer())
    given = town.performer.post("handoffs/reassign", {"owner": "Practitioner/bea", "handoffs": [fulfil["id"]]})
    assert given.json() == {"done": [{"handoff": fulfil["id"], "refused": ""}]}
    refused = town.performer.post("people/bea/deactivate", {})
    assert (refused.status_code, refused.json()["category"]) == (409, "conflict")
    assert [issue["expression"] for issue in refused.json()["issues"]] == [f"Task/{fulfil['id']}"]
    body = {"resourceType": "Practitioner", "id": "bea", "active": False, "name": [{"family": "Bea"}]}
    over_fhir: Any = town.performer.http.generic(
        "PUT", "/fhir/Practitioner/bea", json.dumps(body), content_type="application/fhir+json"
    )
    assert over_fhir.status_code == 409
    assert over_fhir.json()["issue"][0]["expression"] == [f"Task/{fulfil['id']}"]
    assert town.performer.post("people/bea/hand-over", {"to": "Practitioner/ada"}).status_code == 200
    assert town.performer.post("people/bea/deactivate", {}).status_code == 204
    assert not User.objects.get(username="bea").is_active
    assert [one["id"] for one in town.performer.get("people").json()["people"]] == ["ada"]
    after = town.performer.get(f"handoffs/{fulfil['id']}").json()
    assert (after["owner"]["id"], after["due_at"]) == ("ada", fulfil["due_at"])


def test_what_a_list_finds_is_given_away(town: Town, ada: User, bea: User) -> None:
    for _ in range(3):
        town.refer()
    answer = town.performer.http.post(
        "/api/v1/handoffs/reassign?handoff=fulfil", {"owner": "Practitioner/bea"}, format="json"
    )
    assert [one["refused"] for one in answer.json()["done"]] == ["", "", ""]
    nothing = town.performer.post("handoffs/reassign", {"owner": "Practitioner/bea"})
    assert nothing.status_code == 422
    assert town.performer.http.post("/api/v1/handoffs/reassign?colour=red", {"owner": "x"}).status_code in (400, 415)


def test_others_work_can_not_be_given_away(town: Town, bea: User) -> None:
    fulfil = town.fulfil(town.refer())
    hire("guest", at=PLACER)
    answer = town.placer.post("handoffs/reassign", {"owner": "Practitioner/guest", "handoffs": [fulfil["id"]]})
    assert answer.json()["done"][0]["refused"]
    assert town.outsider.post("people/bea/deactivate", {}).status_code == 404
    assert town.placer.post("people/bea/hand-over", {}).status_code == 404


def test_a_standing_surrogate_is_set_and_taken_back(town: Town, ada: User, bea: User) -> None:
    answer = town.performer.post("people/ada/surrogate", {"surrogate": "Practitioner/bea"})
    assert answer.json()["surrogate"]["id"] == "bea"
    assert town.performer.post("people/ada/surrogate", {"surrogate": "Practitioner/ada"}).status_code == 422
    assert town.performer.post("people/ada/surrogate", {"surrogate": ""}).json()["surrogate"] is None
