"""The agreed matrix with real rows: for every row somebody who may does it, and somebody who may not is refused.

See `test_matrix.py` for where the expectation comes from and how it is written anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Case, Value, When

from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import Forbidden, Incorrect, NotFound
from records.models import Version
from referrals import workflow
from referrals.models import Escalation, Event, Handoff, Loop
from referrals.pathways import HANDOFFS, STAGES
from referrals.people import roles_in
from referrals.vocabulary import Opening, Role
from referrals.work import Work
from tests.referrals import matrix
from tests.referrals.matrix import Matrix, Place, Row
from tests.referrals.test_matrix import FILE
from tests.referrals.ward import MONDAY, Ward

AGREED: Matrix = matrix.parse(FILE.read_text())
LONELY = ("alone", "read")
PERFORMED = ("fulfil", "request-cancellation", "recollect")
BY_HOLDER = {"claim", "give-back"}
# Told in other stories: what a person matches is looked up at once, and whoever takes something works in the right place.
ELSEWHERE = {"match", "reassign", "transfer"} | BY_HOLDER


Held = tuple[str, str]  # kind of loop, kind of handoff
HELD: list[Held] = list(dict.fromkeys(place[:2] for place, rows in AGREED.items() if rows))


def one_of_each(held: Held) -> Iterator[tuple[Place, str, Row]]:
    """Each row of the file once, at the first stage that it stands at."""
    seen: set[tuple[str, Row]] = set()
    for place, rows in AGREED.items():
        for action, row in rows.items() if place[:2] == held else ():
            if (action, row) not in seen and action not in ELSEWHERE:
                seen.add((action, row))
                yield place, action, row


@contextmanager
def and_back() -> Iterator[None]:
    """Whatever happens inside hasn't happened afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def everybody(ward: Ward) -> list[Actor]:
    patient = Actor(id="patient:pat", kind="person", display="Anna", organization="", patient=ward.patient)
    return [ward.referrer, ward.clinic, ward.partner, ward.coordinator, ward.boss, patient, SYSTEM]


def arranged(ward: Ward, place: Place, context: str, performer: str) -> Handoff:
    """A real loop with the handoff at that stage: alone, or with one of each other kind that has come from it."""
    loop_kind, kind, stage = place
    loop = _loop(ward, loop_kind, kind, performer)
    with transaction.atomic():
        work = Work(SYSTEM, clock.now())
        firsts = list(Handoff.objects.filter(loop=loop).values_list("id", flat=True))
        work.lock(firsts)
        handoff = _opened(work, firsts[0], kind, stage)
        handoff.attempts, handoff.version = (0, 2) if context in LONELY else (3, 1 if context == "beside" else 2)
        if context not in LONELY:
            for other in matrix.setting(place, context)[1][1:]:
                _opened(work, firsts[0], other.kind, other.stage, opener=handoff)
        if STAGES[kind, stage].is_end:
            handoff.closed_at, handoff.escalate_at = MONDAY, None
            _opened(work, firsts[0], "confirm-handover", "to-confirm-handover")  # something that doesn't matter here
        work.save()
        if context == "read":
            Loop.objects.filter(handoffs=handoff).update(acknowledged_by="Dr Ruiz", acknowledged_at=MONDAY)
        Handoff.objects.filter(pk__in=firsts).update(
            closed_at=MONDAY,
            stage=Case(*(When(kind=kind, then=Value(HANDOFFS[kind].overtaken)) for kind in HANDOFFS)),
            task_status="cancelled",
            escalate_at=None,
        )
    return Handoff.objects.select_related("loop__accountable", "owner").get(pk=handoff.pk)


def _loop(ward: Ward, loop_kind: str, kind: str, performer: str) -> Loop:
    if loop_kind in matrix.REQUESTED:
        return ward.order(loop_kind, performer=performer, requester="", priority="urgent")
    return workflow.open_handoff_loop(
        loop_kind,
        kind,
        about="DiagnosticReport/1",
        accountable_pool=ward.practice_pool,
        actor=SYSTEM,
        priority="urgent",
    )


def _opened(work: Work, first: str, kind: str, stage: str, opener: Handoff | None = None) -> Handoff:
    loop = work.handoff(first).loop
    owner = loop.performer_owner if kind in PERFORMED else None
    opening = Opening(kind, "performer" if kind in PERFORMED else "accountable")
    handoff = work.open_handoff(loop, opening, at=clock.now(), opener=opener, owner=owner)
    handoff.stage, handoff.task_status = stage, STAGES[kind, stage].task_status or handoff.task_status
    return handoff


