"""A patient's death: asked of a person first, then in all loops of the patient at once, and taken back if it was not so.

From the first report on, nothing is sent to the patient (`is_silenced`, derived from the upkeep loop's rows). Once a
person confirms it, every open loop takes one step in one transaction: what is ours ends with the reason, what a performer
elsewhere has started is asked to stop, a report stays to be read (PATHWAYS §7).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records import clock
from records.access import Actor
from records.errors import Conflict, Incorrect, Issue
from records.json import Resource
from referrals import fields, people, workflow
from referrals.conditions import outlives
from referrals.lifecycle import WITH_REQUEST
from referrals.models import Event, Handoff, Loop, Owner
from referrals.mortality import KNOWN, hold, hold_question, last_asked
from referrals.parties import current_patient, held
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
    last = last_asked(patient_id)
    return last is not None and last.stage in KNOWN


@transaction.atomic
def report(patient_id: str, actor: Actor) -> Loop | None:
    """Ask a person to confirm that the patient has died, once; None when nobody here has anything to do with it."""
    patient = current_patient(patient_id)
    hold(patient)
    return _ask(patient, actor)


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
    patient = current_patient(patient_id)
    hold(patient)
    if is_silenced(patient):
        raise Conflict(_("Somebody has reported this already."))
    pool = _asked(patient, actor) or people.default_pool(actor.organization)
    return _open(patient, pool, actor, details=fields.as_details(told))


@transaction.atomic
def refute(patient_id: str, actor: Actor, note: str = "") -> list[Loop]:
    """It was not so: refute what waits for a person; if it was confirmed, take up again what ended by it.

    Gives the loops in which the referrer now has to decide: new ones based on those that ended, and those still open.
    """
    last = _last_asked_alone(patient_id)
    if last is None or last.stage not in KNOWN:
        return []
    # What was confirmed keeps its end: a question of its own is refuted then.
    later = None if last.is_open else _open(last.loop.patient_id, last.accountable, actor, based_on=last.loop)
    asked = last if later is None else later.handoffs.get()
    workflow.perform(asked.id, "refute", _baton_for(actor), data={"note": note} if note else {})
    return [] if later is None else _taken_up(last, actor)


def follow(events: Sequence[Event]) -> None:
    """What a person has confirmed is done to all loops of the patient, in the same transaction (a reaction).

    An order for somebody whose record said before it that they have died asks, as the flag does where there are loops.
    """
    for event in events:
        if event.action == "open" and event.loop.kind in WITH_REQUEST:
            _ask_about(event.loop.patient_id, Actor(id=event.actor_id, kind="system", display=event.actor_display))
        if event.action == "confirm" and event.handoff is not None and event.handoff.kind == "confirm-death":
            who = Actor(id=event.actor_id, kind="system", display=event.actor_display)
            _end_all(event.loop.patient_id, f"Task/{event.handoff.id}", who)


def _ask_about(patient_id: str, actor: Actor) -> None:
    """Its loop shares the lock on the patient already (`mortality.confirmed`), so only other questions are kept off."""
    patient = current_patient(patient_id)
    if not is_flagged(held("Patient", patient)) or last_asked(patient) is not None:
        return
    hold_question(patient)
    if last_asked(patient) is None:
        _ask(patient, actor)


def _ask(patient: str, actor: Actor) -> Loop | None:
    pool = None if is_silenced(patient) else _asked(patient, actor)
    return _open(patient, pool, actor) if pool else None


def _last_asked_alone(patient_id: str) -> Handoff | None:
    """The last question, its row locked before the patient, as by whoever answers it."""
    last = last_asked(patient_id)
    if last is not None:
        Loop.objects.select_for_update(of=("self",)).get(pk=last.loop_id)
    hold(current_patient(patient_id))
    return last_asked(patient_id)


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


def _end_all(patient_id: str, proof: str, actor: Actor) -> None:
    """Rows before the lock on the patient: whoever works on one of them may open another loop. Then those opened meanwhile."""
    _open_loops(patient_id)
    hold(current_patient(patient_id))
    acts = [
        Act(anchor.id, _action(anchor), data=REASON, evidence=proof) for anchor in map(_anchor, _open_loops(patient_id))
    ]
    workflow.perform_many(acts, actor)


def _open_loops(patient_id: str) -> list[Loop]:
    """The patient's open loops around requests, locked in the order of their ids."""
    loops = Loop.objects.select_for_update().filter(patient_id=patient_id, closed_at=None, kind__in=WITH_REQUEST)
    return list(loops.order_by("id"))


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


def _taken_up(confirmed: Handoff, actor: Actor) -> list[Loop]:
    proof = f"Task/{confirmed.id}"
    concerned = Loop.objects.filter(events__evidence=proof, end_reason="patient-died").distinct()
    ended = concerned.exclude(closed_at=None).filter(followed_by=None).select_related("accountable").order_by("id")
    still_open = [_going_on(loop) for loop in concerned.filter(closed_at=None).order_by("id")]
    followers = [workflow.take_up(loop, "decide-next-step", actor, evidence=proof) for loop in ended]
    outcomes = workflow.perform_many(_refuting(still_open, proof), _baton_for(actor))
    return [*followers, *(one.loop for one in outcomes)]


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
