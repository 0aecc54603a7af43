"""Nobody leaves with open work: here it is refused and listed, from elsewhere it goes to the pools and is told."""

import pytest

from records import store
from records.access import SYSTEM
from records.errors import Conflict, Forbidden, NotFound
from referrals import intake, leaving, people, reassigning
from referrals.models import Escalation, Event, Handoff, Loop, Membership, Owner, Pool, User
from referrals.worklists import Filters
from tests.referrals.region import client
from tests.referrals.staff import Colleague, hire, review_for, sees
from tests.referrals.ward import MONDAY, Ward


@pytest.fixture
def ada(ward: Ward) -> Colleague:
    return hire("ada")


@pytest.fixture
def bea(ward: Ward) -> Colleague:
    return hire("bea")


def what_keeps(who: Colleague, ward: Ward) -> list[str]:
    """The references of what stands in the way."""
    with pytest.raises(Conflict) as refused:
        leaving.leave(who.user, "practice", ward.boss)
    assert people.actor_for(User.objects.get(pk=who.user.pk)).organization == "practice", "nothing has changed"
    return [issue.expression for issue in refused.value.issues]


def test_who_has_open_work_can_not_leave_and_hears_what_it_is(ward: Ward, ada: Colleague) -> None:
    loop, review = review_for(ward, ada)
    Pool.objects.filter(owner=ward.practice_pool).update(supervisor=ada.owner)
    assert what_keeps(ada, ward) == [f"Task/{review.id}", f"Task/{loop.id}", f"CareTeam/{ward.practice_pool.key}"]


def test_responsibility_for_a_loop_is_work_too(ward: Ward, ada: Colleague) -> None:
    loop, _fulfil = ward.sent(requester="ada", responsible=ada.owner)
    assert what_keeps(ada, ward) == [f"Task/{loop.id}"]


def test_the_only_reader_of_a_list_with_open_work_can_not_leave(ward: Ward) -> None:
    ward.order()
    User.objects.filter(username="boss").update(is_active=False)
    nina = Colleague(User.objects.get(username="coordinator"), people.owner_for("person", "coordinator"))
    assert what_keeps(nina, ward) == [f"CareTeam/{ward.practice_pool.key}"]
    hire("second", "coordinator")
    leaving.leave(nina.user, "practice", ward.boss)


def test_the_last_who_oversees_a_house_stays_as_long_as_others_work_there(ward: Ward, ada: Colleague) -> None:
    User.objects.filter(username="boss").update(is_active=False)
    nina = Colleague(User.objects.get(username="coordinator"), people.owner_for("person", "coordinator"))
    assert what_keeps(nina, ward) == ["Organization/practice"], "the next order would come to a list that nobody reads"
    leaving.leave(ada.user, "practice", ward.boss)
    leaving.leave(nina.user, "practice", ward.boss)


def test_who_only_administers_is_no_reader_of_a_list(ward: Ward) -> None:
    ward.order()
    hire("adam", "administrator", pool=ward.practice_pool)
    User.objects.filter(username="boss").update(is_active=False)
    nina = Colleague(User.objects.get(username="coordinator"), people.owner_for("person", "coordinator"))
    assert what_keeps(nina, ward) == [f"CareTeam/{ward.practice_pool.key}"]


def test_a_pool_of_administrators_alone_is_still_read_by_who_oversees_the_house(ward: Ward) -> None:
    dispatch = ward.only(ward.order(), "dispatch")
    adam, pool = hire("adam", "administrator"), Pool.objects.get(owner=ward.practice_pool)
    people.change_pool(pool, ward.boss, members=[adam.user])

    assert [sees(who, dispatch, MONDAY) for who in (ward.coordinator, ward.boss)] == ["", ""]


def test_what_somebody_had_read_before_they_left_may_be_void_all_the_same(
    ward: Ward, ada: Colleague, bea: Colleague
) -> None:
    loop, review = review_for(ward, ada)
    ward.does(ada.actor, review, "acknowledge", plan="Continue.", question_answered=True)
    reassigning.hand_over(ada.owner, ward.coordinator, to=bea.owner)
    leaving.leave(ada.user, "practice", ward.boss)
    ward.does(
        ward.referrer, Handoff.objects.select_related("loop", "owner").get(pk=review.pk), "void", reason="wrong-patient"
    )
    asked = ward.only(loop, "decide-next-step")
    assert (asked.stage, asked.owner) == ("right-result", bea.owner)


