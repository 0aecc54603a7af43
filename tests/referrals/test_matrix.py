"""Every (stage × action × role) of every handoff in every kind of loop, against the agreed `matrix.txt`.

The file is the expectation: it is read and agreed on, not computed by the code that it tests. After a change of the
pathways write it anew (its first lines say how) and read the difference: each line of it is a promise to somebody.
"""

import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from records.errors import BatonError, Forbidden, Incorrect
from referrals.lifecycle import WITH_REQUEST, Ask, Decision, decide
from referrals.models import Handoff, Loop
from referrals.pathways import HANDOFFS, STAGES, first_stage
from referrals.vocabulary import Role
from tests.referrals import matrix
from tests.referrals.matrix import ACTIONS, CONTEXTS, LETTERS, Matrix, Place

FILE = Path(__file__).with_name("matrix.txt")
pytestmark = pytest.mark.xdist_group("matrix")  # what all of them look at is made once, and takes long
Case = tuple[Place, str, str, str, Decision]


@pytest.fixture(scope="module")
def observed() -> Matrix:
    return matrix.observed()


@pytest.fixture(scope="module")
def agreed() -> Matrix:
    return matrix.parse(FILE.read_text())


@pytest.fixture(scope="module")
def decisions(agreed: Matrix) -> list[Case]:
    """Whatever anybody may do, done in every context."""
    return [
        (place, context, action, role, outcome)
        for place, rows in agreed.items()
        for action, row in rows.items()
        for role in LETTERS
        if row.is_for([role])
        for context in CONTEXTS
        for outcome in [matrix.tried(place, context, matrix.ask(action, {role}, matrix.forms(place, action)))]
        if not isinstance(outcome, BatonError)
    ]


def test_what_everybody_may_do_is_what_was_agreed(observed: Matrix) -> None:
    assert set(LETTERS) == set(get_args(Role))
    text = matrix.render(observed)
    if os.environ.get("REGENERATE"):
        FILE.write_text(text)
    assert text.splitlines() == FILE.read_text().splitlines(), "if it is meant, write matrix.txt anew: it says how"


def test_the_agreed_file_is_read_as_it_was_written(observed: Matrix, agreed: Matrix) -> None:
    assert agreed == observed


def test_whatever_is_not_in_the_file_is_refused_with_what_is_possible_and_touches_nothing(agreed: Matrix) -> None:
    refusals = 0
    for place, rows in agreed.items():
        loop, (handoff,) = matrix.setting(place, "alone")
        before = content(loop), content(handoff)
        possible = {role: now(rows, role) for role in LETTERS}
        for action, role in product(ACTIONS, LETTERS):
            if action in rows and rows[action].is_for([role]):
                continue
            refusals += 1
            refusal = refused(loop, handoff, matrix.ask(action, {role}, matrix.forms(place, action)))
            assert isinstance(refusal, Forbidden if action in rows else Incorrect), (place, action, role)
            assert offered(refusal) == possible[role], (place, action, role)
        assert (content(loop), content(handoff)) == before, place
    assert refusals > 10_000


def now(rows: dict[str, matrix.Row], role: str) -> set[str]:
    """The actions that the file has for this role, alone."""
    return {action for action, row in rows.items() if row.is_for([role]) and row.is_possible("alone")}


def refused(loop: Loop, handoff: Handoff, ask: Ask) -> BatonError:
    with pytest.raises(BatonError) as refusal:
        decide(loop, [handoff], handoff, ask)
    return refusal.value


def content(row: Loop | Handoff) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def offered(refusal: BatonError) -> set[str]:
    words = str(refusal).rpartition("Possible now: ")[2].removesuffix(".")
    return set(words.split(", ")) - {"nothing"}


def test_several_roles_may_what_one_of_them_may(agreed: Matrix) -> None:
    """People have several: a coordinator who is also the requester may no less and no more than both."""
    pairs = [("requester", "coordinator"), ("performer", "partner"), ("coordinator", "supervisor")]
    for place, rows in agreed.items():
        for action in rows:
            for pair in pairs:
                outcome = matrix.tried(place, "alone", matrix.ask(action, pair, matrix.forms(place, action)))
                assert isinstance(outcome, Forbidden) != rows[action].is_for(pair), (place, action, pair)


