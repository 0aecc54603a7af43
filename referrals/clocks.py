"""Setting a handoff's clock when it comes to a stage: where it starts, what it is stopped for, and when it runs out."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from records import clock
from referrals.deadlines import Rules, rules_of
from referrals.models import RANK, Handoff, Loop, Owner

# Stages whose clock starts when the appointment ends.
APPOINTED = frozenset({"scheduled", "booked", "collection-booked"})
# Stages that are due at the date by which the request itself is needed, when it names one; else their clock starts no
# earlier than the time from which it is wanted.
NEEDED = frozenset({"planned", "ordered"})
# What the placer of a loop may change while it is open.
WISHES = ("priority", "window_start_at", "needed_by")
STOPPED = "awaiting-information"
RETURNING = frozenset({STOPPED, "referral-proposed"})
"""From here something may go on at the stage that it came from."""


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

    def zone_of(self, handoff: Handoff, loop: Loop) -> tzinfo:
        """Where the days of its owner's organisation begin; of the accountable pool's when the owner works elsewhere."""
        return ZoneInfo(self.of(handoff, loop).calendar.time_zone)

    def start(self, handoff: Handoff, loop: Loop, at: datetime, data: Mapping[str, Any]) -> None:
        """Set the clock of a handoff that has come to its stage ``at`` that instant."""
        start = data.get("slot_end") or at if handoff.stage in APPOINTED else at
        due = self._due(handoff, loop, wishes_of(loop), start, *_levels(data))
        handoff.paused_seconds = None
        is_booked = handoff.stage in APPOINTED
        handoff.slot_start_at = data.get("slot_start") if is_booked else None
        handoff.slot_end_at = start if is_booked else None
        _set(handoff, at, due)

    def stop(self, handoff: Handoff, loop: Loop, at: datetime) -> None:
        """Stop the clock while information is awaited: due when that is, plus the time that was left (PATHWAYS §3).

        The answer is due by the referrer's own working days.
        """
        left = max(handoff.due_at - at, timedelta())
        referrer = loop.responsible or loop.accountable
        self.learn(referrer)
        rules = self._rules[referrer.organization]
        answer = rules.due(loop.kind, "provide-information", "asked", (loop.priority,), at)
        handoff.paused_seconds = int(left.total_seconds())
        _set(handoff, at, answer + left)

    def hurry(self, handoff: Handoff, due_by: datetime) -> None:
        """Let a handoff that replaces another be due no later than that one was."""
        if due_by < handoff.due_at:
            _set(handoff, handoff.stage_since, due_by)

    def hasten(
        self, waiting: Iterable[Handoff], loop: Loop, at: datetime, data: Mapping[str, Any]
    ) -> Iterator[Handoff]:
        """Let what waits be due no later than if it had been opened ``at`` that instant for this; gives what has changed."""
        for handoff in waiting:
            before = handoff.due_at
            self.hurry(handoff, self._due(handoff, loop, wishes_of(loop), at, *_levels(data)))
            if handoff.due_at != before:
                handoff.version += 1
                yield handoff

    def revise(self, handoff: Handoff, loop: Loop, before: Mapping[str, Any]) -> None:
        """Let an open handoff be as urgent as its loop is now, of which the placer had wanted ``before`` (`WISHES`).

        Its clock started when it did. What is due by an appointment stays so; what waits for an answer has no more time left
        than whoever begins now; what is due at another time than was wanted of the loop (by the severity of a result, by
        what it replaces) is never made later.
        """
        as_before = handoff.priority_rank == RANK[before["priority"]]
        handoff.priority_rank = RANK[loop.priority] if as_before else min(handoff.priority_rank, RANK[loop.priority])
        handoff.needed_by = loop.needed_by if handoff.kind == "fulfil" else None
        if handoff.stage == STOPPED:
            self._hasten(handoff, loop)
        if handoff.stage in APPOINTED or handoff.stage == STOPPED:
            return
        due = self._due(handoff, loop, wishes_of(loop), handoff.stage_since)
        wanted = self._due(handoff, loop, before, handoff.stage_since)
        if due != wanted and (due < handoff.due_at or wanted == handoff.due_at):
            _set(handoff, handoff.stage_since, due)

    def _due(self, handoff: Handoff, loop: Loop, wishes: Mapping[str, Any], at: datetime, *levels: str) -> datetime:
        """When it is due by what the placer wants, its clock having started ``at`` that instant."""
        if handoff.stage in NEEDED and wishes["needed_by"] is not None:
            due: datetime = wishes["needed_by"]
            return due
        own = "own" if handoff.owner.organization == loop.placer else ""
        start = _not_before(handoff, loop, wishes["window_start_at"], at)
        every = (*levels, wishes["priority"], own)
        return self.of(handoff, loop).due(loop.kind, handoff.kind, handoff.stage, every, start)

    def _hasten(self, handoff: Handoff, loop: Loop) -> None:
        """Let a stopped clock run on, once it does, for no longer than it would from now on by what the placer wants."""
        now, left = clock.now(), timedelta(seconds=handoff.paused_seconds or 0)
        if handoff.paused_stage in APPOINTED:
            return
        handoff.stage, stopped = handoff.paused_stage, handoff.stage
        given = self._due(handoff, loop, wishes_of(loop), now) - now
        handoff.stage = stopped
        if given < left:
            handoff.paused_seconds = int(given.total_seconds())
            _set(handoff, handoff.stage_since, handoff.due_at - (left - given))

    def resume(self, handoff: Handoff, at: datetime) -> None:
        """Let a stopped clock run on with the time that was left."""
        left = timedelta(seconds=handoff.paused_seconds or 0)
        handoff.paused_seconds = None
        _set(handoff, at, at + left)


def wishes_of(loop: Loop) -> dict[str, Any]:
    """How urgently, from when and by when the placer wants it (`WISHES`)."""
    return {name: getattr(loop, name) for name in WISHES}


def _levels(data: Mapping[str, Any]) -> tuple[str, str]:
    """How grave what it is about is, and whether the patient has to act: rows of the deadlines of their own."""
    return data.get("severity", ""), "action" if data.get("patient_has_to_act") else ""


def _not_before(handoff: Handoff, loop: Loop, window_start: datetime | None, at: datetime) -> datetime:
    """That instant; of what is wanted from a time on, no earlier than that."""
    is_contact = handoff.kind == "contact-patient" and loop.kind == "follow-up"
    if window_start is None or not (is_contact or handoff.stage in NEEDED):
        return at
    return max(window_start, at)


def _set(handoff: Handoff, since: datetime, due: datetime) -> None:
    """The due time, the middle of the time until then, and a fresh start of the escalation."""
    handoff.stage_since = since
    handoff.due_at = due
    handoff.half_due_at = since + max(due - since, timedelta()) / 2 if due > since else due
    handoff.escalate_at = due
    handoff.escalation_level = 0
