"""What arrives at an organisation unasked: reports that name no order, and the word that a stay in hospital began or ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from bench.oracle import Case, Item
from bench.simulate.steps import Step, family
from bench.simulate.world import DISCHARGING, PLACERS, Person, World
from records import store
from records.access import Actor
from records.json import Resource
from referrals import intake, matching
from referrals.models import Handoff, Loop

if TYPE_CHECKING:
    from bench.simulate.play import Play

EVERY_DAYS = {"arrive": 14, "discharge": 20}
"""How often such a thing comes to an organisation."""
REPEATED, READMITTED, HIGH = 0.2, 0.4, 0.5
HIGH_DAYS, MODERATE_DAYS = 7, 14
# http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation
INTERPRETATIONS = {"critical": "HH", "abnormal": "H", "normal": "N"}
CLASS, PRIORITY, ROLE = (
    f"http://terminology.hl7.org/CodeSystem/v3-{name}" for name in ("ActCode", "ActPriority", "ParticipationType")
)


def plan(world: World, start: datetime, days: int, random: Random) -> Iterator[Step]:
    """What arrives when."""
    for region, patients in world.patients.items():
        for site, (action, every) in ((site, row) for site in PLACERS for row in EVERY_DAYS.items()):
            for number in range(round(days / every)):
                at = start + timedelta(seconds=random.randrange(days * 86_400))
                told = {"placer": f"{region}-{site}", "patient": random.choice(patients)} | _details(action, at, random)
                who = f"{region}-{site}-{DISCHARGING}" if action == "discharge" else f"{region}-{site}-c0"
                yield Step(at, f"{region}/{site}-{action}{number}", action, who, data=told)


def _details(action: str, at: datetime, random: Random) -> dict[str, Any]:
    happened = (at - timedelta(hours=random.randint(0, 60))).replace(microsecond=0)
    if action == "arrive":
        return {"issued": happened, "severity": random.choice(list(INTERPRETATIONS))}
    return {
        "ended": happened,
        "began": happened - timedelta(days=random.randint(1, 12)),
        "high": random.random() < HIGH,
    }


def report(play: "Play", step: Step, _person: Person) -> None:
    """A laboratory's report comes to the organisation's own EHR, now and then twice, and names no order."""
    site, severity, key = step.data["placer"], step.data["severity"], f"report-{step.case.replace('/', '-')}"
    patient = _patient(play, step)
    finding: Resource = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "Potassium"},
        "interpretation": [{"coding": [{"code": INTERPRETATIONS[severity]}]}],
    }
    body: Resource = {
        "resourceType": "DiagnosticReport",
        "id": key,
        "contained": [finding],
        "status": "final",
        "code": {"text": "Potassium"},
        "subject": {"reference": f"Patient/{patient}"},
        "issued": step.data["issued"].isoformat(),
        "result": [{"reference": "#o"}],
    }
    loop = intake.receive(body, _ehr(site)).loop_id or ""
    play.patients[step.case] = patient
    play.arrived[f"DiagnosticReport/{key}"] = step
    case = Case(step.case, "u", site, f"{site}/pool", f"{site}/pool", f"{site}/pool")
    case.priority = "stat" if severity == "critical" else "routine"
    opened = play.oracle.ordered(case, play.now)
    opened[0].about = f"DiagnosticReport/{key}"
    play.take_new(case, loop, opened)
    if play.random.random() < REPEATED:
        intake.receive(body, _ehr(site))
        play.took(case, loop, [], [])


def discharge(play: "Play", step: Step, person: Person) -> None:
    """A stay ends: the patient is called and seen again, and who discharged hands over the results that are pending."""
    site, ended, days = step.data["placer"], step.data["ended"], HIGH_DAYS if step.data["high"] else MODERATE_DAYS
    patient = _patient(play, step)
    if patient in play.dead:
        return
    body = _stay(step, patient, person) | {"status": "finished"}
    body["period"] = {"start": step.data["began"].isoformat(), "end": ended.isoformat()}
    intake.receive(body, _ehr(site))
    clinician = play.world.clinicians.get(patient, "")
    home = clinician.partition("/")[0] or site
    case = Case(step.case, "f", home, f"{home}/pool", clinician or f"{home}/pool", f"{home}/pool")
    case.priority, case.window = "urgent" if step.data["high"] else "routine", (ended, ended + timedelta(days=days))
    play.patients[case.name] = patient
    loop = Loop.objects.get(kind="follow-up", patient_id=patient, ordered_at=ended, placer=home).id
    play.take_new(case, loop, play.oracle.ordered(case, ended))
    for name, one in list(play.judge.cases.items()):
        ordered_at = play.ordered_at.get(family(one.name), play.now)
        is_of_the_stay = one.placer == site and step.data["began"] <= ordered_at <= ended
        if one.kind == "t" and play.patients[family(one.name)] == patient and is_of_the_stay:
            for item in [*one.open("fulfil"), *one.open("recollect"), *one.open("dispatch")][:1]:
                told: dict[str, Any] = {"holder": person.word} | ({"reader": clinician} if clinician else {})
                play.take_new(one, name, play.oracle.happened(item, "discharge", ended, told), item)
    if play.is_alive and play.random.random() < READMITTED:
        at = play.now + timedelta(hours=play.random.randint(10, 20 * 24))
        told = {"patient": step.data["patient"], "placer": site, "began": at, "ended": at, "high": True}
        play.push([Step(at, step.case, "readmit", step.who, data=told)])


def readmit(play: "Play", step: Step, person: Person) -> None:
    """A new stay begins: the visit after the last one is superseded, and nothing else."""
    patient = _patient(play, step)
    body = _stay(step, patient, person) | {"id": f"re{_key(step)}", "status": "in-progress"}
    intake.receive(body, _ehr(step.data["placer"]))
    for loop, case in list(play.judge.cases.items()):
        if "-discharge" in case.name and case.kind == "f" and play.patients[family(case.name)] == patient:
            for item in case.open("fulfil"):
                opened = play.oracle.happened(item, "supersede", play.now, {"reason": "superseded"})
                play.take_new(case, loop, opened, item)


def _stay(step: Step, patient: str, person: Person) -> Resource:
    role = {"coding": [{"system": ROLE, "code": "DIS"}]}
    return {
        "resourceType": "Encounter",
        "id": _key(step),
        "class": {"system": CLASS, "code": "IMP"},
        "priority": {"coding": [{"system": PRIORITY, "code": "EM" if step.data["high"] else "EL"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "serviceProvider": {"reference": f"Organization/{step.data['placer']}"},
        "participant": [{"type": [role], "individual": {"reference": f"Practitioner/{person.name}"}}],
        "period": {"start": step.data["began"].isoformat()},
    }


def _key(step: Step) -> str:
    return f"stay-{step.case.replace('/', '-')}"


def _ehr(site: str) -> Actor:
    """The organisation's own EHR."""
    return Actor(id=f"partner:{site}-ehr", kind="partner", display=site, organization=site)


