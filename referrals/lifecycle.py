"""The one interpreter of the tables in `referrals.pathways`: what an action does, decided without touching anything.

`decide` reads a loop, its open handoffs and the action, and says what becomes of each of them. It has no I/O and no
clock, so the whole lifecycle can be tested by the million. `referrals.workflow` writes what it says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.utils.translation import gettext as _

from records.errors import Forbidden, Incorrect, Stale
from referrals import bidding, fields, plausible
from referrals.conditions import UNMET, Situation, holds, is_of_the_dead, is_theirs_to_end
from referrals.ending import ends_loop, has_no_proposer, is_known, is_overtaken, leaves_unheard, leaves_unread, moved
from referrals.models import Handoff, Loop
from referrals.pathways import ATTESTATION, DEPENDENTS, HANDOFFS, REASONS, STAGES, transitions_from
from referrals.pathways.parts import REVOKE
from referrals.vocabulary import Data, Field, Opening, Transition

WITH_REQUEST = frozenset({"referral", "follow-up", "test-order"})
# Their word comes from a record of another system, which is taken as it is.
TOLD = frozenset({"partner", "system"})
ATTESTORS = frozenset({"coordinator", "requester", "supervisor"})
PLACER = frozenset({"requester"})


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to do: the action, in which roles, with which data, and when it happened (aware, limited).

    ``is_back`` is what the rows say of whom it decides about (`conditions.Situation`).
    ``wanted_by`` is whoever wanted what a performer's answer now brings about; empty where ``by`` does.
    ``is_void``: so is already what it would make so (`readings.is_void`).
    ``is_unsaid``: the request was placed in an EHR, and doesn't say there what the action decides (`placing.is_unsaid`).
    ``zone`` is where its days begin (`clocks.Clocks.zone_of`).
    """

    action: str
    roles: frozenset[str]
    by: str
    at: datetime
    data: Mapping[str, Any]
    version: int | None = None
    attested: bool = False
    is_back: bool = False
    is_unsaid: bool = False
    wanted_by: str = ""
    is_void: bool = False
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Decision:
    """What an action does. ``stages`` are the new stages of this and other handoffs by id, ``loop`` the loop's new fields.

    ``asks`` are the handoffs, by id, whose performer is asked to cancel because only the performer can end them now.
    ``reasons`` are those of other handoffs by id; ``winner`` is the offer that has been taken (`referrals.bidding`).
    """

    transition: Transition
    stages: Mapping[str, str]
    opens: tuple[Opening, ...]
    asks: tuple[str, ...]
    loop: Mapping[str, Any]
    data: Data
    reason_code: str
    reason_text: str
    attested: bool
    reasons: Mapping[str, str]
    winner: Handoff | None


def decide(loop: Loop, handoffs: Sequence[Handoff], handoff: Handoff, ask: Ask) -> Decision:
    """What ``ask`` does to ``handoff``; ``handoffs`` are the loop's open ones.

    Raises `Stale` for another version than expected, `Incorrect` or `Forbidden` saying what is possible now, and
    `Incorrect` naming each field that is missing or wrong.
    """
    if ask.version is not None and ask.version != handoff.version:
        raise Stale(_("Somebody else has changed this since you looked at it.") + _why_ended(handoff))
    others = [other for other in handoffs if other.id != handoff.id]
    situation = Situation(loop, handoff, others, ask.data, is_void=ask.is_void, zone=ask.zone)
    transition = _choose(situation, ask)
    values = _clean(transition, situation, ask)
    situation = Situation(loop, handoff, others, values, ask.is_back, ask.is_unsaid, ask.is_void, ask.zone)
    stages = _stages(transition, situation)
    winner = bidding.winner(stages, [handoff, *others])
    losers = bidding.rivals(winner, others) if winner else []
    stopped = bidding.started(losers)
    stages |= _lost(losers, stopped, others)
    opens = _openings(transition, situation)
    changes = _loop_changes(transition, situation, opens, ask)
    changes |= _loop_stage(situation, stages, opens, changes, ask)
    return Decision(
        transition,
        stages,
        opens,
        (*_asked(transition, situation), *(one.id for one in stopped)),
        changes,
        dict(situation.data),
        reason_code=situation.data.get("reason", ""),
        reason_text=situation.data.get("reason_text", ""),
        reasons=_reasons(transition, situation, stages) | {one.id: bidding.NOT_SELECTED for one in losers},
        winner=winner,
        attested=ask.attested,
    )


