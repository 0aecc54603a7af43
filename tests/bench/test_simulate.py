"""Many small years against the oracle, and the proof that the oracle sees what is wrong."""

import ast
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from bench import oracle, oracle_ends, oracle_lists, oracle_tables
from bench.simulate import run, shards, shrink
from bench.simulate.compare import Finding
from bench.simulate.play import Play
from bench.simulate.run import FAILURES, Plan
from bench.simulate.steps import Step
from bench.simulate.world import START
from config import scratch
from config.management.commands import simulate
from referrals import escalation, lifecycle
from referrals.conditions import Situation
from referrals.deadlines import DEFAULTS, hours
from referrals.vocabulary import Opening, Transition
from referrals.worklists import filters, lists

SEEDS = range(1, 21)


def played(plan: Plan) -> Play:
    play = run.prepare(plan)
    run.play_out(play, plan)
    return play


@pytest.mark.django_db
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_missed_in_a_small_simulation(seed: int) -> None:
    plan = Plan(days=25, loops=16, seed=seed)
    play = played(plan)
    results = run.results(play, plan)
    assert results["loops"] >= plan.loops
    assert results["compared"] > results["steps"] > plan.loops
    history = [str(step) for finding in play.judge.findings[:1] for step in shrink.shortest(play, finding)]
    assert {name: results[name] for name in FAILURES} == dict.fromkeys(FAILURES, 0), "\n".join(
        [f"seed {seed}", *map(str, play.judge.findings[:5]), *history]
    )
    assert results["late_minutes_max_with_workers"] <= 1


def forget_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 5: a refusal opens nothing for the referrer. (Where nothing else would be open, law 4 would refuse it.)"""
    openings = lifecycle._openings

    def forgetting(transition: Transition, situation: Situation) -> tuple[Opening, ...]:
        opened = openings(transition, situation)
        return tuple(one for one in opened if one.handoff != "decide-next-step") or opened

    monkeypatch.setattr(lifecycle, "_openings", forgetting)


def hide_what_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 2: what is overdue vanishes from the lists after a day."""
    where = filters.where

    def recent(*given: Any) -> Iterator[str]:
        yield from where(*given)
        yield "h.due_at > " + given[3].put(given[2]) + " - interval '1 day'"

    monkeypatch.setattr(lists, "where", recent)


def never_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ever hears of anything overdue."""
    monkeypatch.setattr(escalation, "sweep", lambda now: 0)


def take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of one stage is another."""
    monkeypatch.setitem(DEFAULTS, ("referral", "fulfil", "sent", ""), hours(50))


def forget_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is with others is neither waited for nor chased."""
    monkeypatch.setitem(filters.LABELS, "waiting", "false")
    monkeypatch.setitem(filters.LABELS, "chase", "false")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (forget_the_decision, "missed"),
        (hide_what_is_old, "missed"),
        (hide_what_is_old, "orphan"),
        (never_sweep, "late"),
        (take_longer, "wrong"),
        (forget_to_watch, "missed"),
    ],
)
def test_the_oracle_sees_what_is_broken(
    broken: Callable[[pytest.MonkeyPatch], None], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    play = played(Plan(days=40, loops=20, seed=3))
    assert found in {finding.kind for finding in play.judge.findings}


@pytest.mark.django_db
def test_a_handoff_on_a_list_that_nobody_reads_is_an_orphan() -> None:
    plan = Plan(days=20, loops=6, seed=2)
    play = run.prepare(plan)
    play.run(START.replace(day=20))
    with connection.cursor() as cursor:
        # PostgreSQL itself would refuse it: the oracle is to see it all the same.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "WITH nobody AS (INSERT INTO referrals_owner (kind, key, organization, name, internal)"
            " VALUES ('pool', 'nobody', 'nowhere', 'Nobody', true) RETURNING id)"
            " UPDATE referrals_handoff SET list_id = nobody.id FROM nobody WHERE closed_at IS NULL"
        )
    play.judge.look_at_all(play.now)
    assert {"orphan", "missed"} <= {finding.kind for finding in play.judge.findings}


@pytest.mark.django_db
def test_a_failure_comes_with_the_shortest_history_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_the_decision(monkeypatch)
    play = played(Plan(days=40, loops=20, seed=3))
    finding = next(one for one in play.judge.findings if one.kind == "missed")
    history = shrink.shortest(play, finding)
    whole = play.histories[finding.case.rstrip("+")]
    assert history[0].action == "order"
    assert 2 <= len(history) < len(whole) + 1
    assert shrink._fails(history, finding)


@pytest.mark.django_db
def test_a_failure_prints_its_result_and_says_what_was_found_and_how_it_comes_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget_the_decision(monkeypatch)
    monkeypatch.setattr(scratch, "databases", lambda *_given, **_named: nullcontext([{}]))
    monkeypatch.setattr(
        simulate, "_play", lambda parts, *_given: [shards.play(part, lambda _days: None) for part in parts]
    )
    said, explained = StringIO(), StringIO()
    with pytest.raises(CommandError, match="seed 2"):
        call_command("simulate", days=40, loops=20, seed=2, processes=1, json=True, stdout=said, stderr=explained)
    assert json.loads(said.getvalue())["missed"] > 0
    lines = explained.getvalue().splitlines()
    history = lines[lines.index("The shortest history:") + 1 :]
    assert lines[0] == "seed 2"
    assert " missed: " in lines[1]
    assert ": order s0r" in history[0]
    assert len(history) >= 2


@pytest.mark.django_db
def test_a_history_that_needs_steps_of_others_is_not_cut_to_what_cannot_be_played() -> None:
    play = run.prepare(Plan(days=5, loops=4, seed=1))
    orders = [step for _at, _number, step in sorted(play._queue) if step.action == "order"]
    finding = Finding("missed", START, orders[0].case, "")
    merge = Step(START, "", "merge", "s0r0-oak-c0", data={"source": "s0r0-p7", "target": "s0r0-p8"})
    unknown = Step(START, "", "leave", "s0r0-nobody", data={"to": "s0r0-oak-d0"})
    assert not shrink._fails([orders[0], merge], finding)
    assert not shrink._fails([orders[0], unknown], finding)


@contextmanager
def _rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_the_same_seed_gives_the_same_journal() -> None:
    plan = Plan(days=20, loops=8, seed=3)
    with _rolled_back():
        first = (run.results(played(plan), plan), run.digest())
    with _rolled_back():
        second = (run.results(played(plan), plan), run.digest())
    assert first == second
    other = Plan(days=20, loops=8, seed=4)
    with _rolled_back():
        assert (run.results(played(other), other), run.digest()) != first


@pytest.mark.parametrize("module", [oracle, oracle_ends, oracle_lists, oracle_tables])
def test_the_oracle_is_small_and_shares_no_code_with_the_product(module: ModuleType) -> None:
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {
        name.partition(".")[0] for name in imported - {"bench.oracle_ends", "bench.oracle_lists", "bench"}
    } <= sys.stdlib_module_names
    assert len(source.splitlines()) <= 300


def test_the_tables_of_the_oracle_are_literal_text() -> None:
    tree = ast.parse(Path(oracle_tables.__file__).read_text(encoding="utf-8"))
    values = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert len(values) == len(tree.body) - 1, "a docstring and assignments"
    assert all(ast.literal_eval(value) for value in values)
