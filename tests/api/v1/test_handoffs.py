"""Acting on a handoff over v1: what is possible, doing it, and being too late."""

from datetime import timedelta
from typing import Any

from django.urls import get_resolver

from records import clock, store
from records.access import SYSTEM
from referrals.models import Event
from tests.api.v1.conftest import Caller, Town


def act(who: Caller, handoff: dict[str, Any], action: str, **data: Any) -> Any:
    body = {"action": action, "version": handoff["version"], "data": data}
    return who.post(f"handoffs/{handoff['id']}/perform", body)


def test_each_side_is_offered_what_it_may_do_and_no_more(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    theirs = town.performer.get(f"handoffs/{fulfil['id']}/available-actions").json()
    ours = town.placer.get(f"handoffs/{fulfil['id']}/available-actions").json()
    assert theirs["version"] == fulfil["version"]
    assert {"receive", "accept", "decline"} <= {one["action"] for one in theirs["actions"]}
    assert {one["action"] for one in ours["actions"]} & {"accept", "decline"} == set()
    decline = next(one for one in theirs["actions"] if one["action"] == "decline")
    assert [(one["name"], one["required"]) for one in decline["fields"]] == [("reason", True), ("reason_text", True)]
    assert "no-capacity" in dict(decline["fields"][0]["codes"])


def test_an_action_moves_the_handoff_and_says_what_it_opened(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    accepted = act(town.performer, fulfil, "accept")
    assert accepted.status_code == 200
    assert accepted.json()["handoff"]["stage"] == "awaiting-booking"
    assert accepted.json()["opened"] == []
    declined = act(town.performer, accepted.json()["handoff"], "decline", reason="no-capacity", reason_text="Full")
    assert {one["kind"] for one in declined.json()["opened"]} == {"decide-next-step", "notify-patient"}
    assert declined.json()["handoff"]["closed_at"] is not None


def test_who_comes_second_gets_409_and_changes_nothing(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    act(town.performer, fulfil, "accept")
    late = act(town.performer, fulfil, "decline", reason="no-capacity", reason_text="Full")
    assert late.status_code == 409
    assert late.json()["category"] == "stale"
    assert town.performer.get(f"handoffs/{fulfil['id']}").json()["stage"] == "awaiting-booking"


def test_what_is_not_possible_now_is_refused_with_what_is(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    refused = act(town.performer, fulfil, "no-show")
    assert refused.status_code == 422
    assert "accept" in refused.json()["detail"]
    assert act(town.placer, fulfil, "accept").status_code in (403, 422)


def test_a_missing_or_unknown_field_is_named(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    missing = act(town.performer, fulfil, "decline", reason="no-capacity", colour="red")
    assert missing.status_code == 422
    assert {"reason_text", "colour"} <= {issue["expression"] for issue in missing.json()["issues"]}
    without_version = town.performer.post(f"handoffs/{fulfil['id']}/perform", {"action": "accept"})
    assert [issue["expression"] for issue in without_version.json()["issues"]] == ["version"]


def test_an_outsider_learns_nothing_of_a_handoff(town: Town) -> None:
    fulfil = town.fulfil(town.refer())
    nothing = town.outsider.get("handoffs/none-such")
    for answer in (
        town.outsider.get(f"handoffs/{fulfil['id']}"),
        town.outsider.get(f"handoffs/{fulfil['id']}/available-actions"),
        act(town.outsider, fulfil, "accept"),
    ):
        assert answer.status_code == 404
        assert answer.content == nothing.content


def test_reading_a_handoff_costs_two_queries(town: Town, django_assert_max_num_queries: Any) -> None:
    fulfil = town.fulfil(town.refer())
    with django_assert_max_num_queries(2):  # the token, the handoff
        town.performer.get(f"handoffs/{fulfil['id']}")


def test_the_address_of_every_action_is_known() -> None:
    assert get_resolver().resolve("/api/v1/handoffs/x/perform").url_name == "handoff-perform"


def elsewhere(town: Town) -> dict[str, Any]:
    """The handoff of a performer who doesn't work here, and of whose part others enter what they are told."""
    store.write({"resourceType": "Organization", "id": "elsewhere", "name": "Elsewhere"}, actor=SYSTEM)
    owner = {"providedBy": {"reference": "Organization/elsewhere"}}
    store.write({"resourceType": "HealthcareService", "id": "theirs", "name": "Theirs", **owner}, actor=SYSTEM)
    return town.fulfil(town.refer(service="theirs"))


def entered(town: Town, handoff: dict[str, Any], told_at: str, *, attested: bool = True) -> Any:
    data = {"channel": "phone", "spoken_to": "The front desk"} if attested else {}
    body = {"action": "accept", "version": handoff["version"], "data": data, "attested": attested, "told_at": told_at}
    return town.placer.post(f"handoffs/{handoff['id']}/perform", body)


def test_what_is_entered_for_a_performer_may_have_happened_earlier(town: Town) -> None:
    ordered = clock.now()
    fulfil = elsewhere(town)
    with clock.at(ordered + timedelta(minutes=3)):
        answer = entered(town, fulfil, (ordered + timedelta(minutes=1)).isoformat())
    assert answer.status_code == 200, answer.content
    event = Event.objects.filter(handoff=fulfil["id"], action="accept").get()
    assert (event.at, event.attested) == (ordered + timedelta(minutes=1), True)


def test_a_time_to_come_none_at_all_or_of_ones_own_doing_is_refused(town: Town) -> None:
    fulfil = elsewhere(town)
    for told_at in ((clock.now() + timedelta(days=1)).isoformat(), "yesterday", "0001-01-01T00:00:00Z"):
        refused = entered(town, fulfil, told_at)
        assert refused.status_code == 422, told_at
        assert [issue["expression"] for issue in refused.json()["issues"]] == ["told_at"]
    own = entered(town, fulfil, clock.now().isoformat(), attested=False)
    assert own.status_code == 422
    assert [issue["expression"] for issue in own.json()["issues"]] == ["told_at"]
