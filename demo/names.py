"""Invented people: names in three scripts, birth dates and addresses, from a seed and nothing else."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from faker import Faker

LOCALES = {"en": "en_US", "es": "es_MX", "ru": "ru_RU"}
# Given and family names that certainly carry accents, so that a small demo has some too.
ACCENTED = (("José", "Núñez"), ("María", "Hernández"), ("Sofía", "Ibáñez"), ("Andrés", "Peña"), ("Lucía", "Gómez"))
YOUNGEST_BORN_BEFORE = date(2025, 6, 1)
YOUNGEST_DAYS, OLDEST_DAYS = 365, 92 * 365


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who doesn't exist; ``language`` is a BCP-47 code and decides the script of the name."""

    language: str
    gender: str
    given: tuple[str, ...]
    family: str
    birth_date: date
    street: str

    def human_name(self, *prefixes: str) -> dict[str, Any]:
        """The official name as a FHIR HumanName."""
        name: dict[str, Any] = {"use": "official", "family": self.family, "given": list(self.given)}
        return name | ({"prefix": list(prefixes)} if prefixes else {})

    @property
    def display(self) -> str:
        """The name in one line."""
        return f"{self.given[0]} {self.family}"


class People:
    """A source of people that gives the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.fakers = {language: Faker(locale) for language, locale in LOCALES.items()}
        for faker in self.fakers.values():
            faker.seed_instance(seed)

    def person(self, language: str, min_age_days: int = YOUNGEST_DAYS, max_age_days: int = OLDEST_DAYS) -> Person:
        """The next person who speaks this language."""
        gender = self.random.choice(("female", "male"))
        given, family = self._name(language, gender)
        age = timedelta(days=self.random.randint(min_age_days, max_age_days))
        street = f"{self.random.randint(1, 240)} {self.fakers['en'].street_name()}"
        return Person(language, gender, given, family, YOUNGEST_BORN_BEFORE - age, street)

    def _name(self, language: str, gender: str) -> tuple[tuple[str, ...], str]:
        faker = self.fakers[language]
        given = faker.first_name_female() if gender == "female" else faker.first_name_male()
        if language == "ru":
            middle = faker.middle_name_female() if gender == "female" else faker.middle_name_male()
            return (given, middle), faker.last_name_female() if gender == "female" else faker.last_name_male()
        if language == "es":
            first, family = self.random.choice(ACCENTED)
            return (first if self.random.random() < 0.2 else given,), f"{family} {faker.last_name()}"
        return (given,), faker.last_name()
