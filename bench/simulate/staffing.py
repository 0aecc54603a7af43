"""What happens to people in a simulation: staff stand in for each other, are away, and leave; patients die, or are merged."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from bench.oracle import Case
from bench.simulate import arrivals, faults
from bench.simulate.steps import Step, family
from bench.simulate.world import LEAVER, PLACERS, STAND_IN_FOR_EACH_OTHER, Person, World
from records import clock
from records.errors import Conflict
from referrals import leaving, people, reassigning
from referrals.models import Absence, Loop, User
from referrals.upheavals import death, merge

if TYPE_CHECKING:
    from bench.simulate.play import Play

HOUR = timedelta(hours=1)
DYING, MERGED = 0.04, 0.03
"""The parts of all patients that die, and whose record turns out to be another's, in the time that is simulated."""
LIVING = 0.3
"""How often somebody who was said to have died lives."""


def plan(world: World, start: datetime, days: int, random: Random) -> Iterator[Step]:
    """Who is away when, and who leaves."""
    for site in world.sites:
        doctors = world.at(site, "doctor")
        first, second = (doctors[number] for number in STAND_IN_FOR_EACH_OTHER)
        for person, other in ((first, second), (second, first)):
            yield Step(start, "", "stand-in", person.name, data={"surrogate": other.name})
            for one in faults.absences(start, days, random):
                told = {"until": one.end, "surrogate": other.name if one.is_covered else ""}
                yield Step(one.start, "", "away", person.name, data=told)
        leaves_at = start + timedelta(seconds=random.randrange(days * 86_400))
        yield Step(leaves_at, "", "leave", doctors[LEAVER].name, data={"to": first.name})
    yield from arrivals.plan(world, start, days, random)


def happen(play: "Play", step: Step) -> None:
    """Let it happen to product and oracle alike."""
    play.world.upheavals += 1
    with clock.at(play.now, play.ids):
        DEEDS[step.action](play, step, play.world.people[step.who])


def _stand_in(play: "Play", step: Step, person: Person) -> None:
    surrogate = play.world.people[step.data["surrogate"]]
    owners = play.world.owners
    people.set_surrogate(owners[person.word], owners[surrogate.word], person.actor)
    play.oracle.surrogates[person.word] = surrogate.word


def _go_away(play: "Play", step: Step, person: Person) -> None:
    until, named = step.data["until"], step.data["surrogate"]
    owners, word = play.world.owners, play.world.people[named].word if named else ""
    if named:
        people.announce(owners[person.word], owners[word], play.now, until, person.actor)
    else:  # ill, and nobody named: not even who stands in otherwise
        Absence.objects.create(owner=owners[person.word], starts_at=play.now, ends_at=until)
    play.oracle.absences.append((person.word, play.now, until, word))
    play.push([Step(at, "", "look", person.name, data={"with": named}) for at in (play.now, until + HOUR)])


def _look(play: "Play", step: Step, person: Person) -> None:
    """At the beginning and at the end of an absence the lists of everybody concerned change."""
    named = step.data["with"]
    concerned = [person.word, f"{person.site}/pool", *([play.world.people[named].word] if named else [])]
    for viewer in concerned:
        play.judge.look_as(viewer, play.now)


def _leave(play: "Play", step: Step, person: Person) -> None:
    """They can't while anything is theirs; their supervisor gives it to a colleague first."""
    boss = play.world.at(person.site, "supervisor")[0].actor
    user = User.objects.get(username=person.name)
    to = play.world.people[step.data["to"]]
    held = [one for one in play.judge.open.values() if person.word in (one.owner, one.case.referrer)]
    try:
        leaving.leave(user, person.site, boss)
        was_refused = False
    except Conflict:
        was_refused = True
    if was_refused != bool(held):
        play.judge.find("disagrees", play.now, "", f"{person.name} {'may not' if was_refused else 'may'} leave")
    if was_refused:
        reassigning.hand_over(play.world.owners[person.word], boss, to=play.world.owners[to.word])
        play.oracle.handed_over(person.word, to.word)
        leaving.leave(user, person.site, boss)
    play.oracle.left.add(person.word)
    play.leave(person, to, {id(one.case): one.case for one in held}.values())


def deaths(world: World, start: datetime, days: int, random: Random) -> dict[str, datetime]:
    """Which patients die when; in every region at least one lives on."""
    patients = [name for names in world.patients.values() for name in names[1:]]
    return {
        name: start + timedelta(seconds=random.randrange(days * 86_400)) for name in patients if random.random() < DYING
    }


def merges(world: World, start: datetime, days: int, random: Random) -> Iterator[Step]:
    """Which two records of patients are found to be one's, when."""
    for region, names in world.patients.items():
        for source, target in zip(names[::2], names[1::2], strict=False):
            if random.random() < MERGED:
                at = start + timedelta(seconds=random.randrange(days * 86_400))
                finder = random.choice(world.at(f"{region}-{PLACERS[0]}", "coordinator"))
                yield Step(at, "", "merge", finder.name, data={"source": source, "target": target})