def possible(situation: Situation, roles: frozenset[str], *, attested: bool = False) -> list[Transition]:
    """The transitions that these roles may take now, in the order of the tables."""
    handoff = situation.handoff
    return [
        transition
        for transition in transitions_from(handoff.kind, handoff.stage, situation.loop.kind)
        if _may(transition, situation, roles, attested=attested) and not _unmet(transition, situation)
    ]


def required_now(transition: Transition, situation: Situation) -> frozenset[str]:
    """The names of the fields that a condition makes required just now."""
    return frozenset(
        field.name for field in transition.fields if field.required_if and holds(field.required_if, situation)
    )


def fields_of(transition: Transition, *, attested: bool) -> tuple[Field, ...]:
    """The transition's fields, and those of a recollection entered for somebody else."""
    names = {field.name for field in transition.fields}
    extra = tuple(field for field in ATTESTATION if field.name not in names)
    return transition.fields + (extra if attested else ())


def _may(transition: Transition, situation: Situation, roles: frozenset[str], *, attested: bool) -> bool:
    is_heard = attested and not situation.handoff.owner.internal
    if is_heard and roles & ATTESTORS and is_told(transition, situation.loop):
        return True
    return bool(roles & (PLACER if _is_of_another(transition, situation.loop) else transition.who))


def is_told(transition: Transition, loop: Loop) -> bool:
    """Whether staff may enter it for somebody elsewhere who has told of it (PATHWAYS §3, "Attested")."""
    return "performer" in transition.who or _is_of_another(transition, loop)


def _is_of_another(transition: Transition, loop: Loop) -> bool:
    """Whether it is the word of a placer elsewhere: whoever performs here can only pass it on."""
    return transition.is_placers and loop.answer_only


def _unmet(transition: Transition, situation: Situation) -> list[str]:
    return [name for name in transition.needs if not holds(name, situation)]


def _choose(situation: Situation, ask: Ask) -> Transition:
    """The transition that the action stands for, or a refusal that says what is possible."""
    handoff = situation.handoff
    named = [
        transition
        for transition in transitions_from(handoff.kind, handoff.stage, situation.loop.kind)
        if transition.action == ask.action
    ]
    if not named:
        raise Incorrect(_refusal(situation, ask) + _why_ended(situation.handoff))
    allowed = [transition for transition in named if _may(transition, situation, ask.roles, attested=ask.attested)]
    if not allowed:
        raise Forbidden(_refusal(situation, ask))
    unmet = _unmet(allowed[0], situation)
    if unmet:
        raise Incorrect(_refusal(situation, ask, str(UNMET[unmet[0]])))
    return allowed[0]


def _refusal(situation: Situation, ask: Ask, why: str = "") -> str:
    handoff = situation.handoff
    actions = [transition.action for transition in possible(situation, ask.roles, attested=ask.attested)]
    words = {
        "action": ask.action,
        "handoff": handoff.kind,
        "stage": handoff.stage,
        "why": f" ({why})" if why else "",
        "actions": ", ".join(dict.fromkeys(actions)) or _("nothing"),
    }
    return _("“%(action)s” is not possible for %(handoff)s at “%(stage)s”%(why)s. Possible now: %(actions)s.") % words


def _why_ended(handoff: Handoff) -> str:
    """A sentence to append that says why a handoff has ended; empty where no reason tells."""
    reason = REASONS.get(handoff.reason_code) if handoff.closed_at else None
    return f" {reason.label}." if reason else ""


def _clean(transition: Transition, situation: Situation, ask: Ask) -> Data:
    values = fields.clean(fields_of(transition, attested=ask.attested), ask.data, required_now(transition, situation))
    plausible.check(
        values,
        earliest=situation.loop.ordered_at,
        now=ask.at,
        is_told=bool(ask.roles & TOLD),
        missed=_missed(situation.handoff) if transition.action == "no-show" else None,
    )
    return values


def _missed(handoff: Handoff) -> datetime | None:
    return handoff.slot_start_at or handoff.slot_end_at


