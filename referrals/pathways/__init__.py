"""The pathways as tables: who can do what to which handoff, where it leads, and what that opens.

Read them in this order: `handoffs` (the responsibilities), `stages` (where each can stand), `ordering` and
`performing` (the transitions of the two sides), `claiming`, `reasons`. Actions, forms, the mapping to Task, the docs' diagrams and
the tests all come from here; `referrals.lifecycle` is the one interpreter. Source: PATHWAYS §2-§5.
"""

from collections.abc import Iterable

from referrals.pathways.advising import ADVISING
from referrals.pathways.authorising import AUTHORISING
from referrals.pathways.claiming import CLAIMING
from referrals.pathways.handing import HANDING
from referrals.pathways.handoffs import HANDOFFS
from referrals.pathways.ordering import ORDERING
from referrals.pathways.parts import ATTESTATION, DEPENDENTS, RECIPIENT
from referrals.pathways.performing import PERFORMING
from referrals.pathways.proposing import PROPOSING
from referrals.pathways.reasons import REASONS, codes
from referrals.pathways.stages import LOOP_STAGES, RESUMES, STAGES
from referrals.pathways.upheavals import UPHEAVALS
from referrals.pathways.visits import VISITS
from referrals.vocabulary import Stage, Transition

TRANSITIONS: tuple[Transition, ...] = (
    *PERFORMING,
    *VISITS,
    *ORDERING,
    *UPHEAVALS,
    *ADVISING,
    *AUTHORISING,
    *PROPOSING,
    *CLAIMING,
    *HANDING,
)

__all__ = [
    "ATTESTATION",
    "DEPENDENTS",
    "HANDOFFS",
    "LOOP_STAGES",
    "REASONS",
    "RECIPIENT",
    "RESUMES",
    "STAGES",
    "TRANSITIONS",
    "codes",
    "first_stage",
    "stages_of",
    "transitions_from",
]


def stages_of(handoff: str, loop_kind: str = "") -> tuple[Stage, ...]:
    """The stages of one kind of handoff, in the order of the pathway, in one kind of loop if given."""
    return tuple(
        stage
        for stage in STAGES.values()
        if stage.handoff == handoff and (not loop_kind or not stage.loop_kinds or loop_kind in stage.loop_kinds)
    )


def first_stage(handoff: str, loop_kind: str) -> str:
    """The stage in which a handoff of this kind opens."""
    return next(stage.code for stage in stages_of(handoff, loop_kind) if stage.is_first)


def transitions_from(handoff: str, stage: str, loop_kind: str) -> Iterable[Transition]:
    """The transitions that leave (or stay in) a stage, whoever may; what an end still allows is about its report."""
    where = STAGES[handoff, stage]
    for transition in TRANSITIONS:
        if transition.handoff != handoff or (transition.loop_kinds and loop_kind not in transition.loop_kinds):
            continue
        if stage in transition.sources or (not transition.sources and not where.is_end and _knows(transition, where)):
            yield transition


def _knows(transition: Transition, where: Stage) -> bool:
    """Whether who may take it has heard of it: of a draft, nobody who is to perform it has."""
    return where.task_status != "draft" or not transition.who & {"performer", "partner"}
