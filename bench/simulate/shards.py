"""A simulation on several cores: regions that don't know each other, each share in a process and a database of its own.

The sweep of escalations goes by one clock for all that it finds, so two simulated clocks can't share a database.
"""

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from bench.simulate import run
from bench.simulate.run import Plan
from bench.simulate.shrink import shortest
from bench.simulate.steps import Step
from bench.simulate.world import START

MOST_TOLD = 20
GARBAGE = 50_000
"""After how many new objects Python looks for cycles among them."""
SUMS = frozenset({"loops", "closed", "missed", "orphans", "ghosts", "wrong", "unheard", "disagreements"})
SUMS |= {"escalations", "steps", "compared"}


@dataclass(frozen=True, slots=True)
class Shared:
    """What one process came to: its results, and in words what it found and the shortest history of the first."""

    results: dict[str, Any]
    digest: str
    findings: list[str]
    history: list[str]


def plans(days: int, loops: int, seed: int, shards: int) -> list[Plan]:
    """The shares of a whole."""
    return [Plan(days, loops // shards + (number < loops % shards), seed, number) for number in range(shards)]


def play(plan: Plan, tell: Callable[[int], None]) -> Shared:
    """One share in the database of this process; ``tell`` hears of each simulated day. Ctrl-C ends it early."""
    day = 0

    def count(step: Step) -> None:
        nonlocal day
        days = (step.at - START).days
        tell(days - day)
        day = days

    played = run.prepare(plan)
    with suppress(KeyboardInterrupt):
        run.play_out(played, plan, count)
    findings = played.judge.findings
    history = shortest(played, findings[0]) if findings else []
    return Shared(
        run.results(played, plan),
        run.digest(),
        [str(one) for one in findings[:MOST_TOLD]],
        [str(step) for step in history],
    )


def play_all(parts: Sequence[Plan], enter: Sequence[Callable[[], None]], tell: Callable[[int], None]) -> list[Shared]:
    """Every share in a process of its own, which first calls its ``enter`` (to go to its database).

    Raises RuntimeError when a process ends without having come to anything.
    """
    fork = multiprocessing.get_context("fork")
    pipes = []
    for plan, door in zip(parts, enter, strict=True):
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=_work, args=(plan, door, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
    return list(_gather(pipes, tell))


def _work(plan: Plan, enter: Callable[[], None], pipe: Connection) -> None:
    enter()
    gc.freeze()  # what was imported stays: nothing is gained by looking through it again and again
    gc.set_threshold(GARBAGE)
    pipe.send(play(plan, lambda days: pipe.send(days) if days else None))


def _gather(pipes: Sequence[Connection], tell: Callable[[int], None]) -> Iterator[Shared]:
    waiting = list(pipes)
    while waiting:
        with suppress(KeyboardInterrupt):  # the processes hear it too, and say how far they came
            for pipe in [one for one in waiting if one in wait(waiting)]:
                said = _hear(pipe)
                if isinstance(said, Shared):
                    waiting.remove(pipe)
                    yield said
                else:
                    tell(said)


def _hear(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError as error:
        raise RuntimeError("A process of the simulation has ended before its time.") from error


def merged(shares: Sequence[Shared]) -> dict[str, Any]:
    """The results of the whole, with one digest of all journals."""
    first = shares[0].results
    whole = {
        name: value if name == "seed" else (sum if name in SUMS else max)(one.results[name] for one in shares)
        for name, value in first.items()
    }
    return {**whole, "digest": "-".join(sorted(one.digest for one in shares))}
