"""What happens to people and systems in the midst of the pathways, and what it does to all loops that it concerns.

`of_patient`, `of_encounter` and `of_directory` are what `referrals.intake` calls when such a resource has changed: each is a table of
questions (what has happened?) and answers. PATHWAYS §7.
"""

from collections.abc import Callable

from records.access import Actor
from records.json import Resource
from referrals.parties import local
from referrals.upheavals import death, discharge, duplicates, merge, moving

__all__ = ["DIRECTORY", "death", "duplicates", "merge", "of_directory", "of_encounter", "of_patient"]

Question = Callable[[Resource, Resource], bool]
Answer = Callable[[Resource, Actor], object]
GONE = frozenset({"off", "entered-in-error"})


def _has_died(before: Resource, now: Resource) -> bool:
    return death.is_flagged(now) and not death.is_flagged(before)


def _lives(before: Resource, now: Resource) -> bool:
    return death.is_flagged(before) and not death.is_flagged(now)


def _is_new(before: Resource, _now: Resource) -> bool:
    return not before


def _is_merged(before: Resource, now: Resource) -> bool:
    return bool(merge.replaced_by(now)) and merge.replaced_by(now) != merge.replaced_by(before)


def _is_apart(before: Resource, now: Resource) -> bool:
    return bool(merge.replaced_by(before)) and not merge.replaced_by(now)


def _is_inactive(before: Resource, now: Resource) -> bool:
    return now.get("active") is False and before.get("active") is not False


def _is_off(before: Resource, now: Resource) -> bool:
    return now.get("status") in GONE and before.get("status") not in GONE


PATIENT: tuple[tuple[Question, Answer], ...] = (
    (_is_apart, lambda patient, actor: merge.undo(patient["id"], actor)),
    (moving.has_moved, lambda patient, actor: moving.ask(patient["id"], actor)),
    (_is_merged, lambda patient, actor: merge.merge(patient["id"], merge.replaced_by(patient), actor)),
    (_is_new, lambda patient, actor: merge.gather(patient["id"], actor)),
    (_has_died, lambda patient, actor: death.report(patient["id"], actor)),
    (_lives, lambda patient, actor: death.refute(patient["id"], actor)),
)
"""In this order where one version says several: rows of loops are locked before patients (docs/decisions/0117)."""


def _endpoint(endpoint: Resource, actor: Actor) -> None:
    _type, organization = local(endpoint.get("managingOrganization"))
    if organization:
        moving.lose_endpoint(organization, actor, evidence=f"Endpoint/{endpoint['id']}")


DIRECTORY: dict[str, tuple[Question, Answer]] = {
    "Endpoint": (_is_off, _endpoint),
    "Organization": (
        _is_inactive,
        lambda one, actor: moving.lose_endpoint(one["id"], actor, evidence=f"Organization/{one['id']}"),
    ),
    "HealthcareService": (
        _is_inactive,
        lambda one, actor: moving.lose_service(one["id"], actor, evidence=f"HealthcareService/{one['id']}"),
    ),
}


def of_patient(before: Resource, now: Resource, actor: Actor) -> None:
    """Do what a new version of a Patient means; ``before`` is empty for a new one."""
    for has_happened, answer in PATIENT:
        if has_happened(before, now):
            answer(now, actor)
    duplicates.notice(before, now)


ENCOUNTER: tuple[tuple[Question, Answer], ...] = (
    (discharge.is_discharge, discharge.discharge),
    (discharge.is_readmission, discharge.readmit),
)


def of_encounter(before: Resource, now: Resource, actor: Actor) -> None:
    """Do what a new version of an Encounter means for what follows it."""
    for has_happened, answer in ENCOUNTER:
        if has_happened(before, now):
            answer(now, actor)


def of_directory(before: Resource, now: Resource, actor: Actor) -> None:
    """Do what a new version of an entry of the directory means."""
    has_happened, answer = DIRECTORY[now["resourceType"]]
    if has_happened(before, now):
        answer(now, actor)
