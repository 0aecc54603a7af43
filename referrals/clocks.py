"""Setting a handoff's clock when it comes to a stage: where it starts, what it is stopped for, and when it runs out."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from referrals.deadlines import Rules, rules_of
from referrals.models import RANK, Handoff, Loop, Owner

# Stages whose clock starts when the appointment ends.
APPOINTED = frozenset({"scheduled", "booked", "collection-booked"})
# Stages that are due at the date by which the request itself is needed, when it names one.
NEEDED = frozenset({"planned", "ordered"})
STOPPED = "awaiting-information"


class Clocks:
    """The rules of the organisations that one piece of work needs, read once."""

    def __init__(self) -> None:
        self._rules: dict[str, Rules] = {}

    def learn(self, *owners: Owner | None) -> None:
        """Read the rules of these owners' organisations in one statement, but for those known already."""
        missing = {owner.organization for owner in owners if owner is not None} - self._rules.keys()
        if missing:
            self._rules |= rules_of(missing)

    def of(self, handoff: Handoff, loop: Loop) -> Rules:
        """The owner's organisation's; those of the accountable pool when the owner works elsewhere."""
        owner = handoff.owner if handoff.owner.internal else loop.accountable
        self.learn(owner)
        return self._rules[owner.organization]

    def start(self, handoff: Handoff, loop: Loop, at: datetime, data: Mapping[str, Any]) -> None:
        """Set the clock of a handoff that has come to its stage ``at`` that instant."""
        start = _starting(handoff, loop, at, data)
        own = "own" if handoff.owner.organization == loop.placer else ""
        action = "action" if data.get("patient_has_to_act") else ""
        levels = (data.get("severity", ""), action, loop.priority, own)
        due = self.of(handoff, loop).due(loop.kind, handoff.kind, handoff.stage, levels, start)
        if handoff.stage in NEEDED and loop.needed_by is not None:
            due = loop.needed_by
        handoff.paused_seconds = None
        is_booked = handoff.stage in APPOINTED
        handoff.slot_start_at = data.get("slot_start") if is_booked else None
        handoff.slot_end_at = start if is_booked else None
        _set(handoff, at, due)

    def stop(self, handoff: Handoff, loop: Loop, at: datetime, before: str) -> None:
        """Stop the clock while information is awaited: due when that is, plus the time that was left (PATHWAYS §3).

        ``before`` is the stage in which it was asked for. The answer is due by the referrer's own working days.
        """
        left = max(handoff.due_at - at, timedelta())
        referrer = loop.responsible or loop.accountable
        self.learn(referrer)
        rules = self._rules[referrer.organization]
        answer = rules.due(loop.kind, "provide-information", "asked", (loop.priority,), at)
        handoff.paused_seconds, handoff.paused_stage = int(left.total_seconds()), before
        _set(handoff, at, answer + left)

    def hurry(self, handoff: Handoff, due_by: datetime) -> None:
        """Let a handoff that replaces another be due no later than that one was."""
        if due_by < handoff.due_at:
            _set(handoff, handoff.stage_since, due_by)

    def revise(self, handoff: Handoff, loop: Loop, before: str) -> None:
        """Let an open handoff be as urgent as its loop is now, which had the priority ``before``.

        Its clock started when it did. What is due by an appointment, or waits for an answer, stays so.
        """
        as_before = handoff.priority_rank == RANK[before]
        handoff.priority_rank = RANK[loop.priority] if as_before else min(handoff.priority_rank, RANK[loop.priority])
        handoff.needed_by = loop.needed_by if handoff.kind == "fulfil" else None
        if handoff.stage in APPOINTED or handoff.stage == STOPPED:
            return
        due = self._due(handoff, loop, loop.priority)
        if handoff.stage in NEEDED and loop.needed_by is not None:
            due = loop.needed_by
        elif due == self._due(handoff, loop, before):
            return
        if due != handoff.due_at:
            _set(handoff, handoff.stage_since, due)

    def _due(self, handoff: Handoff, loop: Loop, priority: str) -> datetime:
        own = "own" if handoff.owner.organization == loop.placer else ""
        rules = self.of(handoff, loop)
        return rules.due(loop.kind, handoff.kind, handoff.stage, (priority, own), handoff.stage_since)

    def resume(self, handoff: Handoff, at: datetime) -> None:
        """Let a stopped clock run on with the time that was left."""
        left = timedelta(seconds=handoff.paused_seconds or 0)
        handoff.paused_seconds = None
        _set(handoff, at, at + left)


def _starting(handoff: Handoff, loop: Loop, at: datetime, data: Mapping[str, Any]) -> datetime:
    if handoff.stage in APPOINTED:
        return data.get("slot_end") or at
    if handoff.kind == "contact-patient" and loop.kind == "follow-up" and loop.window_start_at is not None:
        return max(loop.window_start_at, at)
    return at


def _set(handoff: Handoff, since: datetime, due: datetime) -> None:
    """The due time, the middle of the time until then, and a fresh start of the escalation."""
    handoff.stage_since = since
    handoff.due_at = due
    handoff.half_due_at = since + max(due - since, timedelta()) / 2 if due > since else due
    handoff.escalate_at = due
    handoff.escalation_level = 0
