"""Whoever is away is stood in for at once; whoever stays away without a word, in time. Nothing moves for it."""

from datetime import datetime, timedelta

import pytest

from records import clock, store
from records.errors import Forbidden, Incorrect
from records.json import Resource
from records.types import row_class
from referrals import people, worklists
from referrals.models import Absence, Handoff, Membership, User
from tests.referrals.staff import Colleague, hire, review_for, rows_of, sees
from tests.referrals.ward import MONDAY, Ward

WEEK = timedelta(days=7)
SOON = MONDAY + timedelta(hours=1)


@pytest.fixture
def ada(ward: Ward) -> Colleague:
    return hire("ada")


@pytest.fixture
def bea(ward: Ward) -> Colleague:
    return hire("bea")


@pytest.fixture
def cem(ward: Ward) -> Colleague:
    return hire("cem")


def away(who: Colleague, instead: Colleague | None, start: datetime = MONDAY, days: int = 7) -> Absence:
    return people.announce(
        who.owner, instead.owner if instead else None, start, start + timedelta(days=days), who.actor
    )


def test_the_surrogate_sees_open_and_new_work_from_the_first_moment(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    _loop, before = review_for(ward, ada)
    away(ada, bea, start=SOON)
    assert sees(bea.actor, before, SOON - timedelta(seconds=1)) is None
    assert sees(bea.actor, before, SOON) == "away"
    assert sees(bea.actor, before, SOON, scope="mine") == "away"
    with clock.at(SOON):
        _other, new = review_for(ward, ada)
    assert sees(bea.actor, new, SOON) == "away"
    assert sees(ada.actor, new, SOON) == "", "the absent one's own list stays"
    assert sees(ward.coordinator, new, SOON) is None, "the pool needn't look while a surrogate is there"


def test_when_the_absence_is_over_the_list_is_the_owners_alone(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    absence = away(ada, bea)
    assert sees(bea.actor, review, MONDAY + WEEK - timedelta(seconds=1)) == "away"
    assert sees(bea.actor, review, MONDAY + WEEK) is None
    with clock.at(SOON):
        people.end(absence, ada.actor)
    assert sees(bea.actor, review, SOON) is None
    assert sees(ada.actor, review, SOON) == ""


def test_nothing_moves_because_somebody_is_away(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    review_for(ward, ada)
    before = list(Handoff.objects.order_by("id").values())
    absence = away(ada, bea)
    rows_of(bea.actor, SOON)
    people.end(absence, ada.actor)
    assert list(Handoff.objects.order_by("id").values()) == before


def test_a_row_says_for_whom_it_is_and_who_works_on_it(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    review_for(ward, ada)
    (row,) = rows_of(ada.actor, SOON, scope="mine")
    assert (row.owner_name, row.effective_owner_name) == ("Dr Ada", "Dr Ada")
    away(ada, bea)
    (row,) = rows_of(bea.actor, SOON, scope="mine")
    assert (row.owner_name, row.effective_owner_name, row.effective_owner_id) == ("Dr Ada", "Dr Bea", bea.owner.pk)


def test_without_a_surrogate_the_pool_sees_it(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    away(ada, None)
    assert sees(ward.coordinator, review, SOON) == "pooled away"
    assert sees(bea.actor, review, SOON) is None
    (row,) = [row for row in rows_of(ward.coordinator, SOON) if row.handoff_id == review.id]
    assert row.effective_owner_name == ward.practice_pool.name


def test_a_surrogate_who_is_away_hands_on_and_the_pool_sees_it_too(
    ward: Ward, ada: Colleague, bea: Colleague, cem: Colleague
) -> None:
    _loop, review = review_for(ward, ada)
    away(ada, bea)
    away(bea, cem, start=SOON)
    assert (sees(bea.actor, review, MONDAY), sees(cem.actor, review, MONDAY)) == ("away", None)
    assert sees(cem.actor, review, SOON) == "away"
    assert sees(ward.coordinator, review, SOON) == "pooled away"


def test_surrogates_in_a_circle_leave_it_to_the_pool(
    ward: Ward, ada: Colleague, bea: Colleague, cem: Colleague
) -> None:
    _loop, review = review_for(ward, ada)
    for who, instead in ((ada, bea), (bea, cem), (cem, ada)):
        away(who, instead)
    assert sees(ward.coordinator, review, SOON) == "pooled away"


def test_unannounced_the_surrogate_sees_it_from_half_of_the_time_and_the_pool_from_its_end(
    ward: Ward, ada: Colleague, bea: Colleague
) -> None:
    people.set_surrogate(ada.owner, bea.owner, ada.actor)
    _loop, review = review_for(ward, ada)
    half, due, moment = review.half_due_at, review.due_at, timedelta(seconds=1)
    assert MONDAY < half < due
    assert [sees(bea.actor, review, at) for at in (half - moment, half, due)] == [None, "half", "half"]
    assert [sees(ward.coordinator, review, at) for at in (half, due - moment, due)] == [None, None, "late"]
    assert sees(ada.actor, review, due) == ""


def test_what_is_late_on_anybodys_list_stands_on_the_pools_too(ward: Ward, ada: Colleague) -> None:
    _loop, review = review_for(ward, ada)
    assert sees(ward.coordinator, review, review.due_at - timedelta(seconds=1)) is None
    assert sees(ward.coordinator, review, review.due_at) == "late"
    assert sees(ward.coordinator, review, review.due_at, scope="mine") is None


def test_a_tile_counts_what_is_read_for_others(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    review_for(ward, ada)
    review_for(ward, bea)
    away(ada, bea)
    for actor in (ada.actor, bea.actor, ward.coordinator):
        for now in (SOON, MONDAY + 3 * WEEK):
            counts = worklists.tiles(actor, now)
            shown = {name: len(worklists.rows(actor, one, now=now).rows) for name, one in worklists.TILES.items()}
            assert counts == shown
    assert worklists.tiles(bea.actor, SOON)["mine"] == 2


def test_a_surrogate_may_what_the_absent_one_may_and_the_journal_says_who_did_it_for_whom(
    ward: Ward, bea: Colleague
) -> None:
    head = hire("head", "supervisor")
    _loop, review = review_for(ward, head)
    assert "supervisor" not in people.roles_in(bea.actor, review)
    away(head, bea)
    assert "supervisor" in people.roles_in(bea.actor, review)
    outcome = ward.does(bea.actor, review, "acknowledge", plan="Go on.", question_answered=True)
    assert (outcome.event.actor_display, outcome.event.details["in_stead_of"]) == ("Dr Bea", "Dr Head")
    own = review_for(ward, bea)[1]
    assert "in_stead_of" not in ward.does(bea.actor, own, "void", reason="wrong-patient").event.details


def test_a_standing_surrogate_acts_for_somebody_once_half_of_the_time_is_over(ward: Ward, bea: Colleague) -> None:
    head = hire("head", "supervisor")
    people.set_surrogate(head.owner, bea.owner, head.actor)
    _loop, review = review_for(ward, head)
    assert "supervisor" not in people.roles_in(bea.actor, review)
    with clock.at(review.half_due_at):
        assert "supervisor" in people.roles_in(bea.actor, review)


def test_an_absence_without_a_named_surrogate_is_the_standing_ones(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    people.set_surrogate(ada.owner, bea.owner, ada.actor)
    assert away(ada, None).surrogate == bea.owner


def test_only_oneself_and_who_manages_people_may_say_so(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    for actor in (bea.actor, ward.coordinator, ward.stranger, ward.clinic):
        with pytest.raises(Forbidden):
            people.announce(ada.owner, bea.owner, MONDAY, MONDAY + WEEK, actor)
        with pytest.raises(Forbidden):
            people.set_surrogate(ada.owner, bea.owner, actor)
    absence = people.announce(ada.owner, bea.owner, MONDAY, MONDAY + WEEK, ward.boss)
    with pytest.raises(Forbidden):
        people.end(absence, bea.actor)


def test_an_absence_must_make_sense(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    guest = hire("guest", at="clinic")
    hire("left")
    User.objects.filter(username="left").update(is_active=False)
    left = people.owner_for("person", "left")
    cases = [
        (bea.owner, MONDAY, MONDAY, "ends_at"),
        (bea.owner, MONDAY - 2 * WEEK, MONDAY - WEEK, "ends_at"),
        (ada.owner, MONDAY, MONDAY + WEEK, "surrogate"),
        (guest.owner, MONDAY, MONDAY + WEEK, "surrogate"),
        (left, MONDAY, MONDAY + WEEK, "surrogate"),
        (ward.practice_pool, MONDAY, MONDAY + WEEK, "surrogate"),
    ]
    for surrogate, start, end, field in cases:
        with pytest.raises(Incorrect) as refused:
            people.announce(ada.owner, surrogate, start, end, ada.actor)
        assert [issue.expression for issue in refused.value.issues] == [field]
    away(ada, bea)
    with pytest.raises(Incorrect):
        away(ada, bea, start=MONDAY + timedelta(days=6))
    away(ada, bea, start=MONDAY + WEEK)


def test_an_absence_leaves_a_line_in_the_audit(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    before = set(_audited())
    people.end(away(ada, bea), ada.actor)
    said = [event["entity"][0]["description"] for key, event in _audited().items() if key not in before]
    assert len(said) == 2
    assert all("Dr Bea" in text for text in said)


def test_whoever_can_not_sign_in_any_more_counts_as_away(ward: Ward, ada: Colleague, bea: Colleague) -> None:
    people.set_surrogate(ada.owner, bea.owner, ada.actor)
    _loop, review = review_for(ward, ada)
    _other, second = review_for(ward, bea)
    User.objects.filter(pk__in=[ada.user.pk, bea.user.pk]).update(is_active=False)
    assert sees(ward.coordinator, review, SOON) == sees(ward.coordinator, second, SOON) == "pooled away"
    User.objects.filter(pk=bea.user.pk).update(is_active=True)
    assert sees(bea.actor, review, SOON) == "away"


def test_a_pool_whose_people_all_are_away_is_read_by_who_oversees_the_organisation(ward: Ward, ada: Colleague) -> None:
    User.objects.filter(username="boss").update(is_active=False)
    loop = ward.order()
    dispatch = ward.only(loop, "dispatch")
    overseer = hire("overseer", "supervisor")
    assert sees(overseer.actor, dispatch, SOON) is None
    nina = people.owner_for("person", "coordinator", organization="practice")
    people.announce(nina, None, MONDAY, MONDAY + WEEK, ward.coordinator)
    assert sees(overseer.actor, dispatch, SOON) == ""
    assert sees(ward.coordinator, dispatch, SOON) == ""
    assert sees(ada.actor, dispatch, SOON) is None
    Membership.objects.filter(user=overseer.user).delete()
    assert sees(ada.actor, dispatch, SOON) == "", "in the end everybody who works there"


def _audited() -> dict[str, Resource]:
    rows = row_class("AuditEvent").rows("AuditEvent").values_list("id", flat=True)
    return {key: store.get("AuditEvent", key) for key in rows}


def test_who_only_administers_can_not_stand_in(ada: Colleague) -> None:
    with pytest.raises(Incorrect) as refused:
        away(ada, hire("adam", "administrator"))
    assert [issue.expression for issue in refused.value.issues] == ["surrogate"]


def test_of_a_surrogate_who_only_administers_by_now_the_pool_reads_the_list(
    ward: Ward, ada: Colleague, bea: Colleague
) -> None:
    _loop, review = review_for(ward, ada)
    away(ada, bea)
    Membership.objects.filter(user=bea.user).update(roles=["administrator"])
    assert sees(ward.coordinator, review, SOON) == "pooled away"