def _die(play: "Play", step: Step, person: Person) -> None:
    """Somebody reports a death; the pool of an organisation that cares for the patient has to confirm it."""
    patient = play.merged.get(step.data["patient"], step.data["patient"])
    loop = death.report(patient, person.actor)
    if loop is not None:
        _take_question(play, loop, step.data["case"], patient)
        if play.is_alive and play.random.random() < LIVING:
            at = play.now + timedelta(hours=play.random.randint(2, 40 * 24))
            play.push([Step(at, "", "live", person.name, data={"patient": step.data["patient"]})])


def _live(play: "Play", step: Step, person: Person) -> None:
    """It was not so: who was asked need not answer, and what had ended by it is taken up again by its referrer."""
    patient = play.merged.get(step.data["patient"], step.data["patient"])
    asked = [(loop, item) for loop, case in _cases(play, patient) for item in case.open("confirm-death")]
    death.refute(patient, person.actor)
    for loop, item in asked:
        play.took(item.case, loop, play.oracle.happened(item, "refute", play.now, {}), [], item)
    restore(play, patient)


def restore(play: "Play", patient: str) -> None:
    """They live: whatever a death has ended is taken up."""
    play.dead.discard(patient)
    play.answered[patient] = play.now
    for loop, case in _cases(play, patient):
        for item in play.oracle.lived(case, play.now):
            new = Loop.objects.filter(based_on=loop).first() if item.case is not case else None
            play.take_new(item.case, new.id if new else loop, [item])


def _cases(play: "Play", patient: str) -> list[tuple[str, Case]]:
    return [(loop, case) for loop, case in play.judge.cases.items() if play.patients.get(family(case.name)) == patient]


def _merge(play: "Play", step: Step, person: Person) -> None:
    """Two records turn out to be one patient: nothing moves but the name, and a death of one is asked about for both."""
    source, target = step.data["source"], step.data["target"]
    asked = [
        [item for _loop, case in _cases(play, one) for item in case.open("confirm-death")] for one in (source, target)
    ]
    last = max((source, target), key=lambda one: play.answered.get(one, datetime.min.replace(tzinfo=UTC)))
    dead = {source, target} & play.dead
    merge.merge(source, target, person.actor)
    play.merged[source] = target
    for name, patient in play.patients.items():
        if patient == source:
            play.patients[name] = target
    for item in asked[0] if asked[1] else []:
        item.end()
        play.took(item.case, _loop_of(play, item.case), [], [], item)
    alive = [
        case for _loop, case in _cases(play, target) if case.kind in "rft" and case.open() and case.knows != "died"
    ]
    is_to_ask = bool(dead) and not any(asked) and (bool(alive) or last not in dead)
    play.dead = (play.dead - {source, target}) | ({target} if dead and not is_to_ask and not any(asked) else set())
    if last in play.answered:
        play.answered[target] = play.answered[last]
    _take_asked(play, f"{family(step.case) or source}/merge-{source}", target, is_to_ask=is_to_ask)


def ask_about_death(play: "Play", case: Case) -> None:
    """Who ends something since the patient has died lets somebody confirm it, if anything goes on for them."""
    patient = play.patients[family(case.name)]
    cases = [one for _loop, one in _cases(play, patient)]
    is_known = patient in play.dead or any(one.open("confirm-death") for one in cases)
    is_going_on = any(one.kind in "rft" and one.open() for one in cases)
    _take_asked(play, f"{family(case.name)}/died-{play.steps}", patient, is_to_ask=is_going_on and not is_known)


def _loop_of(play: "Play", wanted: Case) -> str:
    return next(loop for loop, case in play.judge.cases.items() if case is wanted)


def _take_asked(play: "Play", name: str, patient: str, *, is_to_ask: bool) -> None:
    """The question about a death that a step has led to, if there had to be one."""
    found = Loop.objects.filter(kind="upkeep", about=f"Patient/{patient}", closed_at=None)
    new = [loop for loop in found if loop.id not in play.judge.cases]
    if bool(new) != is_to_ask:
        play.judge.find("disagrees", play.now, name, f"{patient} is {'not ' * is_to_ask}asked about")
    for loop in new:
        _take_question(play, loop, name, patient)


def _take_question(play: "Play", loop: Loop, name: str, patient: str) -> None:
    opened = list(loop.handoffs.all())
    pool = play.world.viewers[opened[0].list_id]
    case = Case(name, "d", pool.partition("/")[0], pool, pool, pool)
    play.patients[case.name] = patient
    play.took(case, loop.id, play.oracle.ordered(case, play.now), opened)


DEEDS = arrivals.DEEDS | {
    "live": _live,
    "die": _die,
    "merge": _merge,
    "stand-in": _stand_in,
    "away": _go_away,
    "look": _look,
    "leave": _leave,
}
