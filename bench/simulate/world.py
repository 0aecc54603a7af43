"""The regions of a simulation: organisations, people and patients, for the product and, as plain facts, for the oracle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from bench.oracle import House, Oracle
from records import store
from records.access import SYSTEM, Actor
from records.json import Resource
from records.models import Tenant
from referrals import people
from referrals.models import Calendar, Membership, Owner, Pool, User

START = datetime(2026, 1, 5, tzinfo=UTC)
PATIENTS_PER_WRITE = 500

# Public holidays of the United States as they fall, observed ones too; the product takes them from a calendar package.
HOLIDAYS_US = frozenset(
    date.fromisoformat(day)
    for day in [
        "2026-01-01",
        "2026-01-19",
        "2026-02-16",
        "2026-05-25",
        "2026-06-19",
        "2026-07-03",
        "2026-07-04",
        "2026-09-07",
        "2026-10-12",
        "2026-11-11",
        "2026-11-26",
        "2026-12-25",
        "2027-01-01",
        "2027-01-18",
        "2027-02-15",
        "2027-05-31",
    ]
)


@dataclass(frozen=True, slots=True)
class Site:
    """An organisation of a region: where it is, whether it works in Baton, and how many of its people do what."""

    name: str
    zone: str
    country: str = ""
    ours: bool = True
    doctors: int = 3
    coordinators: int = 2


SITES = (
    Site("oak", "America/New_York", "US"),
    Site("elm", "Europe/Berlin"),
    Site("hospital", "America/Chicago", "US", coordinators=3),
    Site("clinic", "America/New_York", ours=False),
    Site("laboratory", "America/New_York", ours=False),
)
# Who is away, stands in for others, and leaves, by the number of the doctor.
STAND_IN_FOR_EACH_OTHER, LEAVER = (0, 1), 2
DISCHARGING = "d1"
PLACERS = ("oak", "elm")
# Where every third patient has a clinician of their own, and of every third nobody knows one.
OWN_CLINICIAN = ("oak", "elm", "")
PERFORMERS = {"referral": ("hospital", "clinic"), "test-order": ("hospital", "laboratory")}


@dataclass(slots=True)
class Person:
    """Somebody who signs in: their name, their place, and what they do there."""

    name: str
    site: str
    post: str
    actor: Actor

    @property
    def word(self) -> str:
        """How the oracle calls their list."""
        return f"{self.site}/{self.name}"


@dataclass(slots=True)
class World:
    """Everybody, by name; ``viewers`` are the oracle's words for the lists by the ids of their
    `Owner` rows, ``sites`` the same by organisation, ``clinicians`` those of who looks after a patient.
    ``upheavals``: how often something has happened to people.
    """

    people: dict[str, Person] = field(default_factory=dict)
    patients: dict[str, list[str]] = field(default_factory=dict)
    viewers: dict[int, str] = field(default_factory=dict)
    sites: dict[str, list[str]] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    partners: dict[str, Actor] = field(default_factory=dict)
    clinicians: dict[str, str] = field(default_factory=dict)
    upheavals: int = 0

    def at(self, site: str, post: str) -> list[Person]:
        """Who does that at a place."""
        return [one for one in self.people.values() if one.site == site and one.post == post]

    def dismiss(self, person: Person) -> None:
        """Somebody works there no more."""
        del self.people[person.name]
        self.sites[person.site].remove(person.word)

    def readers(self, viewer: str) -> list[Person]:
        """Who reads a list: the person, or everybody who works in the pool."""
        site, _slash, name = viewer.partition("/")
        if name == "pool":
            return [*self.at(site, "coordinator"), *self.at(site, "supervisor")]
        return [self.people[name]]


def found(oracle: Oracle, regions: Sequence[str], patients: int) -> World:
    """Write the regions of these names into the database and tell the oracle the same facts."""
    world = World()
    for region in regions:
        for site in SITES:
            _found_site(world, oracle, site, f"{region}-{site.name}")
        world.patients[region] = [f"{region}-p{number}" for number in range(patients)]
        for number, patient in enumerate(world.patients[region]):
            home = OWN_CLINICIAN[number % len(OWN_CLINICIAN)]
            world.clinicians |= {patient: f"{region}-{home}/{region}-{home}-d0"} if home else {}
        _register(world, region, [f"{region}-{site.name}" for site in SITES if site.ours])
    return world


def _found_site(world: World, oracle: Oracle, site: Site, name: str) -> None:
    _keep({"resourceType": "Organization", "id": name, "name": name})
    holidays = HOLIDAYS_US if site.country == "US" else frozenset()
    supervisor = f"{name}/{name}-boss" if site.ours else ""
    oracle.houses[name] = House(site.zone, holidays, site.ours, supervisor)
    if not site.ours:
        world.owners[f"{name}/"] = people.owner_for("organisation", name, organization=name, name=name)
        world.partners[name] = Actor(id=f"partner:{name}", kind="partner", display=name, organization=name)
        return
    Tenant.objects.create(organization=name, name=name)
    Calendar.objects.create(organization=name, time_zone=site.zone, country=site.country)
    boss = _hire(world, name, "boss", "supervisor", "practitioner", "supervisor")
    team = [_hire(world, name, f"c{number}", "coordinator", "coordinator") for number in range(site.coordinators)]
    for number in range(site.doctors):
        _hire(world, name, f"d{number}", "doctor", "practitioner")
    pool = people.create_pool(name, f"{name} pool", is_default=True, members=[*team, boss])
    Pool.objects.filter(pk=pool.pk).update(supervisor=world.owners[f"{name}/{name}-boss"])
    _list(world, f"{name}/pool", pool.owner)


def _hire(world: World, site: str, name: str, post: str, *roles: str) -> User:
    full = f"{site}-{name}"
    user = User.objects.create(username=full, first_name=full, practitioner=full)
    Membership.objects.create(user=user, organization=site, roles=list(roles))
    _keep({"resourceType": "Practitioner", "id": full, "name": [{"text": full}]})
    world.people[full] = Person(full, site, post, people.actor_for(user))
    _list(world, f"{site}/{full}", people.owner_for("person", full, organization=site, name=full))
    return user


def _list(world: World, viewer: str, owner: Owner) -> None:
    world.owners[viewer] = owner
    world.viewers[owner.pk] = viewer
    world.sites.setdefault(viewer.partition("/")[0], []).append(viewer)


def _register(world: World, region: str, organizations: list[str]) -> None:
    names = world.patients[region]
    for first in range(0, len(names), PATIENTS_PER_WRITE):
        bodies: list[Resource] = [
            {"resourceType": "Patient", "id": name, "name": [{"text": name}], **_clinician(world.clinicians.get(name))}
            for name in names[first : first + PATIENTS_PER_WRITE]
        ]
        store.write_many(bodies, actor=SYSTEM, audience=organizations)


def _clinician(word: str | None) -> Resource:
    return {"generalPractitioner": [{"reference": f"Practitioner/{word.partition('/')[2]}"}]} if word else {}


def _keep(resource: Resource) -> None:
    store.write(resource, actor=SYSTEM, validate=False)
