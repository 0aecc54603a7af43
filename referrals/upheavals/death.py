"""A patient's death: asked of a person first, then in all loops of the patient at once, and taken back if it was not so.

From the first report on, nothing is sent to the patient (`is_silenced`, derived from the upkeep loop's rows). Once a
person confirms it, every open loop takes one step in one transaction: what is ours ends with the reason, what a performer
elsewhere has started is asked to stop, a report stays to be read (PATHWAYS §7).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records import clock
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import Conflict, Incorrect, Issue
from records.json import Resource
from referrals import fields, locking, people, workflow
from referrals.conditions import is_of_the_dead, outlives
from referrals.lifecycle import WITH_REQUEST
from referrals.models import Event, Handoff, Loop, Merge, Owner
from referrals.mortality import JOINED, KNOWN, hold, hold_question, known_of, last_of, questions
from referrals.parties import current_patient, held
from referrals.readings import line_of
from referrals.vocabulary import Data, Field
from referrals.workflow import Act

REASON = {"reason": "patient-died"}
TOLD = (
    Field("died_on", "date", gettext_lazy("Died on"), required=False),
    Field("source", "text", gettext_lazy("Who says so, and how they know")),
)
ELSEWHERE = timedelta(days=1)
"""It is tomorrow already in some places."""


def is_flagged(patient: Resource) -> bool:
    """Whether a Patient says of itself that it has died."""
    return patient.get("deceasedBoolean") is True or bool(patient.get("deceasedDateTime"))


def is_silenced(patient_id: str) -> bool:
    """Whether nothing may be sent to this patient: the death was reported, and nobody has refuted it since."""
    return bool(known_of(patient_id))


@tried_again
@transaction.atomic
def report(patient_id: str, actor: Actor) -> Loop | None:
    """Ask a person to confirm that the patient has died, once; None when nobody here has anything to do with it."""
    return _ask(hold(patient_id), actor)


@tried_again
@transaction.atomic
def tell(patient_id: str, actor: Actor, said: Mapping[str, Any]) -> Loop:
    """Let a colleague confirm what somebody was told: that the patient has died; ``said`` holds the fields of `TOLD`.

    Where nothing is open for the patient the actor's own pool is asked, so that nothing is ordered or sent meanwhile.
    Raises `Incorrect` for a field that is missing or a day to come, `Conflict` where it is known already.
    """
    told = fields.clean(TOLD, said)
    if told.get("died_on", clock.now().date()) > clock.now().date() + ELSEWHERE:
        text = _("This day is still to come.")
        raise Incorrect(text, Issue(text, "died_on", "value"))
    patient = hold(patient_id)
    if is_silenced(patient):
        raise Conflict(_("Somebody has reported this already."))
    pool = _asked(patient, actor) or people.default_pool(actor.organization)
    return _open(patient, pool, actor, details=fields.as_details(told))


@tried_again
@transaction.atomic
def refute(patient_id: str, actor: Actor, note: str = "") -> None:
    """It was not so: refute what waits for a person; if it was confirmed, take up again what ended by it.

    Its referrer has to decide in each of those loops: in new ones based on those that ended, and in those still open.
    """
    locking.hold_loops_of(current_patient(patient_id))
    last = last_of(hold(patient_id))
    if last is None or last.stage not in KNOWN:
        return
    # What was confirmed keeps its end: a question of its own is refuted then.
    later = None if last.is_open else _open(last.loop.patient_id, last.accountable, actor, based_on=last.loop)
    asked = last if later is None else later.handoffs.get()
    workflow.perform(asked.id, "refute", _baton_for(actor), data={"note": note} if note else {})


def is_said_of(record: str) -> bool:
    """Whether a death is said of that very record: by the last question about it, else by the record itself."""
    last = last_of(record)
    return last.stage in KNOWN if last is not None else is_flagged(held("Patient", record))


def join(patient_id: str, brought: Collection[str], actor: Actor, *, is_said: bool) -> None:
    """Ask once about two records that are one from now on, if a death ``is_said`` of either (docs/decisions/0126).

    ``brought`` are the loops that came from the other record. What a person has confirmed of one is not confirmed of the
    other: somebody is asked again while anything is open that it hasn't reached, or if the last answer was another one.
    """
    waiting = questions(patient_id).filter(closed_at=None)
    twice = [one.id for one in waiting if one.loop_id in brought] if len(waiting) > 1 else []
    workflow.perform_many([Act(key, "ask-once") for key in twice], _baton_for(actor))
    last = last_of(patient_id)
    if not is_said or (last is not None and last.is_open):
        return
    is_confirmed = last is not None and last.stage in KNOWN
    pool = _asked(patient_id, actor) or (last.accountable if last is not None else None)
    if pool is not None and (not is_confirmed or _goes_on(patient_id)):
        _open(patient_id, pool, actor, based_on=last.loop if last is not None else None)


def part(records: Collection[str], actor: Actor) -> None:
    """Two records are two again: what was asked once about both is asked about each, and a death is its own record's.

    What ended by a death that was confirmed of the other is taken up, unless it was confirmed of this one as well.
    """
    for record in records:
        last, known = questions(record).first(), last_of(record)
        if last is not None and last.stage == JOINED:
            _open(record, last.accountable, actor, based_on=last.loop)
        if known is None or known.stage != "death-confirmed":
            for other in records:
                _take_up(record, _confirmed(other) if other != record else (), actor)


def follow(events: Sequence[Event]) -> None:
    """What a person has confirmed is done to all loops of the patient, in the same transaction (a reaction).

    An order for somebody whose record said before it that they have died asks, as the flag does where there are loops; so
    does whoever gives it as the reason for ending one of several.
    """
    for event in events:
        is_a_reason = event.reason_code == REASON["reason"] and event.action not in workflow.DYING
        if is_a_reason and event.loop.patient_id:
            _ask_because_of(event)
        if event.action == "open" and event.loop.kind in WITH_REQUEST:
            _ask_about(event.loop.patient_id, Actor(id=event.actor_id, kind="system", display=event.actor_display))
        if event.action in _ANSWERS and event.handoff is not None and event.handoff.kind == "confirm-death":
            who = Actor(id=event.actor_id, kind="system", display=event.actor_display)
            _ANSWERS[event.action](event.loop.patient_id, event.handoff, who)


def _ask_because_of(event: Event) -> None:
    """Let somebody confirm the death that ended this loop, while others of the patient go on: nobody calls the dead."""
    house = event.loop.accountable.organization
    actor = Actor(id=event.actor_id, kind="system", display=event.actor_display, organization=house)
    _ask(hold(event.loop.patient_id), actor)


def _ask_about(patient_id: str, actor: Actor) -> None:
    """Its loop shares the lock on the patient already (`mortality.begin`), so only other questions are kept off."""
    if not any(is_flagged(held("Patient", one)) for one in _records_of(patient_id)) or last_of(patient_id) is not None:
        return
    hold_question(patient_id)
    if last_of(patient_id) is None:
        _ask(patient_id, actor)


def _records_of(patient_id: str) -> list[str]:
    """A Patient and those that were merged into it."""
    found = [patient_id]
    for one in found:
        found += (
            Merge.objects.filter(target=one, undone_at=None).exclude(source__in=found).values_list("source", flat=True)
        )
    return found


def _ask(patient: str, actor: Actor) -> Loop | None:
    pool = None if is_silenced(patient) else _asked(patient, actor)
    return _open(patient, pool, actor) if pool else None


def _open(
    patient_id: str, pool: Owner, actor: Actor, based_on: Loop | None = None, details: Data | None = None
) -> Loop:
    return workflow.open_handoff_loop(
        "upkeep",
        "confirm-death",
        about=f"Patient/{patient_id}",
        patient_id=patient_id,
        accountable_pool=pool,
        actor=actor,
        based_on=based_on,
        details=details,
    )


def _end_all(patient_id: str, asked: Handoff, actor: Actor) -> None:
    """Rows before the lock on the patient: whoever works on one of them may open another loop. Then those opened meanwhile."""
    _open_loops(patient_id)
    reached = [loop for loop in _open_loops(hold(patient_id)) if not is_of_the_dead(loop)]
    anchors = map(_anchor, reached)
    acts = [Act(one.id, _action(one), data=REASON, evidence=f"Task/{asked.id}") for one in anchors]
    workflow.perform_many(acts, actor)


def _restore_all(patient_id: str, _question: Handoff, actor: Actor) -> None:
    """The same way round; what was confirmed of any of the patient's records before is refuted with it."""
    _open_loops(patient_id)
    patient = hold(patient_id)
    _take_up(patient, _confirmed(patient), actor)