def _stages(transition: Transition, situation: Situation) -> dict[str, str]:
    """The new stage of every handoff that the transition touches."""
    stages = {situation.handoff.id: transition.target or _stage_kept(transition, situation)}
    for move in transition.moves:
        stages |= moved(move, situation)
    for other in situation.others:
        if other.id not in stages and is_overtaken(other, transition, situation):
            stages[other.id] = HANDOFFS[other.kind].overtaken
    return stages | _dropped(situation.others, stages)


def _dropped(others: Iterable[Handoff], stages: Mapping[str, str]) -> dict[str, str]:
    """Proposals of performers who end with this: nobody has to decide about them any more."""
    pointless = [one for one in others if one.id not in stages and has_no_proposer(one, stages)]
    return {one.id: HANDOFFS[one.kind].overtaken for one in pointless}


def _stage_kept(transition: Transition, situation: Situation) -> str:
    """Where a row without a target leaves its own handoff; a request to stop for a death that was none has its end."""
    handoff = situation.handoff
    is_void = "lives" in transition.sets and is_overtaken(handoff, transition, situation)
    return HANDOFFS[handoff.kind].overtaken if is_void else handoff.stage


def _lost(losers: Sequence[Handoff], stopped: Sequence[Handoff], others: Sequence[Handoff]) -> dict[str, str]:
    """Where the losers of a bidding and what hangs on them come to; one that has begun stays, and is asked to stop."""
    ended = {one.id for one in losers if one not in stopped}
    hanging = [one for one in others if one.opened_by_id in ended and one.kind in DEPENDENTS]
    lost = {one.id: bidding.LOST if one.id in ended else one.stage for one in losers}
    return lost | {one.id: HANDOFFS[one.kind].overtaken for one in hanging} | _dropped(others, lost)


def _reasons(transition: Transition, situation: Situation, stages: Mapping[str, str]) -> dict[str, str]:
    """The reason for which a transition ends other performers' part, where the table gives one, or gives it back."""
    because = situation.reason if "returned" in transition.sets else transition.because
    touched = [one for one in situation.others if one.kind == "fulfil" and one.id in stages]
    return {one.id: because for one in touched} if because else {}


def _asked(transition: Transition, situation: Situation) -> tuple[str, ...]:
    """Whose performer is asked to cancel: what a decision would end, but only the performer can."""
    if transition.handoff != "decide-next-step":
        return ()
    theirs = [one for one in situation.others if is_theirs_to_end(one) and not situation.is_asked_to_cancel(one)]
    return tuple(
        other.id
        for other in theirs
        if "ended" in transition.sets or ("fulfil" in transition.closes and situation.is_related(other))
    )


def _openings(transition: Transition, situation: Situation) -> tuple[Opening, ...]:
    return tuple(
        opening
        for opening in transition.opens
        if not (situation.loop.answer_only and HANDOFFS[opening.handoff].of_placer)
        and not any(holds(name, situation) for name in opening.unless)
        # What goes on, or waits for a performer's answer first, is not proposed to be revoked.
        and not (opening == REVOKE and not ends_loop(transition, situation))
    )


def _in_full(transition: Transition) -> dict[str, Any]:
    return {"is_advice": False} if "in-full" in transition.sets else {}


def _loop_changes(transition: Transition, situation: Situation, opens: Iterable[Opening], ask: Ask) -> dict[str, Any]:
    """What the transition records on the loop: acknowledged, told, or the reason of its end."""
    changes = _in_full(transition)
    reason = situation.reason
    # While a report is unread, neither what was read nor what the patient was told is the whole outcome.
    sets = transition.sets - ({"acknowledged", "told"} if leaves_unread(transition, situation) else set())
    if "withdrawn" in sets or any(opening.handoff == "review-report" for opening in opens):
        changes |= _ACKNOWLEDGED if holds("patient-died", situation) else _UNREAD
    if "acknowledged" in sets:
        changes |= _recorded("acknowledged", ask, "")
    if ends_loop(transition, situation) and not _has_its_outcome(situation):
        end = _end_reason(situation)
        changes |= {"end_reason": end} | _recorded("acknowledged", ask, end)
        telling = [other for other in situation.others if other.kind == "notify-patient"]
        is_left = not all(is_known(other, situation) for other in telling)
        if holds("patient-knows", situation) and not holds("patient-told", situation) and not is_left:
            changes |= _recorded("told", ask, reason)
    if "told" in sets and ("ended" not in sets or ends_loop(transition, situation)):
        changes |= _recorded("told", ask, reason if situation.data.get("reason") else "")
    return changes | _by_death(transition, situation, ask)


