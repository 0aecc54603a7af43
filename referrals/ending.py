"""What an action ends besides: other handoffs that it moves or leaves without anything to do, and the loop itself.

Pure, like `referrals.lifecycle`, which asks it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from referrals.conditions import Situation, holds, is_theirs_to_end, outlives, stands_alone
from referrals.models import Handoff
from referrals.pathways import REASONS, RESUMES, STAGES
from referrals.pathways.stages import UNFULFILLED
from referrals.performing import root_of
from referrals.vocabulary import Move, Transition


def moved(move: Move, situation: Situation) -> dict[str, str]:
    """Where a row of the table takes another handoff along to, by its id; empty where there is none such."""
    for other in situation.others:
        if (
            other.kind == move.handoff
            and situation.is_related(other)
            and situation.is_about_the_same(other)
            and other.stage in (move.sources or {other.stage})
            and not (move.by_placer and is_theirs_to_end(other))
        ):
            return {other.id: move.target or _resumed(other, situation.loop.kind)}
    return {}


def _resumed(handoff: Handoff, loop_kind: str) -> str:
    """Where it goes on: at the stage where it stopped, unless the performer has said since that it has come further."""
    said = RESUMES[loop_kind][handoff.task_status]
    return max(
        handoff.paused_stage or said, said, key=lambda stage: _HEADWAY.index(STAGES["fulfil", stage].task_status)
    )


_HEADWAY = ("requested", "received", "accepted", "in-progress")


def is_overtaken(other: Handoff, transition: Transition, situation: Situation) -> bool:
    """Whether this other open handoff has nothing left to do after the transition."""
    if "died" in transition.sets:
        return not outlives(other)
    if "lives" in transition.sets:
        return (other.kind, other.reason_code) == ("request-cancellation", "patient-died")
    if is_theirs_to_end(other) or stands_alone(other, (situation.handoff, *situation.others)):
        return False
    if ends_loop(transition, situation):
        return other.kind != "notify-patient" or is_known(other, situation)
    if transition.handoff == "decide-next-step" and "ended" in transition.sets:
        # It ends once another performer has agreed; whoever need not be asked stops now.
        return other.kind in _PERFORMING
    return other.kind in transition.closes and situation.is_related(other) and situation.is_about_the_same(other)


def has_no_proposer(other: Handoff, stages: Mapping[str, str]) -> bool:
    """Whether a full referral was proposed there by a performer whose part ends now, without an outcome (PATHWAYS §5)."""
    return other.stage == "proposal-to-decide" and stages.get(other.opened_by_id or "") in UNFULFILLED


_PERFORMING = frozenset({"dispatch", "fulfil", "recollect"})


def is_known(telling: Handoff, situation: Situation) -> bool:
    """Whether the reason of the end says that the patient knows it: not what is to be told today of another performer.

    A patient who doesn't know yet must still be told (law 4), also of what was read before they declined the rest.
    """
    is_anothers = telling.stage == "to-tell-today" and not situation.is_related(telling)
    return holds("patient-knows", situation) and not is_anothers and not leaves_unheard(situation)


def leaves_unheard(situation: Situation) -> bool:
    """Whether the patient is still to hear of what was read, and the reason of the end doesn't say why they can't."""
    why = REASONS.get(situation.reason)
    is_unheard = situation.loop.acknowledged_at is not None and not situation.loop.told_by
    return is_unheard and not (why is not None and "not-reached" in why.groups)


def leaves_unread(transition: Transition, situation: Situation) -> bool:
    """Whether another report still waits for its reader after the transition."""
    return any(
        other.kind == "review-report" and not is_overtaken(other, transition, situation) for other in situation.others
    )


def ends_loop(transition: Transition, situation: Situation) -> bool:
    """Whether it gives the loop its end; cancelling one of several performers doesn't, nor does it void an outcome.

    What somebody has reported is read first, whatever was decided meanwhile by who couldn't know of it.
    """
    if "died" in transition.sets:
        return bool(transition.target) and not any(outlives(other) for other in situation.others)
    if "ended" not in transition.sets:
        return False
    if transition.handoff not in _PERFORMING | {"request-cancellation"}:
        return not holds("cancellation-needed", situation) and not situation.has_open("review-report")
    taken_along = {key for move in transition.moves for key in moved(move, situation)}
    performing = {other.id for other in situation.others if other.kind in _PERFORMING} - taken_along
    performing |= {other.id for other in situation.others if _is_about_another(other, situation)}
    # What had ended here already and only stops there now is no end of the rest.
    is_answer = transition.handoff == "request-cancellation" and not taken_along and bool(situation.others)
    return not performing and not is_answer and not holds("reported", situation)


def _is_about_another(decision: Handoff, situation: Situation) -> bool:
    """Whether it is still to be decided what comes after the end of another performer's part."""
    if decision.kind != "decide-next-step" or situation.is_related(decision):
        return False
    about = root_of(decision)
    return about is not None and about != root_of(situation.handoff)


def replaced(leaving: Iterable[Handoff]) -> dict[str, datetime]:
    """By when what takes the place of these is due at the latest, by kind; called before they have left.

    Who is asked instead of another, and who is asked something else than about a proposal, has the time that anybody has.
    """
    standing = (one for one in leaving if one.kind != "fulfil" and one.stage != "proposal-to-decide")
    return {one.kind: one.due_at for one in standing}