def test_all_of_it_goes_to_a_colleague_in_one_go_and_then_they_may_leave(
    ward: Ward, ada: Colleague, bea: Colleague
) -> None:
    review_for(ward, ada)
    waiting, _fulfil = ward.sent(requester="ada", responsible=ada.owner)
    dues = dict(Handoff.objects.values_list("id", "due_at"))
    done = reassigning.hand_over(ada.owner, ward.coordinator, to=bea.owner, note="Dr Ada leaves.")
    assert [one.refused for one in done] == ["", "", ""]
    assert not Handoff.objects.filter(owner=ada.owner, closed_at=None).exists()
    assert Loop.objects.filter(responsible=bea.owner).count() == 2
    assert dict(Handoff.objects.values_list("id", "due_at")) == dues, "law 2"
    assert Event.objects.filter(action="reassign").count() == 1
    assert Event.objects.filter(loop=waiting, action="transfer", actor_display="Coordinator").count() == 1
    leaving.leave(ada.user, "practice", ward.boss)
    user = User.objects.get(pk=ada.user.pk)
    assert not user.is_active
    assert people.actor_for(user).organization == ""
    assert not Owner.objects.get(pk=ada.owner.pk).internal
    assert not Membership.objects.filter(user=user).exists()


def test_it_may_all_go_to_the_pools_behind_it(ward: Ward, ada: Colleague) -> None:
    loop, review = review_for(ward, ada)
    reassigning.hand_over(ada.owner, ward.coordinator)
    assert Handoff.objects.get(pk=review.pk).owner == ward.practice_pool
    assert Loop.objects.get(pk=loop.pk).responsible is None
    leaving.leave(ada.user, "practice", ward.boss)


def test_who_has_left_the_practice_decides_nothing_for_it_in_another_houses_name(ward: Ward, ada: Colleague) -> None:
    Membership.objects.create(user=ada.user, organization="clinic", roles=["practitioner"])
    loop, part = ward.sent(requester="ada")
    reassigning.hand_over(ada.owner, ward.coordinator)
    leaving.leave(ada.user, "practice", ward.boss)
    at_the_clinic = people.actor_for(User.objects.get(pk=ada.user.pk), "clinic")
    assert people.roles_in(at_the_clinic, part) == {"performer"}
    ward.does(at_the_clinic, part, "report", report="DocumentReference/own")
    with pytest.raises((Forbidden, NotFound)):
        ward.does(at_the_clinic, ward.only(loop, "review-report"), "acknowledge", plan="Fine.", question_answered=True)


def test_what_comes_after_somebody_has_left_is_the_pools(ward: Ward, ada: Colleague) -> None:
    loop, review = review_for(ward, ada)
    ward.does(ada.actor, review, "acknowledge", plan="Go on.", question_answered=True)
    ward.tell(loop)
    leaving.leave(ada.user, "practice", ward.boss)
    fulfil = Handoff.objects.get(loop=loop, kind="fulfil")
    outcome = ward.does(ward.clinic, fulfil, "amend", report="DocumentReference/new", state="amended")
    again = ward.only(outcome.loop, "review-report")
    assert (again.owner, sees(ward.coordinator, again, MONDAY)) == (ward.practice_pool, "")


