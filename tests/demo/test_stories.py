"""The demo's loops: every stage is there, each loop is what its story says, and the laws hold for all of them."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from demo.casting import how_many, parts
from demo.loading import Region
from demo.names import People
from demo.patients import register
from demo.staff import employ
from demo.stories import MOVES, STORIES
from records import access, clock
from referrals import people, worklists
from referrals.models import Event, Handoff, Loop, User
from referrals.pathways import LOOP_STAGES, STAGES
from tests.demo.conftest import AT

# No payer, no order for advice alone and no mistake is in the demo.
NOT_PLAYED = {"authorisation-pending", "referral-proposed", "entered-in-error"}


def test_every_stage_of_the_three_kinds_is_there(region: Region) -> None:
    assert region.staff
    there = set(Handoff.objects.filter(kind="fulfil").values_list("loop__kind", "stage"))
    wanted = {
        (kind, stage.code)
        for stage in STAGES.values()
        if stage.handoff == "fulfil" and stage.code not in NOT_PLAYED
        for kind in stage.loop_kinds
    }
    ends_anywhere = {"declined", "cancelled", "failed"}
    assert {pair for pair in wanted - there if pair[1] not in ends_anywhere} == set()
    assert ends_anywhere <= {stage for _kind, stage in there}


def test_every_kind_of_responsibility_of_a_request_is_open_somewhere(region: Region) -> None:
    assert region.staff
    there = set(Handoff.objects.filter(closed_at=None).values_list("kind", flat=True))
    assert there >= {
        *("dispatch", "fulfil", "provide-information", "decide-next-step", "request-cancellation"),
        *("review-report", "notify-patient", "contact-patient", "recollect", "match-evidence"),
    }
    ended = set(Loop.objects.exclude(closed_at=None).values_list("stage", flat=True))
    assert ended >= {"closed", "cancelled", "closed-patient-declined", "closed-lost-after-attempts"}


def test_each_loop_stands_where_its_story_ends(region: Region) -> None:
    played = parts(region.patients, AT, region.random, region.plan.loops)
    ends = Counter((part.story.kind, part.story.ends_as) for part in played)
    there: Counter[tuple[str, str]] = Counter()
    for loop in Loop.objects.prefetch_related("handoffs"):
        stages = {handoff.stage for handoff in loop.handoffs.all() if handoff.is_open} | {loop.stage}
        for stage in stages:
            there[loop.kind, stage] += 1
    assert {pair: count for pair, count in ends.items() if there[pair] < count} == {}


def test_some_are_late_some_soon_some_unclaimed_and_some_outside(region: Region) -> None:
    assert region.staff
    with clock.at(AT):
        handoffs = list(Handoff.objects.filter(closed_at=None).select_related("owner"))
    late = [one for one in handoffs if one.due_at < AT]
    soon = [one for one in handoffs if one.half_due_at < AT <= one.due_at]
    assert len(late) > 15
    assert len(soon) > 5
    assert {one.owner.kind for one in handoffs} >= {"pool", "person", "organisation"}
    assert any(not one.owner.internal for one in handoffs)


def test_every_open_handoff_is_on_exactly_one_list_that_somebody_reads(region: Region) -> None:
    assert region.staff
    read = {owner for user in User.objects.all() for owner in people.lists_of(people.actor_for(user))}
    for handoff in Handoff.objects.filter(closed_at=None).select_related("list"):
        assert handoff.list.internal
        assert handoff.list_id in read


def test_an_appointment_is_never_before_its_order_whenever_the_demo_is_loaded() -> None:
    known = People(7)
    patients = register(known, employ(known), 60, 7)
    for hours in range(0, 7 * 24, 5):
        at = AT + timedelta(hours=hours)
        for part in parts(patients, at, Random(7), how_many(60)):
            for number, (_name, move, _time) in enumerate(part.moves):
                if move.makes == "appointment":
                    assert part.slot_end_after(number) > part.ordered_at, (at, part.story)
            assert part.slot_end > at or part.story.ahead_hours < 0, (at, part.story)


def test_nothing_happened_in_the_future_or_before_the_order(region: Region) -> None:
    assert region.staff
    for event in Event.objects.select_related("loop"):
        assert event.loop.ordered_at <= event.at <= AT


def test_both_sides_of_a_loop_see_its_patient_and_its_request(region: Region) -> None:
    assert region.staff
    loop = Loop.objects.filter(kind="referral", performer="hospital-harbour").first()
    assert loop is not None
    actor = people.actor_for(User.objects.get(username="harbour.coordinator"))
    assert access.visible(actor, "Patient").filter(id=loop.patient_id).exists()
    assert access.visible(actor, "ServiceRequest").filter(id=loop.request_id).exists()


def test_every_move_is_used_and_every_loop_stage_named_exists() -> None:
    used = {name for story in STORIES for name in story.moves.split()}
    assert used == set(MOVES)
    known = set(LOOP_STAGES) | {code for _handoff, code in STAGES}
    assert {story.ends_as for story in STORIES} <= known


@pytest.mark.parametrize(("patients", "least"), [(1, 60), (1000, 500)])
def test_there_are_enough_loops_for_few_patients_and_for_many(patients: int, least: int) -> None:
    assert how_many(patients) >= least


def test_the_hospitals_doctor_has_work_of_their_own_and_a_death_waits_to_be_confirmed(region: Region) -> None:
    assert region.staff
    doctor = people.actor_for(User.objects.get(username="harbour.doctor"))
    with clock.at(AT):
        found = worklists.rows(doctor, worklists.Filters(scope="mine"), now=AT).rows
    assert {row.handoff for row in found} >= {"review-report", "decide-next-step", "provide-information"}
    assert all(row.patient_name for row in found)
    assert Handoff.objects.filter(kind="confirm-death", loop__kind="upkeep", closed_at=None).count() == 1