_ANSWERS = {"confirm": _end_all, "refute": _restore_all}


def _confirmed(record: str) -> Iterable[Handoff]:
    return questions(record).filter(stage="death-confirmed").reverse()


def _open_loops(patient_id: str) -> list[Loop]:
    """The patient's open loops around requests, locked in the order of their ids."""
    loops = Loop.objects.select_for_update().filter(patient_id=patient_id, closed_at=None, kind__in=WITH_REQUEST)
    return list(loops.order_by("id"))


def _goes_on(patient_id: str) -> bool:
    """Whether anything is open for the patient that no death has reached."""
    going_on = Loop.objects.filter(patient_id=patient_id, closed_at=None, kind__in=WITH_REQUEST)
    return any(not is_of_the_dead(loop) for loop in going_on)


def _anchor(loop: Loop) -> Handoff:
    """The handoff on which the loop's step is taken: one that ends with it, if there is any."""
    still_open = loop.handoffs.filter(closed_at=None).select_related("owner").order_by("opened_at", "id")
    return min(still_open, key=outlives)


def _going_on(loop: Loop) -> Handoff:
    """The handoff on which a death is taken back: any but what the death has asked for itself."""
    still_open = loop.handoffs.filter(closed_at=None).select_related("owner").order_by("opened_at", "id")
    return min(still_open, key=lambda one: one.kind == "request-cancellation")


