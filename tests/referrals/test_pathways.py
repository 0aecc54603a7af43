"""The tables are whole: every row is walked, and every word in one names a row of another."""

from collections import Counter

import pytest
from django.utils.translation import override

from referrals.clocks import STOPPED
from referrals.conditions import CONDITIONS, UNMET
from referrals.deadlines import Rules
from referrals.lifecycle import WITH_REQUEST
from referrals.pathways import (
    HANDOFFS,
    LOOP_STAGES,
    REASONS,
    RESUMES,
    STAGES,
    TRANSITIONS,
    first_stage,
    stages_of,
    transitions_from,
)
from referrals.vocabulary import Transition
from referrals.worklists import MILESTONES

TASK_STATUSES = {
    *("draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold"),
    *("failed", "completed", "entered-in-error", ""),
}
RECORDED = {
    *("owner", "loop-owners"),
    *(
        "acknowledged",
        "told",
        "ended",
        "attempt",
        "received",
        "withdrawn",
        "contradicted",
        "died",
        "lives",
        "performer",
        "carried-out",
    ),
    *("goes-on", "returned", "claimed", "given-back", "replaced", "confirmed", "reviewer", "in-full", "authorised"),
    "resumed",
}
KINDS = {"referral", "follow-up", "test-order"}


def name(transition: Transition) -> str:
    return f"{transition.handoff}-{transition.action}"


@pytest.mark.parametrize("transition", TRANSITIONS, ids=name)
def test_every_word_of_a_transition_names_a_row(transition: Transition) -> None:
    handoff = transition.handoff
    assert handoff in HANDOFFS
    assert all((handoff, source) in STAGES for source in transition.sources)
    assert not transition.target or (handoff, transition.target) in STAGES
    assert all(opening.handoff in HANDOFFS for opening in transition.opens)
    assert all(not one.stage or (one.handoff, one.stage) in STAGES for one in transition.opens)
    assert all(not move.target or (move.handoff, move.target) in STAGES for move in transition.moves)
    assert all(kind in HANDOFFS for kind in transition.closes)
    assert transition.sets <= RECORDED
    assert set(transition.needs) <= UNMET.keys(), "a refusal can say why"
    conditions = {condition for opening in transition.opens for condition in opening.unless}
    conditions |= {field.required_if for field in transition.fields if field.required_if} | set(transition.needs)
    assert conditions <= CONDITIONS.keys()
    assert all(field.codes for field in transition.fields if field.kind == "code")
    assert all(field.types for field in transition.fields if field.kind == "reference")
    assert len({field.name for field in transition.fields}) == len(transition.fields)


@pytest.mark.parametrize("kind", HANDOFFS)
def test_every_kind_opens_somewhere_and_can_be_overtaken(kind: str) -> None:
    for loop_kind in KINDS if kind == "fulfil" else {""}:
        assert sum(stage.is_first for stage in stages_of(kind, loop_kind)) == 1
        assert not STAGES[kind, first_stage(kind, loop_kind)].is_end
    assert STAGES[kind, HANDOFFS[kind].overtaken].is_end
    assert bool(HANDOFFS[kind].task_system) == bool(HANDOFFS[kind].task_code)


@pytest.mark.parametrize(("kind", "code"), STAGES, ids="/".join)
def test_from_every_open_stage_somebody_can_go_on_and_it_has_a_clock(kind: str, code: str) -> None:
    stage = STAGES[kind, code]
    assert {stage.task_status, *stage.reads} <= TASK_STATUSES
    for loop_kind in stage.loop_kinds or KINDS:
        found = list(transitions_from(kind, code, loop_kind))
        if stage.is_end:
            assert {transition.action for transition in found} <= {
                "amend",
                "withdraw-report",
                "void",
                "start-anyway",
                "done-anyway",
                "stop-anyway",
                "contradict",
            }
        else:
            assert any(one.target and STAGES[kind, one.target].is_end for one in found), "nowhere is a dead end"
            # What is awaited is due when its answer is.
            assert code == STOPPED or Rules().spans(loop_kind, kind, code, ("routine",))[0].amount >= 0


def test_no_action_is_ambiguous() -> None:
    for kind, code in STAGES:
        for loop_kind in KINDS:
            actions = Counter(transition.action for transition in transitions_from(kind, code, loop_kind))
            assert not [action for action, times in actions.items() if times > 1], (kind, code, loop_kind)


def test_what_ends_without_an_outcome_opens_the_referrers_decision() -> None:
    """Law 5, on the table: for every end of `fulfil` but an outcome, an act of the referrer's own, or an error."""
    outcomes = {"report-sent", "done", "final"}
    for transition in TRANSITIONS:
        end = transition.handoff == "fulfil" and transition.target and STAGES["fulfil", transition.target].is_end
        if end and transition.target not in outcomes and "performer" in transition.who:
            assert "decide-next-step" in {opening.handoff for opening in transition.opens}, transition.action


def test_nobody_but_the_clinician_acknowledges_and_no_machine_decides() -> None:
    by_machines = {one.action for one in TRANSITIONS if one.who & {"system", "partner"} and one.handoff != "fulfil"}
    assert not by_machines & {"acknowledge", "tell", "not-reached", "redirect", "keep", "close", "give-up", "reached"}
    acknowledging = [one for one in TRANSITIONS if "acknowledged" in one.sets]
    assert [one.who for one in acknowledging] == [{"requester", "supervisor"}]
    by_patient = {(one.handoff, one.action) for one in TRANSITIONS if "patient" in one.who}
    assert by_patient == {
        ("fulfil", "cancel-appointment"),
        ("contact-patient", "patient-declines"),
        ("recollect", "patient-declines"),
    }


def test_reasons_end_a_loop_in_an_end_stage() -> None:
    assert {reason.loop_end for reason in REASONS.values()} <= {
        code for code, stage in LOOP_STAGES.items() if stage.is_end
    }


def test_resuming_and_the_steps_know_their_stages() -> None:
    assert RESUMES.keys() == WITH_REQUEST == MILESTONES.keys()
    for loop_kind, stages in RESUMES.items():
        assert all(loop_kind in STAGES["fulfil", code].loop_kinds for code in stages.values())
    for milestones in MILESTONES.values():
        assert all(pair in STAGES for milestone in milestones for pair in milestone.reached_by)


@pytest.mark.parametrize("language", ["en", "es", "ru"])
def test_every_word_can_be_shown_in_every_language(language: str) -> None:
    with override(language):
        words = [one.label for table in (HANDOFFS, STAGES, LOOP_STAGES, REASONS) for one in table.values()]
        assert all(str(word) for word in [*words, *(one.label for one in TRANSITIONS)])
