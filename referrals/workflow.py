"""The only writer of loops (law 6): people, EHRs, evidence and sweeps all come through here.

A piece of work locks its loops in the order of their ids, lets `lifecycle.decide` say what becomes of them, and writes
rows, journal and Tasks in one transaction, at the end of which PostgreSQL has checked the laws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from records import clock
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import Incorrect, Issue, NotFound
from records.json import Resource
from referrals import lifecycle, people, performing, placing
from referrals.conditions import Situation, is_of_the_dead
from referrals.models import Event, Handoff, Loop, Owner
from referrals.opening import Order, new_loop, new_loop_for, successor_of
from referrals.parties import held, local, same_patient
from referrals.pathways import transitions_from
from referrals.pathways.parts import STAFF
from referrals.readings import VOIDING, Readings, is_void, readings_of
from referrals.subjects import patient_of
from referrals.vocabulary import Data, Offer, Opening, Transition
from referrals.work import Work

__all__ = [
    "Act",
    "Order",
    "Outcome",
    "available",
    "change_loops",
    "hear",
    "open_handoff_loop",
    "open_loop",
    "perform",
    "perform_many",
    "replace_request",
    "revise",
    "take_note",
    "take_up",
]

DYING = frozenset({"patient-died", "note-death"})
"""What a death does to a loop: it concerns everybody who performs there."""


@dataclass(frozen=True, slots=True)
class Act:
    """One action on one handoff; the fields are the arguments of `perform`."""

    handoff_id: str
    action: str
    version: int | None = None
    at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""
    attested: bool = False
    base: Resource | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action left behind; ``loop`` is the new loop where a report came after the end of the old one."""

    loop: Loop
    handoff: Handoff
    opened: list[Handoff]
    event: Event


def perform(  # noqa: PLR0913 (what an action may carry; see `Act`)
    handoff_id: str,
    action: str,
    actor: Actor,
    *,
    version: int | None = None,
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
    evidence: str = "",
    attested: bool = False,
    base: Resource | None = None,
) -> Outcome:
    """Do one action, or nothing at all.

    ``version`` is the handoff's version that the caller has seen (`Stale` if another is current); ``at`` is when it
    happened (aware; limited to between the order and now); ``data`` fills the fields of the transition; ``evidence`` is the
    reference of the resource that proves it; ``attested`` marks what a coordinator enters for a performer; ``base`` is
    the Task as its other writer left it, on which ours is written. Raises `NotFound` for a handoff that the actor has no
    part in, and as `lifecycle.decide` does.
    """
    act = Act(handoff_id, action, version, at, data or {}, evidence, attested, base)
    return perform_many([act], actor)[0]


@tried_again
def perform_many(acts: Sequence[Act], actor: Actor) -> list[Outcome]:
    """Do several actions in one transaction, in their order: all of them or none."""
    with transaction.atomic():
        work = Work(actor, clock.now())
        work.lock([act.handoff_id for act in acts])
        outcomes = [_perform(work, act) for act in acts]
        work.save()
    return outcomes


def hear(handoff_id: str, said: Resource, actor: Actor, *, at: datetime) -> None:
    """Keep the Task as its performer left it where that moves no stage: the status is the performer's last word."""
    with transaction.atomic():
        work = Work(actor, clock.now())
        work.lock([handoff_id])
        work.hear(work.handoff(handoff_id), said, at=at)
        work.save()


def available(actor: Actor, handoff: Handoff) -> list[Offer]:
    """The actions that this actor may take now on this handoff, each with the fields of its form.

    Where its owner works elsewhere, staff are also offered that owner's actions, to enter what they were told.
    """
    others = [other for other in handoff.loop.handoffs.filter(closed_at=None) if other.id != handoff.id]
    situation = Situation(handoff.loop, handoff, others, {}, is_void=is_void(handoff))
    roles = frozenset(people.roles_in(actor, handoff))
    own = lifecycle.possible(situation, roles)
    offers = [_offer(transition, situation, attested=False) for transition in own]
    if not handoff.owner.internal:
        heard = lifecycle.possible(situation, roles, attested=True)
        offers += [
            _offer(transition, situation, attested=True)
            for transition in heard
            if transition not in own and lifecycle.is_told(transition, handoff.loop)
        ]
    return offers


