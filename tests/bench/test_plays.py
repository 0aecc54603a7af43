"""Each play of the simulated year once by hand: product and oracle agree on it, and the oracle sees when one link is missing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bench.oracle import Oracle
from bench.simulate.play import Play
from bench.simulate.steps import Step
from bench.simulate.world import START, found
from referrals import bidding, lifecycle, statuses
from referrals.upheavals import death, discharge

REPORT = {"report": "DocumentReference/letter", "severity": "normal"}
READ = {"plan": "Continue.", "question_answered": True}
DEATH = {"patient": "r-p1", "case": "r/death"}
STAY = {"patient": "r-p0", "placer": "r-oak", "began": START, "ended": START + timedelta(days=1), "high": True}
# Who does what to which item of the case r/1, hour after hour.
PLAYS: dict[str, list[tuple[Any, ...]]] = {
    "void": [
        ("r-oak-d0", "send", "dispatch0", {}),
        ("r-hospital-c0", "report", "fulfil1", REPORT),
        ("r-oak-d0", "acknowledge", "review-report2", READ),
        ("r-oak-c0", "tell", "notify-patient3", {"channel": "phone"}),
        ("r-oak-d0", "void", "review-report2", {"reason": "entered-in-error"}),
    ],
    "bidding": [
        (
            "r-oak-d0",
            "send",
            "dispatch0",
            {"performer": ["Organization/r-clinic", "Organization/r-hospital"], "bidding": True},
        ),
        ("r-clinic", "accept", "fulfil1", {}),
    ],
    "payer": [
        ("r-oak-d0", "send", "dispatch0", {"performer": ["Organization/r-clinic"], "authorisation_needed": True}),
        ("r-oak-c0", "authorise", "fulfil1", {"authorisation": "A-1"}),
        ("r-clinic", "accept", "fulfil1", {}),
    ],
    "advice": [
        ("r-oak-d0", "send", "dispatch0", {}),
        ("r-hospital-c0", "propose-referral", "fulfil1", {"proposal": "To be seen."}),
        ("r-oak-d0", "convert", "decide-next-step2", {}),
    ],
    "proposal": [
        ("r-oak-d0", "send", "dispatch0", {}),
        ("r-hospital-c0", "propose-referral", "fulfil1", {"proposal": "To be seen."}),
    ],
    "discharge": [("r-oak-d1", "discharge", "", STAY)],
    "refuted": [
        ("r-oak-c0", "die", "", DEATH),
        ("r-oak-c0", "confirm", "r/death/confirm-death0", {}),
        ("r-oak-c0", "live", "", DEATH),
    ],
    "unsolicited": [
        ("r-oak-c0", "arrive", "", {"patient": "r-p1", "placer": "r-oak", "issued": START, "severity": "critical"})
    ],
}


def play_of(name: str) -> Play:
    oracle = Oracle()
    play = Play(found(oracle, ["r"], 2), oracle, START, 1)
    play.is_alive = False
    facts = {"kind": "r", "placer": "r-oak", "performer": "r-hospital/pool", "patient": "r-p1", "priority": "routine"}
    order = {**facts, "window": (None, None), "is_advice": name in ("advice", "proposal")}
    play.push([Step(START, "r/1", "order", "r-oak-d0", data=order)])
    for hour, (who, action, item, data) in enumerate(PLAYS[name], 40):
        key = item if "/" in item or not item else f"r/1/{item}"
        case = "r/1" if item else f"r/{action}"
        play.push([Step(START + timedelta(hours=hour), case, action, who, key, data=data)])
    play.run(START + timedelta(days=4))
    return play


@pytest.mark.django_db
@pytest.mark.parametrize("name", PLAYS)
def test_product_and_oracle_agree_on_every_play(name: str) -> None:
    play = play_of(name)
    assert play.steps == len(PLAYS[name]) + 1
    assert not play.judge.findings


def without(handoff: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Nothing of that kind is opened by any action."""

    def break_it(monkeypatch: pytest.MonkeyPatch) -> None:
        openings = lifecycle._openings
        monkeypatch.setattr(
            lifecycle, "_openings", lambda *given: tuple(one for one in openings(*given) if one.handoff != handoff)
        )

    return break_it


def let_all_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has lost goes on."""
    monkeypatch.setattr(bidding, "rivals", lambda *_given: [])


def leave_it_a_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payer has agreed, and the performer isn't told."""
    monkeypatch.setattr(statuses, "_placers_word", lambda handoff, _stage: handoff.task_status)


def wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves the hospital is seen later than they should be."""
    monkeypatch.setattr(discharge, "HIGH", timedelta(days=9))


def take_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a death has ended stays so."""
    monkeypatch.setattr(death, "_take_up", lambda *_given: None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("void", without("decide-next-step")),
        ("void", without("fulfil")),
        ("bidding", let_all_win),
        ("payer", leave_it_a_draft),
        ("proposal", without("decide-next-step")),
        ("discharge", wait_longer),
        ("refuted", take_nothing_up),
    ],
)
def test_the_oracle_sees_a_play_that_is_broken(
    name: str, broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert play_of(name).judge.findings