def everything() -> tuple[list[Any], ...]:
    """All that an action may change: loops, handoffs, journal, escalations, and every version of every resource."""
    rows = (Loop, Handoff, Event, Escalation)
    versions = Version.objects.order_by("pk").values_list("type", "resource_id", "version")
    return (*(list(model.objects.order_by("pk").values_list()) for model in rows), list(versions))


@pytest.mark.parametrize("held", HELD, ids="/".join)
def test_whoever_may_does_what_was_agreed_and_whoever_may_not_changes_nothing(ward: Ward, held: Held) -> None:
    for place, action, row in one_of_each(held):
        with and_back():
            _done_and_refused(ward, place, action, row)


def _done_and_refused(ward: Ward, place: Place, action: str, row: Row) -> None:
    context = next((one for one in matrix.CONTEXTS if not row.effect(one).startswith("refused")), "alone")
    handoff = arranged(ward, place, context, "elsewhere" if "E" in row.who and "P" not in row.who else "clinic")
    actors = everybody(ward)
    may = [one for one in actors if row.is_for(roles_in(one, handoff))]
    may_not = [one for one in actors if one not in may and roles_in(one, handoff)]
    for actor in (*may_not[:1], ward.stranger):
        refused(handoff, action, actor, place, context)
    done(handoff, action, may[0], place, row.effect(context))


def refused(handoff: Handoff, action: str, actor: Actor, place: Place, context: str) -> None:
    before, roles = everything(), roles_in(actor, handoff)
    with pytest.raises(Forbidden if roles else NotFound) as refusal:
        workflow.perform(handoff.id, action, actor, data=matrix.forms(place, action))
    assert everything() == before
    rows = AGREED[place].items()
    mine = {name for name, row in rows if row.is_for(roles) and row.is_possible(context)} - BY_HOLDER
    assert all(name in str(refusal.value) for name in mine)


def done(handoff: Handoff, action: str, actor: Actor, place: Place, words: str) -> None:
    if words.startswith("refused"):
        before = everything()
        with pytest.raises(Incorrect):
            workflow.perform(handoff.id, action, actor, data=matrix.forms(place, action))
        assert everything() == before
        return
    events = Event.objects.count()
    outcome = workflow.perform(handoff.id, action, actor, data=matrix.forms(place, action))
    said = words.split("; ")
    assert outcome.handoff.stage == (place[2] if said[0] == "stays" else said[0].removeprefix("becomes "))
    opened = [part.split()[1].partition("/")[0] for part in said if part.startswith("opens ")]
    assert [one.kind for one in outcome.opened] == opened
    assert Event.objects.count() == events + 1, "one action, one line in the journal (law 6)"
    assert Handoff.objects.get(pk=handoff.pk).version == handoff.version + 1
    assert store.get("Task", handoff.pk)["extension"][0]["valueCode"] == outcome.handoff.stage


@pytest.mark.parametrize("held", HELD, ids="/".join)
def test_everybody_is_offered_what_was_agreed(ward: Ward, held: Held) -> None:
    for place in (one for one, rows in AGREED.items() if rows and one[:2] == held):
        performer = "elsewhere" if len(place[2]) % 2 else "clinic"  # now the one, now the other
        with and_back():
            handoff = arranged(ward, place, "alone", performer)
            for actor in [*everybody(ward), ward.stranger]:
                own, heard = _offered(actor, handoff)
                assert own == _agreed(place, roles_in(actor, handoff)), (place, performer, actor.id)
                assert heard == _attestable(place, handoff, roles_in(actor, handoff)) - own, (place, actor.id)


def _offered(actor: Actor, handoff: Handoff) -> tuple[set[str], set[str]]:
    """What is offered in the actor's own name, and to be entered for a performer who has told of it."""
    offers = workflow.available(actor, handoff)
    own = {one.action for one in offers if not one.attested}
    return own - BY_HOLDER, {one.action for one in offers if one.attested} - BY_HOLDER


def _agreed(place: Place, roles: set[Role]) -> set[str]:
    return {
        action for action, row in AGREED[place].items() if row.is_for(roles) and row.is_possible("alone")
    } - BY_HOLDER


def _attestable(place: Place, handoff: Handoff, roles: set[Role]) -> set[str]:
    letters = {matrix.LETTERS[role].lower() for role in roles} if not handoff.owner.internal else set()
    rows = AGREED[place].items()
    return {action for action, row in rows if letters & set(row.who) and row.is_possible("alone")} - BY_HOLDER