def open_loop(order: Order, actor: Actor, *, at: datetime | None = None, after: Loop | None = None) -> Loop:
    """Open the loop of a care request with its first handoffs; ``after`` is the ended one that it takes up again.

    A referral or test order opens `dispatch`, or `fulfil` when its performer has it already; a follow-up opens its visit
    and the contact with the patient.
    """
    with transaction.atomic():
        work = Work(actor, clock.now())
        loop = successor_of(after, work.now) if after else new_loop(order, at or work.now)
        loop.stage = "waiting-partner"
        work.open_loop(loop)
        begun = work.now if after else loop.ordered_at
        _begin(work, loop, order, order.held_at or begun)
        work.note(loop, None, "open", at=begun)
        work.save()
    return loop


def _begin(work: Work, loop: Loop, order: Order, held_at: datetime) -> None:
    if order.kind == "follow-up":
        visit = work.open_handoff(loop, Opening("fulfil", "performer"), at=held_at)
        if not is_of_the_dead(loop):
            work.open_handoff(loop, Opening("contact-patient", "accountable"), at=held_at, opener=visit)
    elif order.is_sent or order.answer_only:
        work.open_handoff(loop, Opening("fulfil", "performer"), at=held_at, key=order.task_id)
    else:
        work.open_handoff(loop, Opening("dispatch", "accountable"), at=held_at)


def replace_request(loop: Loop, order: Order, actor: Actor) -> Loop | None:
    """Take an order that replaces a loop's request into that loop, whose clock runs on; None if it has ended meanwhile.

    What the replaced request has led to stays until its placer revokes it, after the new one was sent (PATHWAYS §1).
    """
    with transaction.atomic():
        work = Work(actor, clock.now())
        work.lock(list(loop.handoffs.filter(closed_at=None).values_list("id", flat=True)[:1]))
        standing = work.join(loop.id, order, work.now)
        if standing is None:
            return None
        work.note(standing.loop, standing, "replace", at=work.now)
        work.save()
    return standing.loop


def open_handoff_loop(  # noqa: PLR0913 (the columns of a loop without a request)
    kind: str,
    handoff_kind: str,
    *,
    about: str,
    accountable_pool: Owner,
    actor: Actor,
    patient_id: str = "",
    priority: str = "routine",
    title: str = "",
    based_on: Loop | None = None,
    at: datetime | None = None,
    details: Data | None = None,
) -> Loop:
    """Open a loop without a request (`unsolicited` or `upkeep`) that holds one handoff on that pool's list.

    ``details`` are what the journal keeps of why, as JSON holds it.
    """
    with transaction.atomic():
        work = Work(actor, clock.now())
        happened = at or work.now
        loop = new_loop_for(kind, about, accountable_pool, happened)
        loop.patient_id, loop.priority, loop.title, loop.based_on = patient_id, priority, title, based_on
        work.open_loop(loop)
        work.open_handoff(loop, Opening(handoff_kind, "accountable"), at=happened)
        work.note(loop, None, "open", at=happened).details = details or {}
        work.save()
    return loop


def change_loops(loop_ids: Sequence[str], actor: Actor, action: str, **fields: Any) -> None:
    """Give loops, ended ones too, another patient or responsible owner, each with a line in its journal.

    Stages, clocks and Tasks stay as they are.
    """
    with transaction.atomic():
        work = Work(actor, clock.now())
        for loop in work.lock_loops(loop_ids):
            work.change_loop(loop, **fields)
            work.note(loop, None, action, at=work.now)
        work.save()


