"""Who plays which story: patient, placer, service and the times of the moves. Pure; the same region gives the same parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from zoneinfo import ZoneInfo

from demo.contents import REASONS, TEST_REASONS, TESTS, Test
from demo.patients import Registered
from demo.region import EXTERNAL, HOSPITALS, IMAGING, LABORATORY, SPECIALIST, Place, Service
from demo.stories import MOVES, STORIES, Move, Story

ADULT_AGE, CHILDBEARING_AGES = 16, range(18, 45)
OPENS_AT, CLOSES_AT, FRIDAY = 8, 17, 4
FRESH = timedelta(hours=30)
HAPPENS_AT_THE_SLOT = frozenset({"see", "miss", "visit", "collect", "result"})
Offer = tuple[Place, Service]


@dataclass(frozen=True, slots=True)
class Part:
    """One loop to be played: its story with the time of the order and of each move."""

    story: Story
    priority: str
    patient: Registered
    place: Place
    service: Service
    reason: str
    test: Test | None
    ordered_at: datetime
    moves: tuple[tuple[str, Move, datetime], ...]
    slot_end: datetime

    @property
    def placer(self) -> Place:
        """Where it is ordered."""
        return placer_of(self.story, self.patient)

    def slot_end_after(self, number: int) -> datetime:
        """When the appointment ends that move ``number`` books: just before it is seen or missed, else as planned."""
        later = (time for name, _move, time in self.moves[number + 1 :] if name in HAPPENS_AT_THE_SLOT)
        return next(later, self.slot_end + timedelta(minutes=10)) - timedelta(minutes=10)


def parts(patients: list[Registered], at: datetime, random: Random, count: int) -> list[Part]:
    """The first ``count`` parts: every variant of every story in turn, and again from the first."""
    variants = [(story, priority, hours) for story in STORIES for priority, hours in story.variants]
    cast = zip(islice(cycle(variants), count), cycle(patients), strict=False)
    offers = _Offers(random)
    return [
        _part(story, priority, hours * (1 if number < len(variants) else random.uniform(0.8, 1.1)), patient, at, offers)
        for number, ((story, priority, hours), patient) in enumerate(cast)
    ]


def how_many(patients: int) -> int:
    """How many parts show every variant, and give a loop to every other patient."""
    return max(patients // 2, sum(len(story.variants) for story in STORIES))


def placer_of(story: Story, patient: Registered) -> Place:
    """Who orders: the patient's practice, or the first hospital."""
    return HOSPITALS[0] if story.by_hospital else patient.place


def _part(story: Story, priority: str, hours: float, patient: Registered, at: datetime, offers: "_Offers") -> Part:
    place, service, test = offers.choose(story, patient)
    names = story.moves.split()
    ordered_at, *times = _times(names, at, timedelta(hours=hours), placer_of(story, patient), offers.random)
    reasons = TEST_REASONS if story.kind == "test-order" else REASONS[service.specialty]
    return Part(
        story,
        priority,
        patient,
        place,
        service,
        offers.random.choice(reasons),
        test,
        ordered_at,
        tuple((name, MOVES[name], time) for name, time in zip(names, times, strict=True)),
        _slot_end(at + timedelta(hours=story.ahead_hours), at, ordered_at, place, offers.random),
    )


def _slot_end(planned: datetime, at: datetime, ordered_at: datetime, place: Place, random: Random) -> datetime:
    """The planned appointment in working hours, still ahead if it was planned so, and never before the order."""
    slot_end = _quarter(_working(planned, place, random))
    while slot_end <= at < planned:
        planned += timedelta(days=1)
        slot_end = _quarter(_working(planned, place, random))
    return max(slot_end, ordered_at + timedelta(hours=1))


def _times(names: list[str], at: datetime, since: timedelta, place: Place, random: Random) -> list[datetime]:
    """When the request was ordered and each move was made, counted back from now; older ones fall in working hours."""
    moments = [at - since]
    for name in reversed(names):
        moments.append(moments[-1] - timedelta(hours=MOVES[name].after_hours, minutes=random.randint(0, 50)))
    moments.reverse()
    snapped = [moment if at - moment < FRESH else _working(moment, place, random) for moment in moments]
    for number in range(1, len(snapped)):
        snapped[number] = max(snapped[number], snapped[number - 1] + timedelta(minutes=7))
    return snapped


def _working(moment: datetime, place: Place, random: Random) -> datetime:
    """The last working hour at or before a moment, where the place is."""
    local = moment.astimezone(ZoneInfo(place.time_zone))
    local -= timedelta(days=max(0, local.weekday() - FRIDAY))
    if local.hour < OPENS_AT:
        local = local.replace(hour=OPENS_AT, minute=random.randint(0, 59)) - timedelta(days=1 if local.weekday() else 3)
    elif local.hour >= CLOSES_AT:
        local = local.replace(hour=CLOSES_AT - 1)
    return local.astimezone(moment.tzinfo)


def _quarter(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


class _Offers:
    """Deals out the services in turn, so that every one is used."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clinics = cycle(_services(HOSPITALS, SPECIALIST))
        self.children = cycle(one for one in _services(HOSPITALS, SPECIALIST) if one[1].specialty == "paediatrics")
        self.outside = cycle(one for one in _services(EXTERNAL, SPECIALIST) if one[1].specialty != "general-practice")
        self.departments = {
            (kind, outside): cycle(_services(EXTERNAL if outside else HOSPITALS, kind))
            for kind in (LABORATORY, IMAGING)
            for outside in (False, True)
        }
        self.tests = {kind: cycle(test for test in TESTS if test.kind == kind) for kind in (LABORATORY, IMAGING)}

    def choose(self, story: Story, patient: Registered) -> tuple[Place, Service, Test | None]:
        """Who performs, and for a test order which test."""
        if story.kind == "follow-up":
            return patient.place, patient.place.services[0], None
        if story.kind == "test-order":
            kind = IMAGING if story.imaging else LABORATORY
            return *next(self.departments[kind, story.outside]), next(self.tests[kind])
        if story.outside:
            return *next(self.outside), None
        return *self._clinic(patient), None

    def _clinic(self, patient: Registered) -> Offer:
        if patient.age < ADULT_AGE:
            return next(self.children)
        fitting = patient.person.gender == "female" and patient.age in CHILDBEARING_AGES
        unfit = {"paediatrics"} if fitting else {"paediatrics", "obstetrics"}
        return next(offer for offer in self.clinics if offer[1].specialty not in unfit)


def _services(places: tuple[Place, ...], kind: str) -> Iterator[Offer]:
    for place in places:
        for service in place.services:
            if service.kind == kind:
                yield place, service
