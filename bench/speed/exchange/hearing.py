"""Thousands of changes at two EHRs that make it hard to hear them, and whether each that could be heard was applied once.

One EHR's clock is five minutes ahead, the other's behind. Their pages are short and shift with every change, many changes have the
same instant, some are committed long after the time that they bear, links to the next page expire, and requests are turned
away. Meanwhile several workers do what Celery's do.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from time import monotonic, sleep

from django.db.models import Count

from bench.chaos.people import People
from bench.fake_ehr.process import Remote
from bench.fake_ehr.wire import Body
from bench.speed.exchange.crew import race
from bench.speed.exchange.measures import HEARD, Tell, push
from bench.speed.exchange.scene import ORIGIN, Scene, another
from fhir_bridge import tasks
from fhir_bridge.models import Inbox, Link, Watermark
from records.errors import BatonError
from records.models import Version

SKEWS = (300.0, -300.0)
MOODS = {"429": 0.02, "429-date": 0.01, "expired-next": 0.3}
PAGE = 50
LATE = ((0.0, 0.90), (25.0, 0.09), (500.0, 0.01))
"""After how many seconds at most a change is committed, and how many are."""
OLD = 0.2
"""So many changes are of something that was there before; a late one is always new."""
AT_ONCE = 200
BACKLOG = 1_500
"""So many results at the EHRs are not here yet; people wait with more."""
REFERRALS = 20
PATIENCE_SECONDS = 600.0
WAIT_SECONDS = 0.2
KINDS = ("lost", "doubled", "unapplied")


@dataclass
class Hospital:
    """An EHR where people work; ``newest`` is the (version, value) of each of its results."""

    scene: Scene
    remote: Remote
    manners: Mapping[str, float]
    chance: random.Random
    newest: dict[str, tuple[str, int]] = field(default_factory=dict)
    prompt: list[str] = field(default_factory=list)
    said: int = 0

    def work(self, number: int, texts: Sequence[Body]) -> None:
        """So many results are written or corrected."""
        written = self.remote.put([self._change(texts) for _each in range(number)])
        for body in written:
            self.newest[body["id"]] = (body["meta"]["versionId"], body["valueQuantity"]["value"])

    def _change(self, texts: Sequence[Body]) -> tuple[Body, float]:
        self.said += 1
        if self.prompt and self.chance.random() < OLD:
            id_, late = self.chance.choice(self.prompt), 0.0
        else:
            most = self.chance.choices([each for each, _odds in LATE], [odds for _each, odds in LATE])[0]
            id_, late = f"result-{self.said}", self.chance.random() * most
            if not late:
                self.prompt.append(id_)
        body = texts[self.said % len(texts)]
        return {**body, "id": id_, "valueQuantity": {**body["valueQuantity"], "value": self.said}}, late


class Hearing:
    """One run: ``changes`` at both hospitals together."""

    def __init__(self, remotes: Sequence[Remote], changes: int, seed: int, tell: Tell) -> None:
        self.changes, self.seed, self.tell, self.done = changes, seed, tell, 0
        self.hospitals = [
            Hospital(
                scene, remote, {"skew_seconds": skew, "tick_seconds": 0.0}, random.Random(f"hearing {seed} {skew}")
            )
            for scene, remote, skew in zip(_scenes(remotes), remotes, SKEWS, strict=True)
        ]
        self.stop: Event = get_context("fork").Event()
        self.look_again = 0.0
        self.give_up = float("inf")

    def run(self, enter: Callable[[], None], workers: int) -> dict[str, int | float]:
        """Refer, change, hear, judge."""
        for hospital in self.hospitals:
            for _referral in range(REFERRALS):
                hospital.scene.refer(0)
            push(hospital.scene.partner.pk)
            hospital.remote.behave(self.seed, MOODS, **hospital.manners, page=PAGE, shifts=True)
        self.texts = [list(hospital.scene.theirs(REFERRALS)) for hospital in self.hospitals]
        partners = [hospital.scene.partner.pk for hospital in self.hospitals]
        seconds = race(enter, workers, partial(listen, partners, self.stop), self._go_on)
        return {**self.judge(), "seconds": round(seconds, 1), "per_second": round(self.done / seconds, 1)}

    def _go_on(self) -> None:
        """People go on working while the workers are not far behind; when all is heard these may stop."""
        waiting = Inbox.objects.filter(state__in=(Inbox.State.PENDING, Inbox.State.WAITING)).count()
        here, there = Link.objects.filter(type=HEARD).count(), sum(len(each.newest) for each in self.hospitals)
        if self.done < self.changes and there - here < BACKLOG:
            for hospital, texts in zip(self.hospitals, self.texts, strict=True):
                number = min(AT_ONCE, self.changes - self.done)
                hospital.work(number, texts)
                self.done += number
        self.tell("changes", self.done, self.changes)
        self.tell("applied", Inbox.objects.filter(state=Inbox.State.APPLIED).count(), self.done)
        if self.done == self.changes:
            self._end(waiting)

    def _end(self, waiting: int) -> None:
        if self.look_again == 0.0:  # as if it were five minutes later: the whole overlap is read once more
            Watermark.objects.update(deep_until=None)
            self.give_up = monotonic() + PATIENCE_SECONDS
        if monotonic() > self.look_again:
            is_heard = waiting == 0 and not any(self._unheard(hospital) for hospital in self.hospitals)
            if is_heard or monotonic() > self.give_up:
                self.stop.set()
            self.look_again = monotonic() + 5.0

    @staticmethod
    def _unheard(hospital: Hospital) -> int:
        rows = Link.objects.filter(partner=hospital.scene.partner, type=HEARD)
        held = dict(rows.values_list("remote_id", "remote_version"))
        return sum(held.get(id_) != version for id_, (version, _value) in hospital.newest.items())

    def judge(self) -> dict[str, int]:
        """What is wrong: newest content that is not here, a version applied twice or a resource here twice, items left over."""
        found: Counter[str] = Counter({**dict.fromkeys(KINDS, 0), "changes": self.done})
        for hospital in self.hospitals:
            found += self._judged(hospital)
        found["versions"] = Inbox.objects.filter(type=HEARD, state=Inbox.State.APPLIED).count()
        found["unapplied"] = Inbox.objects.exclude(state=Inbox.State.APPLIED).count()
        for hospital in self.hospitals:
            found.update(hospital.remote.counts())
        return {**dict.fromkeys(KINDS, 0), **found}

    @staticmethod
    def _judged(hospital: Hospital) -> Counter[str]:
        partner = hospital.scene.partner
        links = Link.objects.filter(partner=partner, type=HEARD).values_list("remote_id", "local_id")
        here = {str(remote): local for remote, local in links}
        heard = Inbox.objects.filter(partner=partner, type=HEARD, state=Inbox.State.APPLIED)
        applied = dict(heard.values_list("remote_id").annotate(number=Count("pk")).values_list("remote_id", "number"))
        versions = Version.objects.filter(type=HEARD, actor=f"partner:{partner.pk}").order_by("version")
        texts, written = dict[str, str](), Counter[str]()
        for local, body in versions.values_list("resource_id", "body").iterator(2_000):
            texts[local], written[local] = body, written[local] + 1
        return Counter(
            lost=sum(
                f'"value":{value},' not in texts.get(here.get(id_, ""), "")
                for id_, (_, value) in hospital.newest.items()
            ),
            doubled=sum(written[here[id_]] != number for id_, number in applied.items() if id_ in here)
            + abs(len(written) - len(here)),
            resources=len(here),
        )


def listen(partners: Sequence[int], stop: Event) -> None:
    """What a worker does until it is told to stop."""
    while not stop.is_set():
        for partner in partners:
            with suppress(BatonError):  # as a task that breaks off, it comes again
                tasks.pull(partner)
        sleep(WAIT_SECONDS)


def _scenes(remotes: Sequence[Remote]) -> list[Scene]:
    """A hospital for each EHR, whose clock is wrong from the beginning."""
    for remote, skew in zip(remotes, SKEWS, strict=True):
        remote.behave(skew_seconds=skew, tick_seconds=0.0)
    people = People(remotes[0].base_url, ORIGIN, 0, wait=lambda: None)
    first = Scene(people, people.found())
    return [first, *(another(first, f"hospital-{number}", each.base_url) for number, each in enumerate(remotes[1:]))]
