"""Two people at one moment: what one is about to write, the other can't overlook (docs/decisions/0117)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, transaction

from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import Conflict, Incorrect
from referrals import leaving, people, workflow
from referrals.models import Handoff, Loop, Membership, Owner, Pool, User
from referrals.opening import Order
from referrals.upheavals import death
from tests.referrals.meanwhile import meanwhile
from tests.referrals.staff import hire, sees
from tests.referrals.ward import MONDAY, Ward, found_ward


@pytest.fixture
def town(commits: None) -> Iterator[Ward]:
    """The people of the stories, committed, so that others see them."""
    with clock.at(MONDAY):
        yield found_ward()


def stranger(name: str) -> User:
    """A colleague who has never had any work."""
    user = User.objects.create(username=name, first_name="Dr", last_name=name.title(), practitioner=name)
    Membership.objects.create(user=user, organization="practice", roles=["practitioner"])
    store.write(
        {"resourceType": "Practitioner", "id": name, "name": [{"family": name.title()}]}, actor=SYSTEM, validate=False
    )
    return user


def newcomer(name: str, *, is_known: bool) -> User:
    return hire(name).user if is_known else stranger(name)


@pytest.mark.parametrize("is_known", [True, False])
def test_whoever_is_being_given_work_can_not_leave(town: Ward, others: ThreadPoolExecutor, is_known: bool) -> None:
    user, dispatch = newcomer("ada", is_known=is_known), town.only(town.order(), "dispatch")
    with transaction.atomic():
        workflow.perform(dispatch.id, "reassign", town.coordinator, data={"owner": "Practitioner/ada"})
        leaving_ = meanwhile(others, lambda: leaving.leave(user, "practice", town.boss))
    with pytest.raises(Conflict) as refused:
        leaving_.result()
    assert [issue.expression for issue in refused.value.issues] == [f"Task/{dispatch.id}"]
    after = Handoff.objects.select_related("list", "owner").get(pk=dispatch.pk)
    assert (after.list.key, after.owner.internal, User.objects.get(pk=user.pk).is_active) == ("ada", True, True)
    assert sees(town.coordinator, after, MONDAY, "organisation") is not None


@pytest.mark.parametrize("is_known", [True, False])
def test_nobody_is_given_work_who_is_leaving(town: Ward, others: ThreadPoolExecutor, is_known: bool) -> None:
    user, dispatch = newcomer("ada", is_known=is_known), town.only(town.order(), "dispatch")
    with transaction.atomic():
        leaving.leave(user, "practice", town.boss)
        given = meanwhile(
            others,
            lambda: workflow.perform(dispatch.id, "reassign", town.coordinator, data={"owner": "Practitioner/ada"}),
        )
    with pytest.raises(Conflict if is_known else Incorrect):
        given.result()
    assert Handoff.objects.get(pk=dispatch.pk).list == town.practice_pool
    assert not Owner.objects.get(kind="person", key="ada").internal


def test_of_two_last_readers_only_the_first_may_leave(town: Ward, others: ThreadPoolExecutor) -> None:
    town.order()
    ada, ben = stranger("ada"), stranger("ben")
    chief = people.actor_for(hire("chief", "administrator").user)
    with clock.at(MONDAY):
        people.change_pool(Pool.objects.get(owner=town.practice_pool), chief, members=[ada, ben])
    Membership.objects.filter(organization="practice", roles__overlap=["coordinator", "supervisor"]).delete()
    with transaction.atomic():
        leaving.leave(ada, "practice", chief)
        second = meanwhile(others, lambda: leaving.leave(ben, "practice", chief))
    with pytest.raises(Conflict) as refused:
        second.result()
    assert [issue.expression for issue in refused.value.issues] == [f"CareTeam/{town.practice_pool.key}"]


def the_only_reader(town: Ward) -> tuple[User, Actor]:
    """Somebody who alone reads what comes to the practice, and whoever manages its people."""
    chief = people.actor_for(hire("chief", "administrator").user)
    ada = hire("ada", pool=town.practice_pool).user
    overseers = Membership.objects.filter(organization="practice", roles__overlap=["coordinator", "supervisor"])
    overseers.delete()
    return ada, chief


def test_the_only_one_who_reads_a_list_can_not_leave_while_work_comes_to_it(
    town: Ward, others: ThreadPoolExecutor
) -> None:
    ada, chief = the_only_reader(town)
    with transaction.atomic():
        town.order()
        gone = meanwhile(others, lambda: leaving.leave(ada, "practice", chief))
    with pytest.raises(Conflict) as refused:
        gone.result()
    assert [issue.expression for issue in refused.value.issues] == [f"CareTeam/{town.practice_pool.key}"]


def test_the_only_one_who_works_on_a_list_is_not_taken_from_it_while_work_comes(
    town: Ward, others: ThreadPoolExecutor
) -> None:
    ada, chief = the_only_reader(town)
    pool = Pool.objects.get(owner=town.practice_pool)
    with transaction.atomic():
        town.order()
        emptied = meanwhile(others, lambda: people.change_pool(pool, chief, members=[]))
    with pytest.raises(Conflict):
        emptied.result()
    assert pool.members.filter(user=ada).exists()


def test_nobody_is_named_supervisor_who_is_leaving(town: Ward, others: ThreadPoolExecutor) -> None:
    ada, pool = hire("ada", "supervisor"), Pool.objects.get(owner=town.practice_pool)
    with transaction.atomic():
        leaving.leave(ada.user, "practice", town.boss)
        named = meanwhile(others, lambda: people.change_pool(pool, town.boss, supervisor=ada.owner))
    with pytest.raises(Incorrect):
        named.result()
    pool.refresh_from_db()
    assert pool.supervisor != ada.owner


def test_postgresql_itself_lets_no_work_come_to_a_list_that_loses_its_reader(
    town: Ward, others: ThreadPoolExecutor
) -> None:
    ada, dispatch = hire("ada").owner, town.only(town.order(), "dispatch")
    with transaction.atomic():
        Handoff.objects.filter(pk=dispatch.pk).update(owner=ada, list=ada)
        gone = meanwhile(others, lambda: Owner.objects.filter(pk=ada.pk).update(internal=False))
    with pytest.raises(IntegrityError, match="law 1"):
        gone.result()


def asked() -> list[str]:
    return list(Handoff.objects.filter(kind="confirm-death").values_list("stage", flat=True))


def test_two_who_report_one_death_at_once_ask_one_question(town: Ward, others: ThreadPoolExecutor) -> None:
    town.order()
    with transaction.atomic():
        death.report(town.patient, town.partner)
        told = meanwhile(others, lambda: death.tell(town.patient, town.coordinator, {"source": "Her son"}))
        again = meanwhile(others, lambda: death.report(town.patient, town.coordinator))
    with pytest.raises(Conflict):
        told.result()
    assert again.result() is None
    assert asked() == ["to-confirm-death"]


def ordered(town: Ward) -> Loop:
    order = Order(
        kind="referral", request=clock.new_id(), patient_id=town.patient, placer="practice", performer="clinic"
    )
    return workflow.open_loop(order, town.referrer)


def test_an_order_placed_while_a_death_is_confirmed_is_reached(town: Ward, others: ThreadPoolExecutor) -> None:
    first = town.order()
    death.report(town.patient, town.partner)
    question = Handoff.objects.get(kind="confirm-death")
    with transaction.atomic():
        second = ordered(town)
        answer = meanwhile(others, lambda: workflow.perform(question.id, "confirm", town.coordinator))
    answer.result()
    for loop in (first, second):
        assert Loop.objects.get(pk=loop.pk).end_reason == "patient-died"
    with transaction.atomic():
        death.refute(town.patient, town.coordinator)
        third = meanwhile(others, lambda: ordered(town))
    assert Loop.objects.get(pk=third.result().pk).end_reason == ""


def test_an_order_that_waits_for_the_confirmation_knows_of_it_and_by_whom(
    town: Ward, others: ThreadPoolExecutor
) -> None:
    town.order()
    death.report(town.patient, town.partner)
    question = Handoff.objects.get(kind="confirm-death")
    with transaction.atomic():
        workflow.perform(question.id, "confirm", town.coordinator)
        late = meanwhile(others, lambda: ordered(town))
    loop = Loop.objects.get(pk=late.result().pk)
    assert (loop.end_reason, loop.told_reason, loop.told_by) == ("patient-died", "patient-died", "Coordinator")


def test_a_colleague_who_comes_to_sign_in_gets_a_list(town: Ward) -> None:
    people.owner_for("person", "bea", organization="practice", name="Dr Bea")
    stranger("bea")
    assert people.owner_for("person", "bea", organization="practice").internal
