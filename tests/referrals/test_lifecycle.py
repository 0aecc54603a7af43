"""The pure `decide`, walked over every (stage × action × role): what isn't in the table is refused and touches nothing."""

from collections.abc import Iterator

import pytest

from records.errors import BatonError, Forbidden, Incorrect, Stale
from referrals.lifecycle import Ask, Decision, decide
from referrals.models import Handoff, Loop
from referrals.pathways import STAGES, TRANSITIONS, transitions_from
from referrals.vocabulary import Role, Transition
from tests.referrals.samples import filled
from tests.referrals.ward import MONDAY

ROLES: tuple[Role, ...] = ("requester", "performer", "patient", "coordinator", "supervisor", "partner", "system")
ACTIONS = sorted({transition.action for transition in TRANSITIONS})
FORMS = {
    (one.handoff, one.action, kind): filled(one)
    for one in TRANSITIONS
    for kind in one.loop_kinds or {"referral", "follow-up", "test-order"}
}


def loop_of(kind: str) -> Loop:
    return Loop(id="loop", kind=kind, stage="waiting-partner", priority="urgent", ordered_at=MONDAY)


def handoff_of(loop: Loop, kind: str, stage: str, key: str = "this") -> Handoff:
    status = STAGES[kind, stage].task_status or "received"
    return Handoff(id=key, loop=loop, kind=kind, stage=stage, version=2, task_status=status, attempts=3)


def places() -> Iterator[tuple[str, str, str]]:
    for (kind, code), stage in STAGES.items():
        for loop_kind in sorted(stage.loop_kinds) or ["referral", "follow-up", "test-order"]:
            yield loop_kind, kind, code


def everything(*rows: Loop | Handoff) -> list[dict[str, object]]:
    return [{name: value for name, value in row.__dict__.items() if name != "_state"} for row in rows]


@pytest.mark.parametrize(("loop_kind", "kind", "stage"), list(places()), ids="/".join)
def test_every_action_of_every_role_is_done_or_refused_with_what_is_possible(
    loop_kind: str, kind: str, stage: str
) -> None:
    loop = loop_of(loop_kind)
    handoff = handoff_of(loop, kind, stage)
    table = list(transitions_from(kind, stage, loop_kind))
    for action in ACTIONS:
        for role in ROLES:
            rows = [one for one in table if one.action == action]
            before = everything(loop, handoff)
            ask = Ask(action, frozenset({role}), "Somebody", MONDAY, FORMS.get((kind, action, loop_kind), {}))
            outcome = decided(loop, handoff, ask)
            if isinstance(outcome, BatonError):
                check_refusal(outcome, table, rows, role)
            else:
                assert role in rows[0].who
                assert outcome.stages["this"] == (rows[0].target or stage)
            assert everything(loop, handoff) == before, "to decide touches nothing"


def decided(loop: Loop, handoff: Handoff, ask: Ask) -> Decision | BatonError:
    try:
        return decide(loop, [handoff], handoff, ask)
    except BatonError as refusal:
        return refusal


def check_refusal(refusal: BatonError, table: list[Transition], rows: list[Transition], role: Role) -> None:
    """Who may and is refused hears which condition isn't met; everybody hears what is possible for them."""
    is_allowed = bool(rows) and role in rows[0].who
    assert isinstance(refusal, Forbidden if rows and not is_allowed else Incorrect)
    if is_allowed:
        assert rows[0].needs or "would end" in str(refusal)
    else:
        mine = [one.action for one in table if role in one.who and not one.needs]
        assert all(name in str(refusal) for name in mine), str(refusal)


def test_a_version_that_has_gone_by_is_refused_first() -> None:
    loop = loop_of("referral")
    handoff = handoff_of(loop, "fulfil", "sent")
    with pytest.raises(Stale):
        decide(loop, [handoff], handoff, Ask("accept", frozenset({"performer"}), "X", MONDAY, {}, version=1))


def test_cancelling_one_of_two_performers_does_not_end_the_loop() -> None:
    loop = loop_of("referral")
    first, second = handoff_of(loop, "fulfil", "sent"), handoff_of(loop, "fulfil", "in-triage", "second")
    data = {"reason": "withdrawn", "second_person": "Practitioner/boss"}
    ask = Ask("cancel", frozenset({"requester"}), "X", MONDAY, data)
    decision = decide(loop, [first, second], first, ask)
    assert "second" not in decision.stages
    assert "end_reason" not in decision.loop
    assert decision.loop["stage"] == "waiting-partner"


def test_what_an_ended_loop_leaves_open_is_only_the_patient_to_be_told() -> None:
    loop = loop_of("referral")
    decide_next = handoff_of(loop, "decide-next-step", "to-decide")
    others = [
        handoff_of(loop, "notify-patient", "to-tell-today", "tell"),
        handoff_of(loop, "recollect", "to-recollect", "r"),
    ]
    decide_next.opened_by_id = others[0].opened_by_id = "ended"
    data = {"reason": "no-service-found", "second_person": "Practitioner/boss"}
    ask = Ask("close", frozenset({"requester"}), "X", MONDAY, data)
    assert decide(loop, [decide_next, *others], decide_next, ask).stages == {"this": "given-up", "r": "overtaken"}
    knows = Ask("close", frozenset({"requester"}), "X", MONDAY, data | {"reason": "patient-declined"})
    decision = decide(loop, [decide_next, *others], decide_next, knows)
    assert decision.stages["tell"] == "overtaken"
    assert (decision.loop["stage"], decision.loop["told_reason"]) == ("closed-patient-declined", "patient-declined")