def _end_reason(situation: Situation) -> str:
    """Why the loop ends: whoever only answers a request to stop doesn't change why it had ended for everybody else."""
    is_answer = situation.handoff.kind == "request-cancellation"
    return (is_answer and situation.loop.end_reason) or situation.reason


def _has_its_outcome(situation: Situation) -> bool:
    """Whether what was reported was read and the patient told, or about to be: the reason then ends what is left, not that."""
    read, told = situation.loop.acknowledged_at is not None, situation.loop.told_at is not None
    return read and (told or leaves_unheard(situation) or not holds("patient-knows", situation))


def _by_death(transition: Transition, situation: Situation, ask: Ask) -> dict[str, Any]:
    """A death stands for telling the patient, also while something outlives it; until it turns out not to be so."""
    if "died" in transition.sets:
        return {"end_reason": situation.reason} | _recorded("told", ask, situation.reason)
    return _TOLD if "lives" in transition.sets else {}


_ACKNOWLEDGED: dict[str, Any] = {"acknowledged_at": None, "acknowledged_by": "", "acknowledged_reason": ""}
_TOLD: dict[str, Any] = {"told_at": None, "told_by": "", "told_reason": "", "end_reason": ""}
# A report to review makes void what was acknowledged and told before it; nobody who has died is told again.
_UNREAD: dict[str, Any] = _ACKNOWLEDGED | _TOLD


def _recorded(what: str, ask: Ask, reason: str) -> dict[str, Any]:
    """That it was done at that time, or that a reason stands for it; by a named person either way."""
    by = (reason and ask.wanted_by) or ask.by
    return {f"{what}_at": None if reason else ask.at, f"{what}_by": by, f"{what}_reason": reason}


def _loop_stage(
    situation: Situation,
    stages: Mapping[str, str],
    opens: Sequence[Opening],
    changes: Mapping[str, Any],
    ask: Ask,
) -> dict[str, Any]:
    """The loop's stage after the transition, and its end when nothing is left open."""
    loop, everyone = situation.loop, [situation.handoff, *situation.others]
    kinds = {each.kind for each in everyone if not _ends(each, stages)} | {opening.handoff for opening in opens}
    after = {name: changes.get(name, getattr(loop, name)) for name in _UNREAD}
    if kinds:
        return {"stage": open_stage(loop.kind, kinds, acknowledged=bool(after["acknowledged_by"]))}
    if loop.kind in WITH_REQUEST and not loop.answer_only and not (after["acknowledged_by"] and after["told_by"]):
        raise Incorrect(_("The loop would end although the report isn't acknowledged or the patient isn't told."))
    end = _end_stage(loop, after["end_reason"], stages[situation.handoff.id])
    return {"stage": end, "closed_at": ask.at, "closed_by": ask.by}


def _ends(handoff: Handoff, stages: Mapping[str, str]) -> bool:
    return STAGES[handoff.kind, stages.get(handoff.id, handoff.stage)].is_end


def open_stage(loop_kind: str, kinds: set[str], *, acknowledged: bool) -> str:
    """The stage of an open loop in which handoffs of these kinds are open."""
    if loop_kind not in WITH_REQUEST:
        return "in-hand"
    if "review-report" in kinds:
        return "report-received"
    return "plan-to-patient" if kinds - {"propose-change"} == {"notify-patient"} and acknowledged else "waiting-partner"


def revived(loop: Loop) -> dict[str, Any]:
    """What changes in an open loop whose end was decided when its order is active again: that reason stands for nothing."""
    if not loop.end_reason or is_of_the_dead(loop):
        return {}
    names = [name for name in ("acknowledged", "told") if getattr(loop, f"{name}_reason")]
    return {"end_reason": ""} | {key: value for key, value in _UNREAD.items() if key.partition("_")[0] in names}


def _end_stage(loop: Loop, end_reason: str, last_stage: str) -> str:
    if loop.kind == "unsolicited":
        return last_stage
    if loop.kind == "upkeep":
        return "settled"
    if loop.answer_only and not end_reason:
        return "answered"
    return REASONS[end_reason].loop_end if end_reason else "closed"
