"""What stands on a pool's list is taken by somebody and given back; its owner has no other writer but the placer."""

import pytest

from records import store
from records.access import SYSTEM
from records.errors import Incorrect
from referrals import intake, leaving, people, reassigning, workflow
from referrals.models import Handoff, Loop, Owner
from tests.referrals.region import client, keep
from tests.referrals.staff import Colleague, hire, sees
from tests.referrals.ward import Ward, hours


@pytest.fixture
def fulfil(ward: Ward) -> Handoff:
    """A request on the clinic's pool's list, that nobody has taken."""
    for name in ("consultant", "boss", "stranger"):
        keep({"resourceType": "Practitioner", "id": name})
    return ward.sent()[1]


def again(handoff: Handoff) -> Handoff:
    return Handoff.objects.select_related("owner", "list", "loop__accountable").get(pk=handoff.pk)


def test_a_person_takes_it_from_the_pool_and_gives_it_back(ward: Ward, fulfil: Handoff) -> None:
    due = fulfil.due_at
    assert "owner" not in store.get("Task", fulfil.id)
    ward.does(ward.clinic, fulfil, "claim")
    mine = again(fulfil)
    assert (mine.owner.kind, mine.owner.key, mine.list) == ("person", "consultant", mine.owner)
    assert mine.list_id in people.lists_of(ward.clinic)
    assert mine.due_at == due, "to take it is not to have done anything"
    assert store.get("Task", fulfil.id)["owner"]["reference"] == "Practitioner/consultant"
    ward.does(ward.clinic, again(fulfil), "give-back", note="I'm away tomorrow.")
    back = again(fulfil)
    assert (back.owner, back.list) == (ward.clinic_pool, ward.clinic_pool)
    assert "owner" not in store.get("Task", fulfil.id)


def test_what_somebody_has_taken_is_not_taken_from_them(ward: Ward, fulfil: Handoff) -> None:
    ward.does(ward.clinic, fulfil, "claim")
    with pytest.raises(Incorrect, match="somebody has taken it already"):
        ward.does(ward.clinic, fulfil, "claim")


def test_what_the_pool_holds_is_not_given_back(ward: Ward, fulfil: Handoff) -> None:
    with pytest.raises(Incorrect, match="nobody has taken it"):
        ward.does(ward.clinic, fulfil, "give-back")


def test_the_placers_pool_is_taken_from_in_the_same_way(ward: Ward) -> None:
    loop = ward.order()
    dispatch = ward.only(loop, "dispatch")
    ward.does(ward.coordinator, dispatch, "claim")
    assert again(dispatch).owner.key == "coordinator"
    offered = {one.action for one in workflow.available(ward.coordinator, again(dispatch))}
    assert "give-back" in offered
    assert "claim" not in offered


@pytest.mark.parametrize("named", ["Practitioner/boss", "Practitioner/stranger", "Practitioner/nobody"])
def test_only_somebody_who_works_there_can_be_named(ward: Ward, fulfil: Handoff, named: str) -> None:
    with pytest.raises(Incorrect) as refusal:
        ward.does(ward.clinic, fulfil, "claim", claimant=named)
    assert [issue.expression for issue in refusal.value.issues] == ["claimant"]
    assert again(fulfil).owner == ward.clinic_pool


def test_what_is_taken_by_somebody_who_does_not_sign_in_stays_on_the_pools_list(ward: Ward, fulfil: Handoff) -> None:
    keep({"resourceType": "Practitioner", "id": "visiting"})
    keep(
        {
            "resourceType": "PractitionerRole",
            "id": "visiting-at-clinic",
            "practitioner": {"reference": "Practitioner/visiting"},
            "organization": {"reference": "Organization/clinic"},
        }
    )
    workflow.perform(fulfil.id, "claim", client("theatre", "clinic"), data={"claimant": "Practitioner/visiting"})
    taken = again(fulfil)
    assert (taken.owner.key, taken.owner.internal, taken.list) == ("visiting", False, ward.clinic_pool)
    assert Owner.objects.get(key="visiting").organization == "clinic"


def test_a_performer_sets_the_owner_of_an_unowned_task_in_fhir(ward: Ward, fulfil: Handoff) -> None:
    clinic, task = client("his", "clinic"), store.get("Task", fulfil.id)
    intake.receive({**task, "status": "accepted", "owner": {"reference": "Practitioner/consultant"}}, clinic)
    taken = again(fulfil)
    assert (taken.owner.key, taken.stage) == ("consultant", "awaiting-booking")
    with pytest.raises(Incorrect) as refusal:
        intake.receive({**store.get("Task", fulfil.id), "owner": {"reference": "Organization/clinic"}}, clinic)
    assert [issue.expression for issue in refusal.value.issues] == ["Task.owner"], "only the placer gives it to another"


