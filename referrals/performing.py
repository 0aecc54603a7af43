"""Which performer's part of a loop something is about, and who is asked once more for what was to come of it."""

from referrals import people
from referrals.models import Handoff, Owner


def part_of(handoff: Handoff) -> Handoff | None:
    """The performer's part that a handoff is, or was opened by; None for what is about the whole loop."""
    about = handoff if handoff.kind == "fulfil" else handoff.opened_by
    return about if about is not None and about.kind == "fulfil" else None


def asked(part: Handoff) -> Owner:
    """Who was asked to perform it: its owner, or the pool from which one of its people has taken it."""
    is_taken = part.owner.kind == Owner.Kind.PERSON and part.owner.internal
    return people.pool_of(part) if is_taken else part.owner