def _action(anchor: Handoff) -> str:
    return "note-death" if outlives(anchor) else "patient-died"


def _take_up(patient_id: str, confirmed: Iterable[Handoff], actor: Actor) -> None:
    """Take back what these answers have led to in the patient's loops: somebody decides once about each request.

    Of several loops of one request that is in the one that is open, else in one based on the last.
    """
    for one in confirmed:
        proof = f"Task/{one.id}"
        concerned = Loop.objects.filter(patient_id=patient_id, events__evidence=proof, end_reason="patient-died")
        concerned = concerned.distinct().order_by("id")
        ended = list(concerned.exclude(closed_at=None).filter(followed_by=None).select_related("accountable"))
        still_open = [_going_on(loop) for loop in concerned.filter(closed_at=None)]
        workflow.perform_many(_refuting(still_open, proof), _baton_for(actor))
        for loop in sorted(ended, key=lambda loop: loop.opened_at, reverse=True):
            if not Handoff.objects.filter(line_of(loop), closed_at=None).exists():
                workflow.take_up(loop, "decide-next-step", actor, evidence=proof)


def _refuting(anchors: Iterable[Handoff], proof: str) -> list[Act]:
    return [Act(one.id, "refute-death", evidence=proof) for one in anchors]


def _baton_for(actor: Actor) -> Actor:
    """Baton in the actor's name."""
    return replace(actor, kind="system")


def _asked(patient_id: str, actor: Actor) -> Owner | None:
    """Whose pool confirms it: the reporter's, where it cares for the patient, else whoever is accountable longest."""
    accountable = [
        loop.accountable
        for loop in Loop.objects.filter(patient_id=patient_id, closed_at=None, kind__in=WITH_REQUEST)
        .select_related("accountable")
        .order_by("opened_at", "id")
    ]
    mine = next((one for one in accountable if one.organization == actor.organization), None)
    if mine or accountable:
        return mine or accountable[0]
    return None
