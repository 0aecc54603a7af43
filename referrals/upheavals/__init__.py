"""What happens to people and systems in the midst of the pathways, and what it does to all loops that it concerns.

`of_patient`, `of_practitioner` and `of_system` are what `referrals.intake` calls when such a resource has changed: each
is a table of questions (what has happened?) and answers. PATHWAYS §7.
"""

from collections.abc import Callable

from records.access import Actor
from records.json import Resource
from referrals.upheavals import death

__all__ = ["death", "of_patient"]

Question = Callable[[Resource, Resource], bool]
Answer = Callable[[str, Actor], object]


def _has_died(before: Resource, now: Resource) -> bool:
    return death.is_flagged(now) and not death.is_flagged(before)


def _lives(before: Resource, now: Resource) -> bool:
    return death.is_flagged(before) and not death.is_flagged(now)


PATIENT: tuple[tuple[Question, Answer], ...] = (
    (_has_died, death.report),
    (_lives, death.refute),
)


def of_patient(before: Resource, now: Resource, actor: Actor) -> None:
    """Do what a new version of a Patient means; ``before`` is empty for a new one."""
    for has_happened, answer in PATIENT:
        if has_happened(before, now):
            answer(now["id"], actor)