def take_note(loop: Loop, action: str, actor: Actor, *, at: datetime, evidence: str) -> None:
    """Put a line into the journal of a loop, an ended one too, of what changes nothing there."""
    with transaction.atomic():
        work = Work(actor, clock.now())
        for one in work.lock_loops([loop.id]):
            work.note(one, None, action, at=max(one.ordered_at, min(at, work.now))).evidence = evidence
        work.save()


def take_up(ended: Loop, handoff_kind: str, actor: Actor, *, evidence: str = "") -> Loop:
    """Open the loop that follows an ended one, with one handoff on its referrer's list."""
    with transaction.atomic():
        work = Work(actor, clock.now())
        loop = successor_of(ended, work.now)
        loop.stage = "waiting-partner"
        work.open_loop(loop)
        work.open_handoff(loop, Opening(handoff_kind, "referrer"), at=work.now)
        work.note(loop, None, "open", at=work.now).evidence = evidence
        work.save()
    return loop


def revise(loop: Loop, wanted: Mapping[str, Any], actor: Actor, *, evidence: str = "") -> None:
    """Take over how urgently and by when the placer wants it now: ``priority``, ``window_start_at``, ``needed_by``.

    The clocks of what is open run by it from when they started, and the journal says what has changed.
    """
    with transaction.atomic():
        work = Work(actor, clock.now())
        work.lock(list(loop.handoffs.filter(closed_at=None).values_list("id", flat=True)))
        work.revise(loop.id, wanted, evidence=evidence)
        work.save()


def _perform(work: Work, act: Act) -> Outcome:
    handoff = work.handoff(act.handoff_id)
    loop, is_new = _loop_for(work, handoff, act)
    standing = people.standing_in(work.actor, handoff)
    if not standing.roles:
        raise NotFound(_("There is no such task."))
    at = max(loop.ordered_at, min(act.at or work.now, work.now))
    is_back = bool(performing.returned(handoff, everywhere=act.action in DYING))
    unsaid = placing.is_unsaid(loop, handoff, act.action, work.actor) and _may_propose(act.action, standing.roles)
    who, told = (act.action, standing.roles, work.actor.display), (act.data, act.version, act.attested)
    wanted_by, zone = _wanted_by(work.actor, handoff), _zone(work, loop, handoff)
    was_void = act.action in VOIDING and is_void(handoff, str(act.data.get("report") or ""))
    ask = lifecycle.Ask(*who, at, *told, is_back, unsaid, wanted_by, was_void, zone)
    decision = lifecycle.decide(loop, work.open_handoffs(loop), handoff, ask)
    _check_report(loop, act)
    _check_second(work.actor, decision)
    voids = "withdrawn" in decision.transition.sets
    void = str(act.data.get("report") or handoff.focus)
    readings = readings_of(handoff.loop) if voids else Readings()
    is_to_tell = readings.was_told_of(void) if voids else is_new and _is_to_hear(handoff.loop, decision)
    is_to_tell = is_to_tell and not is_of_the_dead(loop) and not is_of_the_dead(handoff.loop)
    if voids and (is_to_tell or not readings.has_untold_beside(void)):
        decision = _retold(decision, work.open_handoffs(loop), "to-tell-today" if is_to_tell else "overtaken")
    before = handoff.stage
    is_placers = _may_propose(act.action, standing.roles)
    opened = work.apply(loop, handoff, decision, at=at, base=act.base, is_placers=is_placers)
    if is_to_tell and not any(one.kind == "notify-patient" for one in work.open_handoffs(loop)):
        again = Opening("notify-patient", "accountable", stage="to-tell-today" if voids else "")
        opened.append(work.open_handoff(loop, again, at=at, opener=handoff))
    is_here = handoff.loop_id == loop.id
    event = work.note(loop, handoff if is_here else None, act.action, at=at, before=before if is_here else "")
    proof = act.evidence or (handoff.focus if voids else "")
    work.describe(event, decision, opened, evidence=proof, attested=act.attested)
    if standing.stead is not None:
        event.details["in_stead_of"] = standing.stead.name
    return Outcome(loop, handoff, opened, event)