def law_1_it_closes_with_its_last_handoff(case: Case) -> bool:
    place, context, _action, _role, decision = case
    return ("closed_at" in decision.loop) == (not left_open(place, context, decision))


def law_4_it_closes_read_and_told(case: Case) -> bool:
    place, context, _action, _role, decision = case
    loop = {**vars(matrix.setting(place, context)[0]), **decision.loop}
    is_closed = loop["closed_at"] is not None and loop["kind"] in WITH_REQUEST
    return not is_closed or bool(loop["acknowledged_by"] and loop["told_by"])


def law_4_nobody_is_forgotten(case: Case) -> bool:
    """A patient who is to be told stays on the list until told, or until a reason stands for it."""
    _place, context, _action, _role, decision = case
    ended = decision.stages.get("notify-patient", "to-tell") != "to-tell"
    return not ended or context in ("alone", "read") or bool(decision.loop.get("told_reason"))


WITHOUT_OUTCOME = {
    *(("fulfil", stage) for stage in ("declined", "cancelled", "failed", "superseded")),
    *(("fulfil", stage) for stage in ("lost-after-attempts", "patient-declined")),
    *(("contact-patient", stage) for stage in ("not-reached", "refused-by-patient")),
}


def law_5_without_an_outcome_the_referrer_decides(case: Case) -> bool:
    """Whoever ends it without an outcome; a referrer who ends it with a reason, or confirms a death, has decided."""
    (_kind, handoff, stage), _context, _action, _role, decision = case
    end = (handoff, decision.stages["this"])
    is_decided = bool(decision.transition.sets & {"ended", "died"})
    if end not in WITHOUT_OUTCOME or is_decided or end[1] == stage:
        return True
    return "decide-next-step" in {one.handoff for one in decision.opens}


def stays_in_its_pathway(case: Case) -> bool:
    """A handoff keeps its kind, an opened one has a stage of its kind that is open, and no end is left."""
    (kind, handoff, stage), _context, _action, _role, decision = case
    if STAGES[handoff, stage].is_end and decision.stages["this"] != stage:
        return False
    known = all((handoff if key == "this" else key, to) in STAGES for key, to in decision.stages.items())
    return known and not any(
        STAGES[one.handoff, one.stage or first_stage(one.handoff, kind)].is_end for one in decision.opens
    )


def left_open(place: Place, context: str, decision: Decision) -> list[str]:
    _loop, handoffs = matrix.setting(place, context)
    after = [STAGES[one.kind, decision.stages.get(one.id, one.stage)] for one in handoffs]
    return [stage.code for stage in after if not stage.is_end] + [one.handoff for one in decision.opens]


@pytest.mark.parametrize(
    "law",
    [
        law_1_it_closes_with_its_last_handoff,
        law_4_it_closes_read_and_told,
        law_4_nobody_is_forgotten,
        law_5_without_an_outcome_the_referrer_decides,
        stays_in_its_pathway,
    ],
    ids=lambda law: law.__name__,
)
def test_no_decision_breaks_a_law(decisions: list[Case], law: Callable[[Case], bool]) -> None:
    assert len(decisions) > 500
    assert [(place, context, action, role) for place, context, action, role, _d in broken(decisions, law)] == []


def broken(decisions: list[Case], law: Callable[[Case], bool]) -> Iterator[Case]:
    return (case for case in decisions if not law(case))


def test_whoever_only_performs_is_never_given_the_placers_business(agreed: Matrix) -> None:
    for place, rows in agreed.items():
        for action in rows if place[0] in WITH_REQUEST else ():
            loop, (handoff,) = matrix.setting(place, "alone")
            loop.answer_only = True
            ask = matrix.ask(action, LETTERS, matrix.forms(place, action))
            try:
                decision = decide(loop, [handoff], handoff, ask)
            except BatonError:
                continue
            assert not [one for one in decision.opens if HANDOFFS[one.handoff].of_placer], (place, action)
