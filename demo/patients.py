"""The patients of the practices, with names in Latin, Spanish and Cyrillic script."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from django.conf import settings

from demo.directory import LANGUAGE_NAMES, concept, reference
from demo.names import YOUNGEST_BORN_BEFORE, People, Person
from demo.region import PRACTICES, Place
from demo.staff import Employee
from records import clock
from records.json import Resource

# Every third language in turn, so that each script is there however few the patients are.
SCRIPTS = ("en", "es", "ru", "en", "es", "en")
FIRST_REGISTRATION = datetime(2024, 1, 8, 9, 0, tzinfo=UTC)
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


@dataclass(frozen=True, slots=True)
class Registered:
    """A patient of a practice."""

    id: str
    place: Place
    person: Person
    body: Resource

    @property
    def age(self) -> int:
        """About how many years old the patient was when the demo begins."""
        return (YOUNGEST_BORN_BEFORE - self.person.birth_date).days // 365


def register(people: People, staff: list[Employee], count: int, seed: int) -> list[Registered]:
    """``count`` patients, shared out among the practices; the ids depend on the seed and the order alone."""
    doctors = {employee.place.id: employee for employee in staff if employee.post == "doctor"}
    return [
        _register(number, people.person(SCRIPTS[number % len(SCRIPTS)]), place, doctors[place.id], seed)
        for number, place in zip(range(count), _practices(), strict=False)
    ]


def _practices() -> Iterator[Place]:
    """The practices in an order in which each gets patients of every script."""
    number = 0
    while True:
        yield PRACTICES[(number + number // len(PRACTICES)) % len(PRACTICES)]
        number += 1


def _register(number: int, person: Person, place: Place, doctor: Employee, seed: int) -> Registered:
    with clock.at(FIRST_REGISTRATION + timedelta(hours=number), Random(f"{seed} patient {number}")):
        id_ = clock.new_id()
    return Registered(id_, place, person, _body(id_, number, person, place, doctor))


def _body(id_: str, number: int, person: Person, place: Place, doctor: Employee) -> Resource:
    body: dict[str, Any] = {
        "resourceType": "Patient",
        "id": id_,
        "identifier": [
            {
                "use": "usual",
                "type": concept("MR", "Medical record number", IDENTIFIER_TYPE),
                "system": f"{settings.BATON_BASE_URL}/id/mrn/{place.id}",
                "value": f"{place.short[0].upper()}{100000 + number * 7}",
                "assigner": reference("Organization", place.id, place.name),
            }
        ],
        "active": True,
        "name": [person.human_name()],
        "telecom": [{"system": "phone", "value": f"+1 555 01{number % 100:02d}", "use": "mobile"}],
        "gender": person.gender,
        "birthDate": person.birth_date.isoformat(),
        "address": [{"use": "home", "line": [person.street], "city": place.city, "country": "US"}],
        "communication": [
            {
                "language": concept(person.language, LANGUAGE_NAMES[person.language], "urn:ietf:bcp:47"),
                "preferred": True,
            }
        ],
        "generalPractitioner": [reference("Practitioner", doctor.practitioner, doctor.display)],
        "managingOrganization": reference("Organization", place.id, place.name),
    }
    if number % 3 == 0:
        body["telecom"].append({"system": "email", "value": f"patient{number}@example.org", "use": "home"})
    return body
