"""One simulation from its seed: what is asked for, who asks, and what came of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any

from bench.oracle import Oracle
from bench.simulate import faults, staffing
from bench.simulate.play import DAY, Play
from bench.simulate.steps import Step
from bench.simulate.world import PERFORMERS, PLACERS, START, World, found
from referrals.models import Event, Loop

KINDS = {"r": 55, "f": 20, "t": 25}
PRIORITIES = {"routine": 74, "urgent": 17, "asap": 4, "stat": 5}
LOOPS_PER_REGION = 1_500
LOOPS_PER_PATIENT = 2
NEEDED_BY = 0.5
ADVICE = 0.08


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate; ``shard`` names the regions apart from those of another process."""

    days: int
    loops: int
    seed: int
    shard: int = 0


def prepare(plan: Plan) -> Play:
    """Found the regions in the current database and queue the orders of the whole time."""
    random = Random(f"plan {plan.seed} {plan.shard}")
    regions = [f"s{plan.shard}r{number}" for number in range(-(-plan.loops // LOOPS_PER_REGION) or 1)]
    oracle = Oracle()
    world = found(oracle, regions, -(-plan.loops // (LOOPS_PER_PATIENT * len(regions))))
    play = Play(world, oracle, START, plan.seed * 64 + plan.shard)
    play.outages = faults.outages(START, plan.days, random)
    play.silences = {name: faults.silences(START, plan.days, random) for name in world.partners}
    play.push(staffing.plan(world, START, plan.days, random))
    dying = staffing.deaths(world, START, plan.days, random)
    for number in range(plan.loops):
        play.push([_order(world, regions[number % len(regions)], number, plan, dying, random)])
    play.push(_deaths(world, dying, random))
    play.push(staffing.merges(world, START, plan.days, random))
    return play


def _order(world: World, region: str, number: int, plan: Plan, dying: Mapping[str, datetime], random: Random) -> Step:
    at = START + timedelta(seconds=random.randrange(int(plan.days * 86_400 * 0.95)))
    kind = random.choices(list(KINDS), list(KINDS.values()))[0]
    placer = f"{region}-{random.choice(PLACERS)}"
    doctor = random.choice(world.at(placer, "doctor"))
    facts: dict[str, Any] = {
        "kind": kind,
        "placer": placer,
        "performer": f"{placer}/pool" if kind == "f" else _performer(world, region, kind, random),
        "patient": random.choice([one for one in world.patients[region] if at < dying.get(one, at + DAY)]),
        "priority": random.choices(list(PRIORITIES), list(PRIORITIES.values()))[0],
        "window": _window(kind, at, random),
        "is_advice": kind == "r" and random.random() < ADVICE,
    }
    return Step(at, f"{region}/{number}", "order", doctor.name, data=facts)


def _deaths(world: World, dying: dict[str, datetime], random: Random) -> Iterator[Step]:
    for patient, at in dying.items():
        region = patient.partition("-")[0]
        reporter = random.choice(world.at(f"{region}-{random.choice(PLACERS)}", "coordinator"))
        yield Step(at, "", "die", reporter.name, data={"patient": patient, "case": f"{region}/death-{patient}"})


def _performer(world: World, region: str, kind: str, random: Random) -> str:
    site = f"{region}-{random.choice(PERFORMERS['referral' if kind == 'r' else 'test-order'])}"
    return f"{site}/" if site in world.partners else f"{site}/pool"


def _window(kind: str, at: datetime, random: Random) -> tuple[datetime | None, datetime | None]:
    if kind == "f":
        start = at + timedelta(days=random.randint(1, 20))
        return start, start + timedelta(days=random.randint(3, 21))
    return None, at + timedelta(days=random.randint(5, 60)) if random.random() < NEEDED_BY else None


def results(play: Play, plan: Plan) -> dict[str, Any]:
    """What came of it, in the words of the command's output."""
    found_kinds = [finding.kind for finding in play.judge.findings]
    counted = {name: found_kinds.count(kind) for name, kind in COUNTED.items()}
    return {
        "loops": Loop.objects.count(),
        "closed": Loop.objects.exclude(closed_at=None).count(),
        "missed": counted.pop("missed"),
        "late_minutes_max": -(-max(play.judge.late_seconds, play.judge.late_in_outages_seconds) // 60),
        "orphans": counted.pop("orphans"),
        "seed": plan.seed,
        **counted,
        "late_minutes_max_with_workers": -(-play.judge.late_seconds // 60),
        "escalations": play.judge.escalations,
        "steps": play.steps,
        "compared": play.judge.compared,
    }


COUNTED = {
    "missed": "missed",
    "orphans": "orphan",
    "ghosts": "ghost",
    "wrong": "wrong",
    "unheard": "late",
    "disagreements": "disagrees",
}
FAILURES = tuple(COUNTED)
"""What must be none in the results."""


def digest() -> str:
    """A hash of the whole journal: the same seed gives the same."""
    found = blake2b(digest_size=16)
    columns = (
        "loop_id",
        "handoff_id",
        "at",
        "recorded_at",
        "actor_kind",
        "action",
        "from_stage",
        "to_stage",
        "reason_code",
    )
    for line in Event.objects.order_by("id").values_list(*columns).iterator(5_000):
        found.update(repr(line).encode())
    return found.hexdigest()


def play_out(play: Play, plan: Plan, tell: Callable[[Step], None] = lambda _step: None) -> None:
    """Play to the end of the time."""
    play.run(START + timedelta(days=plan.days), tell)
