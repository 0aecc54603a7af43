"""Work changes hands: a handoff or a whole loop goes to another, its clock running on, and the journal says so."""

from typing import Any

import pytest

from records import store
from records.access import SYSTEM
from records.errors import Forbidden, Incorrect, NotFound
from referrals import people, workflow
from referrals.models import Event, Handoff, Loop
from referrals.pathways import HANDOFFS, TRANSITIONS
from tests.referrals.staff import Colleague, hire, review_for, sees
from tests.referrals.ward import MONDAY, Ward

CLOCK = ("due_at", "half_due_at", "stage_since", "escalate_at", "escalation_level", "needed_by", "opened_at")


@pytest.fixture
def ada(ward: Ward) -> Colleague:
    return hire("ada")


@pytest.fixture
def bea(ward: Ward) -> Colleague:
    return hire("bea")


def clock_of(handoff: Handoff) -> list[Any]:
    fresh = Handoff.objects.get(pk=handoff.pk)
    return [getattr(fresh, name) for name in CLOCK]


def test_every_kind_of_handoff_can_change_hands() -> None:
    for action in ("reassign", "transfer"):
        assert {one.handoff for one in TRANSITIONS if one.action == action} == set(HANDOFFS)


def test_a_handoff_goes_to_a_colleague_and_its_clock_runs_on(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    before = clock_of(review)
    outcome = ward.does(ada.actor, review, "reassign", owner="Practitioner/bea", note="Leave.")
    assert clock_of(review) == before, "law 2"
    assert (outcome.handoff.owner, outcome.handoff.list, outcome.handoff.stage) == (bea.owner, bea.owner, "to-review")
    assert (sees(bea.actor, review, MONDAY), sees(ada.actor, review, MONDAY)) == ("", None)
    assert (outcome.event.action, outcome.event.actor_display) == ("reassign", "Dr Ada")
    assert outcome.event.details["owner"] == "Practitioner/bea"
    assert store.get("Task", review.id)["owner"]["reference"] == "Practitioner/bea"


def test_it_may_go_to_a_pool_or_a_role_too(ward: Ward, ada: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    desk = people.create_pool("practice", "Night desk")
    ward.does(ward.coordinator, review, "reassign", owner=f"CareTeam/{desk.id}")
    assert ward.only(review.loop, "review-report").owner == desk.owner
    role = {
        "resourceType": "PractitionerRole",
        "id": "on-call",
        "organization": {"reference": "Organization/practice"},
        "code": [{"text": "On call"}],
    }
    store.write(role, actor=SYSTEM)
    ward.does(ward.coordinator, review, "reassign", owner="PractitionerRole/on-call")
    assert ward.only(review.loop, "review-report").owner.kind == "role"


def test_only_who_holds_it_or_oversees_its_house_may_give_it_away(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    for actor in (bea.actor, ward.clinic):
        with pytest.raises((Forbidden, NotFound)):
            ward.does(actor, review, "reassign", owner="Practitioner/bea")
    for actor in (ward.coordinator, ward.boss):
        ward.does(actor, review, "reassign", owner="Practitioner/ada")
    _other, fulfil = ward.sent()
    with pytest.raises(Forbidden):
        ward.does(ward.coordinator, fulfil, "reassign", owner="Practitioner/ada")
    hire("nurse", at="clinic")
    assert ward.does(ward.clinic, fulfil, "reassign", owner="Practitioner/nurse").handoff.owner.key == "nurse"


def test_it_goes_to_nobody_who_does_not_work_there(ward: Ward, ada: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    strangers = (
        "Practitioner/nobody",
        "Practitioner/consultant",
        "Organization/elsewhere",
        "Device/x",
        "",
        "7",
        10**30,
    )
    for stranger in (*strangers, f"CareTeam/{ward.clinic_pool.key}"):
        with pytest.raises(Incorrect) as refused:
            ward.does(ada.actor, review, "reassign", owner=stranger)
        assert [issue.expression for issue in refused.value.issues] == ["owner"]
    assert ward.only(review.loop, "review-report").owner == ada.owner


def test_nobody_hears_from_the_performer_that_our_own_work_changes_hands(ward: Ward) -> None:
    _loop, fulfil = ward.sent(performer="elsewhere")
    offers = {(one.action, one.attested) for one in workflow.available(ward.coordinator, fulfil)}
    assert ("reassign", True) not in offers
    assert ("reassign", False) not in offers
    with pytest.raises((Forbidden, Incorrect)):
        workflow.perform(
            fulfil.id, "reassign", ward.coordinator, data={"owner": "Practitioner/coordinator"}, attested=True
        )


def test_the_reason_of_a_stage_survives_the_change_of_hands(ward: Ward) -> None:
    hire("nurse", at="clinic")
    _loop, fulfil = ward.sent()
    ward.does(ward.clinic, fulfil, "book", slot_end=MONDAY)
    ward.does(ward.clinic, fulfil, "cancel-appointment", reason="cancelled-by-provider")
    after = ward.does(ward.clinic, fulfil, "reassign", owner="Practitioner/nurse").handoff
    assert (after.stage, after.reason_code) == ("appointment-cancelled", "cancelled-by-provider")


def test_a_loop_is_transferred_with_what_its_owners_hold_in_it(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    loop, fulfil = ward.sent(requester="ada", responsible=ada.owner, performer="elsewhere")
    ward.does(ward.partner, fulfil, "ask-information", question="Since when?")
    desk = people.create_pool("practice", "South desk", members=[bea.user])
    question = ward.only(loop, "provide-information")
    before = clock_of(fulfil), clock_of(question)
    outcome = ward.does(
        ward.coordinator, question, "transfer", responsible="Practitioner/bea", pool=f"CareTeam/{desk.id}"
    )
    held = Loop.objects.get(pk=loop.pk)
    assert (held.responsible, held.accountable) == (bea.owner, desk.owner)
    assert (ward.only(loop, "provide-information").owner, ward.only(loop, "fulfil").owner) == (bea.owner, ward.outside)
    assert Handoff.objects.get(pk=fulfil.pk).list == desk.owner
    assert sees(bea.actor, fulfil, MONDAY) == ""
    assert (clock_of(fulfil), clock_of(question)) == before, "law 2"
    assert outcome.event.action == "transfer"
    assert store.get("Task", loop.id)["owner"]["reference"] == f"CareTeam/{desk.id}"
    assert Event.objects.filter(loop=loop, action="transfer").count() == 1


def test_what_opens_later_goes_to_the_new_owners(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    loop, fulfil = ward.sent(requester="ada", responsible=ada.owner)
    ward.does(ward.coordinator, fulfil, "transfer", responsible="Practitioner/bea")
    ward.report(fulfil)
    assert ward.only(loop, "review-report").owner == bea.owner


def test_a_transfer_names_a_person_or_a_pool_of_the_accountable_house(ward: Ward, ada: Colleague) -> None:
    loop = ward.order(requester="ada", responsible=ada.owner)
    dispatch = ward.only(loop, "dispatch")
    pool = f"CareTeam/{ward.practice_pool.key}"
    for data, field in (
        ({}, "responsible"),
        ({"responsible": f"CareTeam/{people.create_pool('practice', 'South desk').id}"}, "responsible"),
        ({"pool": "Practitioner/ada"}, "pool"),
        ({"pool": f"CareTeam/{ward.clinic_pool.key}"}, "pool"),
        ({"responsible": "Practitioner/consultant"}, "responsible"),
    ):
        with pytest.raises(Incorrect) as refused:
            ward.does(ward.coordinator, dispatch, "transfer", **data)
        assert refused.value.issues[0].expression == field
    with pytest.raises((Forbidden, NotFound)):
        ward.does(ward.clinic, dispatch, "transfer", pool=pool)
    ward.does(ward.coordinator, dispatch, "transfer", responsible=pool)
    assert Loop.objects.get(pk=loop.pk).responsible is None, "the pool itself answers for it"
