"""What becomes of the requests that Baton has placed itself, as a step leaves their loop: one table (PATHWAYS §1).

Where an EHR is the placer the same points are proposed to it (`referrals.pathways.parts.propose`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from referrals import performing
from referrals.asking import last_request
from referrals.conditions import is_of_the_dead
from referrals.lifecycle import Decision
from referrals.models import Handoff, Loop
from referrals.particulars import request_of
from referrals.pathways import REASONS
from referrals.pathways.stages import OUTCOMES
from referrals.projection import PROPOSED

_PERFORMING = frozenset({"dispatch", "fulfil", "recollect"})
_UNDECIDED = _PERFORMING | {"decide-next-step"}
# Where nothing had come of it yet, so that it may never have been (else it is as revoked).
_UNTOUCHED = frozenset({"withdrawn", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Step:
    """A decision that has been done: the loop and what was or is open in it, as that leaves them.

    ``is_placers``: whoever acts may speak for the placer. ``was_reported``: a report stood before it.
    """

    loop: Loop
    handoff: Handoff
    decision: Decision
    handoffs: Sequence[Handoff]
    is_placers: bool
    was_reported: bool

    def has_open(self, request: str, kinds: frozenset[str] = _PERFORMING) -> bool:
        """Whether something of these kinds is open under that request."""
        return any(one.is_open and one.kind in kinds and request_of(one, self.loop) == request for one in self.handoffs)

    @property
    def is_end(self) -> bool:
        """Whether it ends what was asked for, or what is ours of it."""
        return bool({"ended", "died"} & self.decision.transition.sets)


def settled(step: Step) -> dict[str, str]:
    """What the loop's requests are to say from now on, by their reference; only what the step is about is there."""
    found: dict[str, str] = {}
    for status, requests in SETTLED:
        for request in requests(step) if step.loop.request_reference else ():
            found.setdefault(request, status)
    return found


def is_reported(loop: Loop, handoffs: Iterable[Handoff]) -> bool:
    """Whether a report of the loop stands, among what is open in it: it is to be read, or was acknowledged."""
    return loop.acknowledged_at is not None or any(one.kind == "review-report" for one in handoffs)


def _held(step: Step) -> Iterable[str]:
    """Its placer puts it on hold; a performer that holds its own part says nothing about the request."""
    proposed = {PROPOSED[one.stage] for one in step.decision.transition.opens if one.handoff == "propose-change"}
    return [request_of(step.handoff, step.loop)] if step.is_placers and "on-hold" in proposed else ()


def _taken_up(step: Step) -> Iterable[str]:
    """What was to be decided is, and it goes on; or its report was void, and it isn't carried out after all."""
    requests = {request_of(one, step.loop) for one in step.handoffs if _is_decided(one, step) or _is_asked(one, step)}
    going_on = [one for one in sorted(requests) if step.has_open(one)]
    return [*going_on, *_voided(step)]


def _is_decided(one: Handoff, step: Step) -> bool:
    return one.kind == "decide-next-step" and not one.is_open and one.id in step.decision.stages


def _is_asked(one: Handoff, step: Step) -> bool:
    """Whether somebody was asked to perform it in this step, by what was decided."""
    return one.kind == "fulfil" and one.opened_by_id == step.handoff.id and step.handoff.kind == "decide-next-step"


def _voided(step: Step) -> Iterable[str]:
    if "withdrawn" not in step.decision.transition.sets:
        return ()
    part = performing.part_of(step.handoff)
    request = request_of(part, step.loop) if part else last_request(step.loop)
    # Nobody does anything to the dead any more.
    return [request] if step.has_open(request) or not is_of_the_dead(step.loop) else ()


def _carried_out(step: Step) -> Iterable[str]:
    """It has its outcome, and nobody performs it any more."""
    handoff, sets = step.handoff, step.decision.transition.sets
    has_report = handoff.kind == "fulfil" and step.decision.data.get("report") and handoff.stage in OUTCOMES
    reported = [request_of(handoff, step.loop)] if has_report or "carried-out" in sets else []
    others = [one for one, stages in _parts(step) if stages & OUTCOMES] if step.is_end and step.was_reported else []
    return [one for one in (*reported, *others) if not step.has_open(one)]


def _erased(step: Step) -> Iterable[str]:
    why = REASONS.get(step.decision.reason_code)
    is_error = why is not None and why.loop_end == "entered-in-error" and step.handoff.stage in _UNTOUCHED
    return _ended(step) if is_error else ()


def _ended(step: Step) -> Iterable[str]:
    """Nobody performs it, and nobody has to decide any more who does."""
    parts = _parts(step) if step.is_end else ()
    return [request for request, _stages in parts if not step.has_open(request, _UNDECIDED)]


def _parts(step: Step) -> Iterable[tuple[str, frozenset[str]]]:
    """The loop's requests, each with the stages of whoever was asked to perform it."""
    asked = {one.id: one for one in step.loop.handoffs.filter(kind__in=_PERFORMING)}
    asked |= {one.id: one for one in step.handoffs if one.kind in _PERFORMING}
    requests = {step.loop.request_reference, *(request_of(one, step.loop) for one in asked.values())}
    for request in sorted(requests):
        under = [one for one in asked.values() if one.kind == "fulfil" and request_of(one, step.loop) == request]
        yield request, frozenset(one.stage for one in under)


SETTLED: tuple[tuple[str, Callable[[Step], Iterable[str]]], ...] = (
    ("on-hold", _held),
    ("active", _taken_up),
    ("completed", _carried_out),
    ("entered-in-error", _erased),
    ("revoked", _ended),
)
"""The status of a request, and of which ones a step says so; what comes first stands."""
