"""Makes the year happen: a queue of steps, the clock, the sweeps, and what people decide to do next."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any

from django.db import IntegrityError

from bench.oracle import TABLE, Case, Item, Oracle
from bench.simulate import arrivals, faults, habits, staffing
from bench.simulate.compare import Judge
from bench.simulate.faults import Window
from bench.simulate.steps import Step, family, token, visit_of
from bench.simulate.world import Person, World
from records import clock, store
from records.access import Actor
from records.errors import BatonError
from records.json import Resource
from referrals import escalation, workflow
from referrals.models import Handoff

KINDS = {"r": "referral", "f": "follow-up", "t": "test-order"}
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


class Play:
    """One simulation. ``random`` decides what people do, ``ids`` is the product's own randomness."""

    def __init__(self, world: World, oracle: Oracle, start: datetime, seed: int) -> None:
        self.world, self.oracle, self.now = world, oracle, start
        self.judge = Judge(world, oracle)
        self.random, self.ids = Random(f"habits {seed}"), Random(f"ids {seed}")
        self.histories: dict[str, list[Step]] = {}
        self.patients: dict[str, str] = {}
        self.dead: set[str] = set()
        self.outages: list[Window] = []
        self.silences: dict[str, list[Window]] = {}
        self.is_alive = True
        self.steps = self.brought = 0
        self.merged: dict[str, str] = {}
        self.answered: dict[str, datetime] = {}
        self._gone: dict[str, str] = {}
        self._handoffs: dict[str, str] = {}
        self._slots: dict[str, datetime] = {}
        self.reports: dict[str, str] = {}
        self.arrived: dict[str, Step] = {}
        self.matched: set[tuple[str, str]] = set()
        self.ordered_at: dict[str, datetime] = {}
        self._known: dict[str, object] = {}
        self._queue: list[tuple[datetime, int, Step]] = []
        self._crossings: list[tuple[datetime, str]] = []
        self._number = itertools.count()
        self._next_day = start + DAY

    def push(self, steps: Iterable[Step]) -> None:
        """Add what is to happen."""
        for step in steps:
            heappush(self._queue, (step.at, next(self._number), step))

    def run(self, until: datetime, tell: Callable[[Step], None] = lambda _step: None) -> None:
        """Let everything happen up to that instant; ``tell`` hears of each step after it."""
        while self._queue and self._queue[0][0] <= until:
            step = heappop(self._queue)[2]
            self._wait(step.at)
            self._do(step)
            tell(step)
        self._wait(until)
        self.judge.look_at_all(self.now)

    # Time

    def _wait(self, until: datetime) -> None:
        """Let time pass: sweeps, hours at which something has become overdue, and the end of each day."""
        while True:
            sweep, hour = self._next_sweep(), self._next_hour()
            at = min(sweep or until, hour or until, self._next_day)
            if at > until or (at == until and at not in (sweep, hour, self._next_day)):
                break
            self.now = max(self.now, at)
            self._pass(sweep=at == sweep, hour=at == hour)
        self.now = max(self.now, until)

    def _pass(self, *, sweep: bool, hour: bool) -> None:
        if sweep:
            escalation.sweep(self.now)
            self.judge.swept(self.now, was_down=any(self.now == one.end for one in self.outages))
        if hour:
            self._look_at_overdue()
        if self.now >= self._next_day:
            self._next_day += DAY
            self.judge.look_at_all(self.now)

    def _next_sweep(self) -> datetime | None:
        """The next full minute at which a worker that runs finds something to escalate."""
        alarm = self.judge.next_alarm()
        return faults.after(self.outages, _ceiling(max(alarm, self.now), MINUTE)) if alarm else None

    def _next_hour(self) -> datetime | None:
        """The first full hour after the next due time."""
        return _ceiling(self._crossings[0][0] + timedelta(microseconds=1), HOUR) if self._crossings else None

    def _look_at_overdue(self) -> None:
        crossed: dict[str, Case] = {}
        while self._crossings and self._crossings[0][0] < self.now:
            due, key = heappop(self._crossings)
            item = self.oracle.items[key]
            if item.is_open and due in (item.due, item.half, item.confirm_by):
                crossed[item.case.name] = item.case
        for case in crossed.values():
            self._look(case)

    def _look(self, case: Case) -> None:
        self.judge.look(case, self.patients[family(case.name)] if case.kind != "u" else "", self.now)

    # Steps

    def _do(self, step: Step) -> None:
        item = self.oracle.items.get(step.item)
        if item is not None and step.seen is not None and step.seen != token(item):
            return
        if not step.action:
            self._decide(self.oracle.items[step.item])
        elif step.action != "order" or not self._gives_way():
            self._happen(item, step)

    def _happen(self, item: Item | None, step: Step) -> None:
        self.steps += 1
        self.histories.setdefault(family(step.case), []).append(step)
        if item is None and step.action in staffing.DEEDS:
            staffing.happen(self, step)
            return
        step = replace(step, who=self._gone.get(step.who, step.who))
        if item is not None:
            self._act(item, step)
        elif step.action == "order":
            self._order(step)

    def _gives_way(self) -> bool:
        """Whether an order isn't made since another loop has brought one of its own: a year has as many as it is to have."""
        gives_way = self.is_alive and self.brought > 0
        self.brought -= gives_way
        return gives_way

    def _order(self, step: Step) -> None:
        facts = {**step.data, "patient": self.merged.get(step.data["patient"], step.data["patient"])}
        site, window = facts["placer"], facts["window"]
        case = Case(step.case, facts["kind"], site, f"{site}/pool", f"{site}/{step.who}", facts["performer"])
        case.priority, case.window, case.is_advice = facts["priority"], window, facts.get("is_advice", False)
        order = workflow.Order(
            kind=KINDS[case.kind],
            request=f"request-{step.case.replace('/', '-')}",
            patient_id=facts["patient"],
            placer=site,
            performer=case.performer.partition("/")[0],
            requester=step.who,
            priority=case.priority,
            ordered_at=self.now,
            window_start_at=window[0],
            needed_by=window[1],
            is_advice=case.is_advice,
        )
        self.patients[step.case], self.ordered_at[step.case] = facts["patient"], self.now
        case.knows = "died" if self.merged.get(facts["patient"], facts["patient"]) in self.dead else ""
        with clock.at(self.now, self.ids):
            loop = workflow.open_loop(order, self.world.people[step.who].actor)
        opened = list(Handoff.objects.filter(loop=loop).order_by("id"))
        self.took(case, loop.id, self.oracle.ordered(case, self.now), opened)
        self.brought -= 1

    def _act(self, item: Item, step: Step) -> None:
        is_allowed = self.oracle.allows(item, step.action, self._told(step))
        if step.meddles and is_allowed:
            return
        try:
            outcome = self._perform(item, step)
        except BatonError as refusal:
            if is_allowed:
                self.judge.find("disagrees", self.now, item.case.name, f"refused: {step} ({refusal})")
            self._look(item.case)
        except IntegrityError as broken:
            self.judge.find("disagrees", self.now, item.case.name, f"breaks a law: {step} ({broken})")
        else:
            self._go_on(item, step, outcome, is_allowed=is_allowed)

    def _go_on(self, item: Item, step: Step, outcome: workflow.Outcome, *, is_allowed: bool) -> None:
        """What has been done has its consequences for both sides."""
        if not is_allowed:
            self.judge.find("disagrees", self.now, item.case.name, f"accepted at {item.stage}: {step}")
            return
        opened = self.oracle.happened(item, step.action, step.said or self.now, self._told(step))
        if "slot_end" in step.data:
            self._slots[visit_of(item).key] = step.data["slot_end"]
        if "report" in step.data and step.action != "withdraw-report":
            self.reports[item.key] = step.data["report"]
        case = opened[0].case if opened else self.judge.cases.get(outcome.loop.id, item.case)
        self.took(case, outcome.loop.id, opened, outcome.opened, item)
        self._go_further(item, step)

    def _go_further(self, item: Item, step: Step) -> None:
        if item.kind == "confirm-death" and step.action == "confirm":
            self._confirm_death(item)
        if item.kind == "confirm-death" and step.action == "refute":
            staffing.restore(self, self.patients[family(item.case.name)])
        if step.action == "match":
            arrivals.matched(self, item, step)
        if step.data.get("reason") == "patient-died":
            staffing.ask_about_death(self, item.case)
        if step.action == "void" and step.data["reason"] == "wrong-patient":
            arrivals.expect_match(self, item)

    def _told(self, step: Step) -> dict[str, Any]:
        """What the oracle hears of a step."""
        told = {**step.data, "by_partner": step.who in self.world.partners, "attested": step.attested}
        named = [one.removeprefix("Organization/") for one in told.get("performer", ())]
        return {**told, "performers": [_performer(self.oracle, one) for one in named]}

    def _confirm_death(self, item: Item) -> None:
        """It has reached every open loop of the patient in the same transaction, and stands for all that comes later."""
        patient = self.patients[family(item.case.name)]
        self.dead.add(patient)
        self.answered[patient] = self.now
        for loop, case in list(self.judge.cases.items()):
            if case.kind in KINDS and self.patients[family(case.name)] == patient and case.knows != "died":
                self.take_new(case, loop, self.oracle.died(case, self.now))

    def take_new(self, case: Case, loop: str, opened: Sequence[Item], item: Item | None = None) -> None:
        """Bind what the oracle says has opened to whatever is new in a loop, as `took` does."""
        rows = Handoff.objects.filter(loop=loop, closed_at=None).order_by("opened_at", "id")
        self.took(case, loop, opened, [one for one in rows if one.id not in self.judge.keys], item)

    def _perform(self, item: Item, step: Step) -> workflow.Outcome:
        handoff, partner = self._handoffs[item.key], self.world.partners.get(step.who)
        actor: Actor = partner or self.world.people[step.who].actor
        base = self._said(handoff, item, step) if partner and item.kind != "recollect" else None
        with clock.at(self.now, self.ids):
            if "report" in step.data:
                self._write_report(item.case, step.data["report"], actor)
            if "request" in step.data:
                arrivals.check_candidates(self, item, step, Handoff.objects.select_related("loop").get(pk=handoff))
            data = {**step.data, **(self._second(actor) if "second_person" in step.data else {})}
            return workflow.perform(
                handoff, step.action, actor, at=step.said, data=data, attested=step.attested, base=base
            )

    def _second(self, actor: Actor) -> dict[str, str]:
        """Another colleague who agrees: the boss, or for the boss whoever comes first."""
        others = [one for one in self.world.people.values() if one.site == actor.organization]
        others = sorted((one for one in others if one.actor != actor), key=lambda one: one.post != "supervisor")
        return {"second_person": f"Practitioner/{others[0].actor.practitioner}"} if others else {}

    def _write_report(self, case: Case, reference: str, actor: Actor) -> None:
        """The document that a performer's report is."""
        type_, _slash, key = reference.partition("/")
        patient = self.patients[family(case.name)]
        body: Resource = {
            "resourceType": type_,
            "id": key,
            "status": "current",
            "subject": {"reference": f"Patient/{patient}"},
        }
        sites = [case.placer, case.performer.partition("/")[0], actor.organization]
        store.write(body, actor=actor, audience=sites, validate=False)

    def _said(self, handoff: str, item: Item, step: Step) -> Resource:
        """The Task as the partner has written it."""
        task = store.get("Task", handoff)
        return {**task, "status": habits.STATUSES.get(step.action, task["status"])}

    def took(
        self, case: Case, loop: str, opened: Sequence[Item], handoffs: Sequence[Handoff], item: Item | None = None
    ) -> None:
        """Bind what the oracle says has opened to what the product has opened, compare, and go on."""
        self.brought += loop not in self.judge.cases
        self.judge.cases[loop] = case
        rest = list(handoffs)
        for one in opened:
            alike = [handoff for handoff in rest if handoff.kind == one.kind]
            # Of several that one step has opened each is told by whose list it stands on.
            found = min(alike, key=lambda handoff: self.world.viewers.get(handoff.list_id) != one.list, default=None)
            if found is not None:
                rest.remove(found)
                self._handoffs[one.key] = found.id
                self.judge.keys[found.id] = one.key
        self._look(case)
        for each in {id(case): case, **({id(item.case): item.case} if item else {})}.values():
            self._follow(each, item)

    def _follow(self, case: Case, acted_on: Item | None) -> None:
        """Whoever has something new before them decides what to do."""
        for item in case.items:
            seen = token(item)
            if self._known.get(item.key) != seen or item is acted_on:
                self._known[item.key] = seen
                self.judge.watch(item, self.now)
                if item.is_open:
                    self._expect(item)
                if self.is_alive and (item.is_open or item.kind in ("fulfil", "review-report")):
                    self._decide(item)

    def _expect(self, item: Item) -> None:
        """The instants at which time itself alters a list on which it stands."""
        heappush(self._crossings, (item.due, item.key))
        if item.is_outside and item.confirm_by < item.due:
            heappush(self._crossings, (item.confirm_by, item.key))
        if item.list in self.oracle.surrogates:
            heappush(self._crossings, (item.half, item.key))

    def leave(self, person: Person, to: Person, cases: Iterable[Case]) -> None:
        """Somebody is gone: orders that they would have made come from the colleague, who goes on with their cases."""
        self._gone[person.name] = to.name
        self.world.dismiss(person)
        for case in cases:
            self._look(case)
            self._follow(case, None)

    # Decisions

    def _decide(self, item: Item) -> None:
        """What somebody will do with an item, and how its message fares."""
        choice = habits.choose(item, lambda action: self.oracle.allows(item, action, {}), self.random)
        if choice is None:
            if item.is_open and item.key in self._handoffs:
                again = max(item.due, self.now) + timedelta(hours=self.random.randint(1, 100))
                self.push([Step(again, item.case.name, "", "", item.key, seen=token(item))])
            return
        order = arrivals.order_for(self, item) if choice.action == "match" else None
        if choice.action == "match" and order is None:
            choice = replace(choice, action="refuse")
        at = habits.when(item, choice.action, self._slots.get(visit_of(item).key), self.now, self.random)
        told = self._details(item, choice.action, at, order)
        step = Step(at, item.case.name, choice.action, "", item.key, told, seen=token(item))
        if item.key in self._handoffs:
            self.push(self._sent(item, self._signed(item, step, choice.who)))
            if self.random.random() < faults.MEDDLED:
                self.push([self._meddled(item, at)])

    def _meddled(self, item: Item, at: datetime) -> Step:
        """Somebody who doesn't know how things stand tries anything; where it isn't possible it must change nothing."""
        action = self.random.choice(sorted({known for _kind, _handoff, known in TABLE}))
        who = self.random.choice(self.world.at(item.case.placer, "coordinator")).name
        return Step(at, item.case.name, action, who, item.key, self._details(item, action, at), meddles=True)

    def _details(self, item: Item, action: str, at: datetime, order: arrivals.Match | None = None) -> dict[str, Any]:
        told = habits.details(item, action, self.steps, at, self.random)
        if action == "withdraw-report" and item.key in self.reports:
            told["report"] = self.reports[item.key]
        if order is not None:
            told["request"] = order.request
        return told

    def _signed(self, item: Item, step: Step, who: str) -> Step:
        """With the name of who does it: a partner's own system, or a coordinator for one who has telephoned."""
        case = item.case
        performer = item.owner if item.kind in ("fulfil", "request-cancellation", "recollect") else case.performer
        site = performer.partition("/")[0] if who in ("performer", "partner") else case.placer
        if who in ("referrer", "holder"):
            person = (case.referrer if who == "referrer" else item.owner).partition("/")[2]
            boss = f"{case.pool.partition('/')[0]}-boss"
            return replace(step, who=person if person in self.world.people else boss)
        if self.oracle.houses[site].ours:
            return replace(step, who=self.random.choice(self.world.at(site, "coordinator")).name)
        if who == "partner" or self.random.random() >= faults.ATTESTED:
            return replace(step, who=site)
        told = {**step.data, "channel": "phone", "spoken_to": "The front desk"}
        name = self.random.choice(self.world.at(case.placer, "coordinator")).name
        return replace(step, who=name, data=told, attested=True)

    def _sent(self, item: Item, step: Step) -> list[Step]:
        """The step as it arrives: a partner's may come late, twice, or after the one that follows it."""
        if step.who not in self.world.partners:
            return [step]
        arrives = faults.after(self.silences.get(step.who, []), step.at)
        if self.random.random() < faults.BELATED:
            arrives += timedelta(hours=self.random.randint(2, 150))
        sent = [replace(step, at=arrives, said=step.at, seen=None if arrives > step.at else step.seen)]
        if self.random.random() < faults.REPEATED:
            sent.append(
                replace(step, at=arrives + timedelta(hours=self.random.randint(1, 60)), said=step.at, seen=None)
            )
        next_action = faults.OVERTAKES.get(step.action)
        if next_action and self.random.random() < faults.OVERTAKEN:
            data = self._details(item, next_action, step.at)
            sent.append(replace(step, at=step.at, action=next_action, said=step.at, data=data, seen=None))
            sent[0] = replace(sent[0], at=arrives + timedelta(hours=self.random.randint(1, 30)), seen=None)
        return sent


def _performer(oracle: Oracle, site: str) -> str:
    return f"{site}/pool" if oracle.houses[site].ours else f"{site}/"


def _ceiling(at: datetime, unit: timedelta) -> datetime:
    """The instant itself when it is a full unit, else the next full one."""
    past = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) % unit
    return at + (unit - past) if past else at
