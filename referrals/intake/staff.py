"""A Practitioner at the door: one who is no longer active has work that must go to somebody (`referrals.leaving`)."""

from collections.abc import Iterable

from records import store
from records.access import Actor
from records.json import Resource
from records.store import Written
from referrals import leaving


def receive(
    practitioner: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep the Practitioner; raises `Conflict` for one of ours who still has open work."""
    written = store.write(practitioner, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if practitioner.get("active") is False:
        leaving.heard_inactive(written.id, actor)
    return written, None