def _wanted_by(actor: Actor, handoff: Handoff) -> str:
    """Who asked for what a performer's system answers, as the journal names them: a system decides nothing (law 4)."""
    if handoff.kind != "request-cancellation" or actor.kind == "person":
        return ""
    asked = Event.objects.filter(loop=handoff.loop_id, details__opened__contains=[handoff.id]).order_by("-id")
    return asked.values_list("actor_display", flat=True).first() or ""


def _zone(work: Work, loop: Loop, handoff: Handoff) -> tzinfo:
    """Where the days of whoever sees the patient begin: of the part that a handoff hangs on, else its own."""
    part = next((one for one in work.open_handoffs(loop) if one.id == handoff.opened_by_id), None)
    return work.clocks.zone_of(part if part is not None and part.kind == "fulfil" else handoff, loop)


def _may_propose(action: str, roles: frozenset[str]) -> bool:
    """A performer that puts its own part on hold says nothing about the request."""
    return action != "hold" or bool(roles & STAFF)


def _loop_for(work: Work, handoff: Handoff, act: Act) -> tuple[Loop, bool]:
    """The handoff's own loop; for a report that comes after its end the one based on it, and whether that is new."""
    loop = handoff.loop
    of_reports = {"received", "withdrawn", "contradicted", "resumed"}
    rows = transitions_from(handoff.kind, handoff.stage, loop.kind)
    afterwards = {row.action: row.sets for row in rows if row.sets & of_reports}
    if loop.closed_at is None or act.action not in afterwards:
        return loop, False
    later = work.lock_successor(loop)
    if later is not None:
        return later, False
    fresh = successor_of(loop, work.now, is_known=bool({"contradicted", "resumed"} & afterwards[act.action]))
    work.open_loop(fresh)
    return fresh, True


def _is_to_hear(before: Loop, decision: lifecycle.Decision) -> bool:
    """Whether what comes after a loop's end is a report, and the patient was told there of what has changed since."""
    is_report = not {"contradicted", "resumed"} & decision.transition.sets
    return is_report and (before.told_at is not None or before.told_reason == "told-by-performer")


def _retold(decision: lifecycle.Decision, others: Sequence[Handoff], stage: str) -> lifecycle.Decision:
    """What the patient was still to be told is told today where what they know is void, and else not at all."""
    telling = {one.id: stage for one in others if one.stage == "to-tell"}
    return replace(decision, stages={**telling, **decision.stages})


def _check_report(loop: Loop, act: Act) -> None:
    """Refuse a report that isn't here or is another patient's; what came as evidence was looked at where it came in."""
    named = str(act.data.get("report") or "")
    if not named or act.evidence == named:
        return
    report = held(*local({"reference": named}))
    patient = patient_of(report)
    if not report or (patient and not same_patient(loop.patient_id, patient)):
        text = _("There is no such report of this patient.")
        raise Incorrect(text, Issue(text, "report", "not-found"))


def _check_second(actor: Actor, decision: lifecycle.Decision) -> None:
    """Refuse a second person who is no other colleague of whoever acts."""
    for one in decision.transition.fields:
        if one.kind == "second-person" and one.name in decision.data:
            people.check_second(decision.data[one.name], actor, one.roles)


def _offer(transition: Transition, situation: Situation, *, attested: bool) -> Offer:
    required = lifecycle.required_now(transition, situation)
    fields = tuple(
        replace(one, required=True) if one.name in required else one
        for one in lifecycle.fields_of(transition, attested=attested)
    )
    return Offer(transition.action, transition.label, fields, transition.is_primary and not attested, attested)