def test_nobody_claims_a_task_in_fhir_for_another_organisation(ward: Ward, fulfil: Handoff) -> None:
    task = store.get("Task", fulfil.id)
    with pytest.raises(Incorrect):
        intake.receive({**task, "owner": {"reference": "Organization/practice"}}, client("his", "clinic"))
    assert again(fulfil).owner == ward.clinic_pool


@pytest.fixture
def carl(ward: Ward) -> Colleague:
    """A colleague in two teams of the clinic's."""
    return hire("carl", at="clinic", pool=ward.clinic_pool)


def asked_of_two_teams(ward: Ward, carl: Colleague) -> tuple[Loop, Handoff, Handoff]:
    """A request that has gone to two pools of the clinic, both of which Carl works in."""
    teams = [people.create_pool("clinic", name, members=[carl.user]).owner for name in ("Heart", "Lungs")]
    loop = ward.order()
    named = [f"CareTeam/{team.key}" for team in teams]
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", performer=named)
    heart, lungs = (again(Handoff.objects.get(loop=loop, kind="fulfil", owner=team)) for team in teams)
    return loop, heart, lungs


def test_what_was_taken_from_a_team_stays_before_that_team_and_goes_back_to_it(ward: Ward, carl: Colleague) -> None:
    _loop, _heart, lungs = asked_of_two_teams(ward, carl)
    team, dora = lungs.owner, hire("dora", at="clinic", pool=lungs.owner)
    ward.does(carl.actor, lungs, "claim")
    assert sees(dora.actor, lungs, hours(2)) is None
    assert sees(dora.actor, lungs, hours(500)), "the team reads what is late"
    ward.does(carl.actor, again(lungs), "give-back")
    assert again(lungs).owner == team
    ward.does(carl.actor, again(lungs), "claim")
    reassigning.hand_over(carl.owner, carl.actor)
    assert again(lungs).owner == team


def test_the_right_result_is_asked_of_the_team_that_gave_the_wrong_one_though_another_of_the_house_is_at_it(
    ward: Ward, carl: Colleague
) -> None:
    loop, heart, lungs = asked_of_two_teams(ward, carl)
    team = lungs.owner
    ward.does(carl.actor, lungs, "claim")
    ward.does(carl.actor, again(lungs), "report", report="DocumentReference/wrong")
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert {one.owner for one in open_parts(loop)} == {heart.owner, team}


def open_parts(loop: Loop) -> list[Handoff]:
    return list(Handoff.objects.select_related("owner", "list").filter(loop=loop, kind="fulfil", closed_at=None))


def test_the_right_result_of_who_has_left_is_their_teams_to_give(ward: Ward, carl: Colleague) -> None:
    boss = hire("head", "supervisor", at="clinic")
    loop, part = ward.sent()
    ward.does(carl.actor, part, "claim")
    ward.does(carl.actor, again(part), "report", report="DocumentReference/wrong")
    leaving.leave(carl.user, "clinic", boss.actor)
    ward.does(ward.referrer, ward.only(loop, "review-report"), "void", reason="wrong-patient")
    assert [(one.owner, one.list) for one in open_parts(loop)] == [(ward.clinic_pool, ward.clinic_pool)]


def test_who_has_left_is_not_asked_to_stop_but_their_team(ward: Ward, carl: Colleague) -> None:
    boss = hire("head", "supervisor", at="clinic")
    loop, part = ward.sent()
    ward.does(carl.actor, part, "claim")
    ward.does(carl.actor, again(part), "decline", reason="no-capacity", reason_text="Full.")
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="no-longer-needed")
    ward.tell(loop)
    leaving.leave(carl.user, "clinic", boss.actor)
    after = workflow.perform(part.id, "start-anyway", SYSTEM).loop
    asked = Handoff.objects.get(loop=after, kind="request-cancellation")
    assert (asked.owner, asked.list) == (ward.clinic_pool, ward.clinic_pool)


@pytest.mark.parametrize("is_named", [True, False])
def test_what_is_sent_to_a_person_of_ours_who_does_not_sign_in_stands_before_their_house(
    ward: Ward, carl: Colleague, *, is_named: bool
) -> None:
    boss = hire("head", "supervisor", at="clinic")
    here = {"reference": "Organization/clinic"}
    keep(
        {"resourceType": "PractitionerRole", "id": "role", "practitioner": {"reference": "Practitioner/carl"}}
        | {"organization": here}
    )
    loop = ward.order() if is_named else ward.order(performer_owner=carl.owner)
    leaving.leave(carl.user, "clinic", boss.actor)
    named = {"performer": ["PractitionerRole/role"]} if is_named else {}
    ward.does(ward.referrer, ward.only(loop, "dispatch"), "send", **named)
    [part] = open_parts(loop)
    assert part.list == ward.clinic_pool
    assert sees(boss.actor, part, hours(1), "organisation") is not None
    assert "accept" in {one.action for one in workflow.available(boss.actor, part)}
