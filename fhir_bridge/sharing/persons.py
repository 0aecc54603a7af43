"""Whether two Patients that share an identifier can be one person: a family number, or one that was typed wrong, is no proof."""

from collections import defaultdict

from fhir_bridge.sharing.addressees import identifiers
from records.json import Resource


def is_another(one: Resource, other: Resource) -> bool:
    """Whether they are two for sure: another number of the same numbering, and another day of birth."""
    return _is_numbered_otherwise(one, other) and _is_born_otherwise(one, other)


def is_doubtful_pair(one: Resource, other: Resource) -> bool:
    """Whether one thing says that they are two, so that a person has to look."""
    return _is_numbered_otherwise(one, other) or _is_born_otherwise(one, other)


def _is_numbered_otherwise(one: Resource, other: Resource) -> bool:
    """Whether both have numbers of some numbering, and none of them in common."""
    first, second = _numbers(one), _numbers(other)
    return any(first[system].isdisjoint(second[system]) for system in first.keys() & second.keys())


def _numbers(patient: Resource) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for system, value in identifiers(patient) if patient.get("resourceType") == "Patient" else ():
        found[system].add(value)
    return found


def _is_born_otherwise(one: Resource, other: Resource) -> bool:
    """Whether both say when they were born, as exactly as the less exact of the two, and it differs."""
    first, second = (str(each.get("birthDate") or "") for each in (one, other))
    exact = min(len(first), len(second))
    return first[:exact] != second[:exact]
