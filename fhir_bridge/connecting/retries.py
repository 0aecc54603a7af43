"""What follows from an answer, or from none: one table and one pure function.

Transients are tried for ever with a growing pause; they become visible work by their age, not by a count. What a
person must look at stops at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fhir_bridge.models import Link
from records import errors
from records.json import Resource

Then = Literal["retry", "look-up", "merge", "stop", "pause-partner"]

MERGE_TRIES = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 900.0
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
RECHECK_SECONDS = 86_400.0
"""A consent may end by its own period: so often it is looked at again, without asking the partner anything."""


# Minutes until what can't be read, and is known by its name alone, is asked for again: after so many tries, and from then on
# hourly, after a day daily. Something that is too big is not fetched in each round.
NAME_PAUSES = (0, 1, 5, 5, 5, 15, 15, 30)
HOURLY_TRIES = 24


class Unreachable(errors.Unavailable):
    """The request certainly never arrived: no connection, no name, no TLS."""


class Unreadable(errors.Unavailable):
    """An answer came that is not FHIR, is too big, or is for something else; what happened there is unknown."""


class Failed(errors.Unavailable):
    """It is there, and failed over what it was asked for (a status of 5xx); over something else it may not."""


class Mistaken(Unreadable):
    """A creation was answered with something that isn't what was created."""


class Distorted(Mistaken):
    """What was created is kept otherwise than it was sent, and without our identifier; ``found`` is what is there."""

    def __init__(self, message: str, found: Resource) -> None:
        super().__init__(message)
        self.found = found


class Waiting(errors.BatonError):
    """What this one refers to has to exist first; not a failure."""


class Clash(errors.Conflict):
    """Both sides changed what only a person can decide."""


# The partner as a whole can't be asked now: nothing is wrong with what was asked for
AWAY = (Unreachable, errors.Throttled, errors.Unauthenticated)


class Withheld(errors.Forbidden):
    """A consent of the patient denies it to the partner; nothing was asked of anybody."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one category of error means for a write: the link's state, and what is done then."""

    state: Link.State
    then: Then


@dataclass(frozen=True, slots=True)
class Verdict:
    """The link's next state; ``pause_seconds`` None = not by itself; ``is_attempt`` False = the try doesn't count."""

    state: Link.State
    then: Then
    pause_seconds: float | None
    is_attempt: bool = True


# the most specific class first; the first that fits rules
RULES: Mapping[type[errors.BatonError], Rule] = {
    Unreachable: Rule(Link.State.WANTED, "retry"),
    errors.Throttled: Rule(Link.State.WANTED, "retry"),
    errors.Unavailable: Rule(Link.State.UNKNOWN, "look-up"),
    errors.Unauthenticated: Rule(Link.State.WANTED, "pause-partner"),
    Clash: Rule(Link.State.CONFLICT, "stop"),
    Withheld: Rule(Link.State.HELD, "stop"),
    errors.Stale: Rule(Link.State.WANTED, "merge"),
    errors.Conflict: Rule(Link.State.WANTED, "merge"),
    errors.Gone: Rule(Link.State.GONE, "stop"),
    errors.NotFound: Rule(Link.State.GONE, "stop"),
    errors.BatonError: Rule(Link.State.STUCK, "stop"),
}


def decide(error: errors.BatonError, attempts: int, *, was_unknown: bool = False) -> Verdict:
    """What to do after ``error``, with ``attempts`` failed tries before this one.

    ``was_unknown``: the outcome of an earlier try is still open, so a transient error leaves it open.
    """
    rule = next(rule for kind, rule in RULES.items() if isinstance(error, kind))
    state = Link.State.UNKNOWN if was_unknown and rule.state == Link.State.WANTED else rule.state
    if isinstance(error, errors.Throttled):
        pause = min(max(error.retry_after, 1.0), LONGEST_RETRY_AFTER_SECONDS)
        return Verdict(state, rule.then, pause, is_attempt=False)
    if rule.then == "merge":
        if attempts + 1 >= MERGE_TRIES:
            return Verdict(Link.State.CONFLICT, "stop", None)
        return Verdict(Link.State.UNKNOWN if was_unknown else Link.State.WANTED, "merge", 0.0)
    if rule.then == "stop":
        return Verdict(state, rule.then, RECHECK_SECONDS if isinstance(error, Withheld) else None)
    return Verdict(state, rule.then, pause_after(attempts))


def pause_after(attempts: int) -> float:
    """Seconds until the next try after ``attempts`` failed ones before this: 5 s, doubling, at most 15 min."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), LONGEST_PAUSE_SECONDS))


def pause_of_name(tries: int) -> float:
    """Seconds until what can't be read is asked for once more, after ``tries`` that failed."""
    if tries <= len(NAME_PAUSES):
        return NAME_PAUSES[max(tries, 1) - 1] * 60.0
    return 3600.0 if tries <= len(NAME_PAUSES) + HOURLY_TRIES else 86_400.0
