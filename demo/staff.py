"""The forty practitioners of the region: who they are, which post they hold, and what their sign-in is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice

from demo.names import People, Person
from demo.region import HOSPITALS, OURS, Place

ADULT_DAYS, RETIREMENT_DAYS = 27 * 365, 66 * 365
# What a post may do: words of `referrals.people.ROLES`.
ROLES = {
    "doctor": frozenset({"practitioner"}),
    "coordinator": frozenset({"coordinator"}),
    "supervisor": frozenset({"practitioner", "coordinator", "supervisor"}),
}


@dataclass(frozen=True)
class Employee:
    """One member of staff. ``post`` is doctor, coordinator or supervisor; ``specialty`` a key of SPECIALTIES."""

    username: str
    place: Place
    post: str
    specialty: str
    person: Person

    @cached_property
    def practitioner(self) -> str:
        """The id of the Practitioner (and, with ``-role``, of the PractitionerRole) that stands for them."""
        return self.username.replace(".", "-")

    @cached_property
    def is_clinician(self) -> bool:
        """Whether they order and review."""
        return self.post != "coordinator"

    @cached_property
    def display(self) -> str:
        """How they are called on the screen."""
        return f"Dr {self.person.display}" if self.is_clinician else self.person.display


def employ(people: People) -> list[Employee]:
    """Everybody who works in the region, in a fixed order."""
    return [
        Employee(username, place, post, specialty, people.person(language, ADULT_DAYS, RETIREMENT_DAYS))
        for place in OURS
        for (username, post, specialty), language in zip(_posts(place), cycle(place.languages), strict=False)
    ]


def _posts(place: Place) -> Iterator[tuple[str, str, str]]:
    """(user name, post, specialty) of each post at a place; a hospital's doctors share out its specialties."""
    specialties = list(dict.fromkeys(service.specialty for service in place.services))
    for number, specialty in enumerate(islice(cycle(specialties), place.doctors), 1):
        yield f"{place.short}.doctor{number if number > 1 else ''}", "doctor", specialty
    yield f"{place.short}.supervisor", "supervisor", specialties[-1 if place in HOSPITALS else 0]
    yield f"{place.short}.coordinator", "coordinator", specialties[0]
