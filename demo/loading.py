"""Loads the region in one transaction: all of it is there, or nothing.

Everything that is random comes from the seed, and every time from ``at``; the same two give the same ids and rows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle, groupby
from operator import itemgetter
from random import Random

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from demo import accounts, directory
from demo.casting import how_many, parts
from demo.contents import TESTS
from demo.names import People
from demo.patients import Registered, register
from demo.playing import Playing
from demo.region import HOSPITALS, OURS, PLACES
from demo.staff import Employee, employ
from demo.stories import STRAYS
from records import clock, store
from records.access import SYSTEM
from records.json import Resource
from records.models import Tenant
from records.types import row_class
from referrals.vocabulary import Words

FOUNDED_AT = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate: how many patients, from which seed, and the instant that counts as now.

    ``most_loops`` are enough where not every stage is needed; None is as many as show every one.
    """

    patients: int
    seed: int
    at: datetime
    most_loops: int | None = None

    @property
    def loops(self) -> int:
        """How many loops there will be, apart from those around results that name no order."""
        return how_many(self.patients) if self.most_loops is None else self.most_loops


@dataclass(frozen=True, slots=True)
class Region:
    """What was generated, for the stories to be played in."""

    plan: Plan
    staff: dict[str, Employee]
    patients: list[Registered]
    random: Random = field(repr=False)


def steps(plan: Plan) -> list[tuple[str, Words, int]]:
    """The steps of `load` in order, as (name, words for the screen, how much there is to do)."""
    services = sum(len(place.services) for place in PLACES)
    departments = sum(len({service.specialty for service in place.services}) for place in PLACES if place.is_hospital)
    posts = sum(place.doctors + 2 for place in OURS)
    return [
        ("directory", _("Directory"), 2 * len(PLACES) + departments + services + 2 * posts),
        ("accounts", _("Accounts"), posts),
        ("patients", _("Patients"), plan.patients),
        ("loops", _("Loops"), plan.loops + len(STRAYS) + 1),
    ]


def is_loaded() -> bool:
    """Whether this database holds the demo."""
    return Tenant.objects.filter(organization=HOSPITALS[0].id).exists()


def holds_other_data() -> bool:
    """Whether this database holds organisations or patients of somebody else."""
    return any(row_class(type_).rows(type_).exists() for type_ in ("Organization", "Patient")) and not is_loaded()


@transaction.atomic
def load(plan: Plan, progress: Progress) -> Region:
    """Generate the region; ``progress(step, resources)`` hears of each step as it is done."""
    random = Random(plan.seed)
    people = People(plan.seed)
    staff = employ(people)
    patients = register(people, staff, plan.patients, plan.seed)
    with clock.at(FOUNDED_AT, random):
        Tenant.objects.bulk_create(Tenant(organization=place.id, name=place.name) for place in OURS)
        _write("directory", _directory(staff), progress)
        users = accounts.open_accounts(staff)
        accounts.open_pools(users)
        accounts.keep_calendars()
        progress("accounts", len(users))
        for place in OURS:
            _write("patients", [one.body for one in patients if one.place == place], progress, place.id)
    playing = Playing(staff, random)
    for part in parts(patients, plan.at, random, plan.loops):
        playing.play(part)
        progress("loops", 1)
    for (severity, hours), patient, test in zip(STRAYS, cycle(patients), TESTS, strict=False):
        playing.stray(patient, test, severity, plan.at - timedelta(hours=hours))
        progress("loops", 1)
    playing.decease(patients[0], plan.at - timedelta(hours=3))
    progress("loops", 1)
    return Region(plan, {employee.username: employee for employee in staff}, patients, random)


def _directory(staff: list[Employee]) -> list[Resource]:
    return [
        *directory.organizations(),
        *directory.locations(),
        *directory.services(),
        *directory.practitioners(staff),
        *directory.roles(staff),
    ]


def _write(step: str, bodies: Iterable[Resource], progress: Progress, *audience: str) -> None:
    """Store resources, type by type in the given order, visible to the audience beside what the policies allow."""
    for _kind, same in groupby(bodies, key=itemgetter("resourceType")):
        written = store.write_many(list(same), actor=SYSTEM, audience=audience)
        progress(step, len(written))