def _patient(play: "Play", step: Step) -> str:
    named = str(step.data["patient"])
    return play.merged.get(named, named)


@dataclass(frozen=True, slots=True)
class Match:
    """To which order somebody finds that evidence belongs: the case, and the request that the product knows it by."""

    case: Case
    request: str


def expect_match(play: "Play", item: Item) -> None:
    """What its reader found to be another patient's waits for somebody who knows whose it is."""
    for loop in Loop.objects.filter(kind="unsolicited", about=item.about).exclude(id__in=play.judge.cases):
        pool, arrived = item.case.pool, play.arrived.get(item.about)
        case = Case(f"{item.case.name}~{len(play.judge.keys)}", "u", item.case.placer, pool, pool, pool)
        case.priority = "stat" if arrived and arrived.data["severity"] == "critical" else "routine"
        opened = play.oracle.ordered(case, play.now)
        opened[0].about = item.about
        play.take_new(case, loop.id, opened)


def order_for(play: "Play", item: Item) -> Match | None:
    """An order of that pool, of the report's patient if there is one, that was sent to one performer; None for no such."""
    patient = play.patients[family(item.case.name)]
    found = [one for one in play.judge.cases.values() if one.kind == "t" and one.pool == item.case.pool]
    found = [one for one in found if "+" not in one.name and family(one.name) != family(item.case.name)]
    sent = [one for one in found if len(_line(one)) == 1]
    sent = [one for one in sent if (item.about, request_of(one)) not in play.matched]
    meant = sorted(sent, key=lambda one: play.patients[family(one.name)] != patient)
    return Match(meant[0], request_of(meant[0])) if meant else None


def request_of(case: Case) -> str:
    """The order of a case."""
    return order_of(case.name)


def order_of(case: str) -> str:
    """The order of a case and of those that followed it, by its name."""
    return f"ServiceRequest/request-{family(case).replace('/', '-')}"


def _line(case: Case) -> list[Item]:
    """What was performed in a case and in those that followed it."""
    mine = [one for one in case.items if one.kind == "fulfil"]
    return mine + (_line(case.later) if case.later else [])


def matched(play: "Play", item: Item, step: Step) -> None:
    """What somebody has matched is done to the order: it is its result, or one that comes afterwards."""
    case = next(one for one in play.judge.cases.values() if request_of(one) == step.data["request"])
    arrived = play.arrived.get(item.about)
    at = max(play.ordered_at[family(case.name)], arrived.data["issued"] if arrived else play.now)
    told = {"report": item.about, "severity": arrived.data["severity"] if arrived else ""}
    performed = max(reversed(_line(case)), key=lambda one: one.is_open)
    play.reports[performed.key] = item.about
    play.matched.add((item.about, step.data["request"]))
    opened = play.oracle.happened(performed, "result" if performed.is_open else "amend", at, told)
    now = opened[0].case
    line = Loop.objects.filter(about=step.data["request"]) | Loop.objects.filter(
        request_id=step.data["request"].partition("/")[2]
    )
    loop = line.filter(closed_at=None).order_by("-opened_at").first()
    if loop is not None:
        play.take_new(now, loop.id, opened, performed)


def check_candidates(play: "Play", item: Item, step: Step, handoff: Handoff) -> None:
    """Whoever matches was shown the order, if it is the patient's whom the evidence names."""
    case = next(one for one in play.judge.cases.values() if request_of(one) == step.data["request"])
    names = {f"ServiceRequest/{one.loop.request_id}" for one in matching.candidates(handoff)}
    # It may have been matched before to somebody else's order, and been found not to belong there either.
    named = store.get(*item.about.split("/"))["subject"]["reference"].removeprefix("Patient/")
    whose = play.merged.get(named, named)
    is_same = play.patients[family(case.name)] == whose
    if is_same and step.data["request"] not in names:
        play.judge.find("disagrees", play.now, item.case.name, f"{step.data['request']} was not proposed")


DEEDS = {"arrive": report, "discharge": discharge, "readmit": readmit}