def test_chosen_ones_are_given_away_and_what_can_not_be_is_named(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    mine = [review_for(ward, ada)[1].id for _ in range(3)]
    _loop, theirs = ward.sent()
    done = reassigning.reassign(ward.coordinator, [*mine, theirs.id, "none-such"], "Practitioner/bea", note="Leave")
    assert [bool(one.refused) for one in done] == [False, False, False, True, True]
    assert Handoff.objects.filter(owner=bea.owner).count() == 3
    assert Event.objects.filter(action="reassign").count() == 3


def test_a_whole_list_is_given_away(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    for _ in range(3):
        review_for(ward, ada)
    review_for(ward, bea)
    found = reassigning.listed(ward.coordinator, Filters(scope="organisation", owner=ada.owner.pk), MONDAY)
    reassigning.reassign(ward.coordinator, found, "Practitioner/bea")
    assert Handoff.objects.filter(owner=bea.owner).count() == 4


def test_only_who_manages_people_lets_somebody_go(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    for actor in (ada.actor, bea.actor, ward.coordinator, ward.clinic, ward.stranger, ward.partner):
        with pytest.raises(Forbidden):
            leaving.leave(ada.user, "practice", actor)


def test_who_works_for_two_organisations_leaves_one(ward: Ward, ada: Colleague) -> None:
    Membership.objects.create(user=ada.user, organization="clinic", roles=["practitioner"])
    leaving.leave(ada.user, "practice", ward.boss)
    assert people.actor_for(User.objects.get(pk=ada.user.pk)).organization == "clinic"


def test_our_own_ehr_hears_what_keeps_a_practitioner(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    body = {"resourceType": "Practitioner", "id": "ada", "active": True, "name": [{"family": "Ada"}]}
    store.write(body, actor=SYSTEM)
    _loop, review = review_for(ward, ada)
    ehr = client("ehr", "practice")
    with pytest.raises(Conflict) as refused:
        intake.receive({**body, "active": False}, ehr)
    assert f"Task/{review.id}" in {issue.expression for issue in refused.value.issues}
    assert store.get("Practitioner", "ada")["active"] is True
    reassigning.hand_over(ada.owner, ward.coordinator, to=bea.owner)
    intake.receive({**body, "active": False}, ehr)
    assert not User.objects.get(pk=ada.user.pk).is_active


@pytest.mark.parametrize("stranger", ["partner", "clinic"])
def test_whoever_works_here_stays_whatever_others_say(ward: Ward, ada: Colleague, stranger: str) -> None:
    body = {"resourceType": "Practitioner", "id": "ada", "name": [{"family": "Ada"}]}
    store.write(body, actor=SYSTEM)
    loop, review = review_for(ward, ada)
    intake.receive({**body, "active": False}, ward.partner if stranger == "partner" else client("ehr", "clinic"))
    assert ward.only(loop, "review-report").owner == ada.owner
    assert Loop.objects.get(pk=loop.pk).responsible == ada.owner
    assert people.actor_for(User.objects.get(pk=ada.user.pk)).organization == "practice"
    with pytest.raises(Conflict) as refused:
        intake.receive({**body, "active": False, "gender": "female"}, client("own", "practice"))
    assert f"Task/{review.id}" in {issue.expression for issue in refused.value.issues}


def test_of_who_signs_in_no_more_the_work_goes_to_the_pools_and_the_supervisor_is_told(
    ward: Ward, ada: Colleague
) -> None:
    body = {"resourceType": "Practitioner", "id": "ada", "name": [{"family": "Ada"}]}
    store.write(body, actor=SYSTEM)
    loop, review = review_for(ward, ada)
    User.objects.filter(pk=ada.user.pk).update(is_active=False)
    intake.receive({**body, "active": False}, ward.partner)
    assert ward.only(loop, "review-report").owner == ward.practice_pool
    assert Loop.objects.get(pk=loop.pk).responsible is None
    assert list(Escalation.objects.filter(handoff=review).values_list("owner__name", flat=True)) == ["Dr Boss"]
    assert Event.objects.filter(loop=loop, action="reassign", actor_kind="system").count() == 1


def test_a_performer_of_another_house_who_is_gone_leaves_it_to_that_house(ward: Ward) -> None:
    body = {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doc"}]}
    store.write(body, actor=SYSTEM)
    doc = people.owner_for("person", "doc", organization="elsewhere", name="Dr Doc")
    loop, fulfil = ward.sent(performer="elsewhere", performer_owner=doc)
    intake.receive({**body, "active": False}, ward.partner)
    after = ward.only(loop, "fulfil")
    assert (after.owner.kind, after.owner.organization, after.due_at) == ("organisation", "elsewhere", fulfil.due_at)
    assert sees(ward.coordinator, after, MONDAY) == ""
