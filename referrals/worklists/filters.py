"""What a list may be narrowed by, and the labels that a handoff can carry; each is one SQL condition.

A label is derived from the clock in the query that reads it, never stored (law 2). In the conditions h is the handoff,
l its loop, o its owner, listed the list that it is read from (``via``: why the reader has it); words in braces are parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from records.access import Actor
from records.params import fold

Scope = Literal["mine", "team", "organisation"]
Direction = Literal["", "sent", "received"]

# Whoever has it to do works elsewhere than the reader does: to them it is work of their own.
_ELSEWHERE = "h.is_outside AND o.organization <> {organization}"
LABELS: dict[str, str] = {
    "overdue": "h.due_at < {now}",
    "due-soon": "h.due_at >= {now} AND h.due_at < {now} + interval '24 hours'",
    "waiting": f"{_ELSEWHERE} AND h.due_at >= {{now}} AND (h.reconfirm_at IS NULL OR h.reconfirm_at >= {{now}})",
    "chase": f"{_ELSEWHERE} AND (h.due_at < {{now}} OR h.reconfirm_at < {{now}})",
    "to-confirm": "h.reconfirm_at < {now}",
    "contradictory": "h.contradiction <> ''",
    "unclaimed": "h.kind = 'fulfil' AND o.kind = 'pool'",
    "late-booking": "h.stage = 'scheduled' AND h.slot_end_at > l.ordered_at + interval '28 days'",
    "status-unknown": "h.kind IN ('fulfil', 'request-cancellation') AND NOT o.internal AND EXISTS (SELECT FROM"
    " referrals_signoflife AS life WHERE life.organization = o.organization AND life.heard_at < {now} - life.silent_after)",
    "authorisation-expiring": "h.authorised_until <= (({now})::timestamptz AT TIME ZONE 'UTC')::date + 14 AND h.stage IN"
    " ('sent', 'in-triage', 'awaiting-information', 'awaiting-booking', 'no-show', 'appointment-cancelled', 'in-progress',"
    " 'scheduled') AND (h.stage <> 'scheduled' OR h.authorised_until < (h.slot_end_at AT TIME ZONE 'UTC')::date)",
    "attendance-unknown": "h.stage IN ('scheduled', 'booked', 'collection-booked') AND h.due_at < {now}",
    "follow-up-due": "l.kind = 'follow-up' AND h.stage IN ('planned', 'no-show')"
    " AND coalesce(l.window_start_at, l.ordered_at) <= {now}",
    # The pool has heard of it, or the supervisor too: levels of `referrals.escalation`.
    "escalated": "h.escalation_level > 1",
    "standing-in": "listed.via <> ''",
}
# Labels of what may stand on another organisation's list while it is watched from here.
WATCHING = frozenset({"waiting", "chase"})

_NAMED = "SELECT row FROM records_stringindex WHERE type = 'Patient' AND parameter = 'name' AND value LIKE {name}"
_CONDITIONS: dict[str, str] = {
    "kind": "l.kind = {kind}",
    "handoff": "h.kind = {handoff}",
    "stage": "h.stage = {stage}",
    "priority": "l.priority = {priority}",
    "patient": "l.patient_id = {patient}",
    "owner": "h.owner_id = {owner}",
    "text": f"(l.title ILIKE {{text}} OR l.patient_id IN ({_NAMED}))",
}
_DIRECTIONS = {"sent": "l.placer = {organization}", "received": "l.placer <> {organization}"}


@dataclass(frozen=True, slots=True)
class Filters:
    """One worklist. Empty means all; ``owner`` is an `Owner` id, ``label`` a word of `LABELS`.

    ``scope``: the own list, the own one and those of the pools that one works in, or all lists of the organisation.
    ``text`` is part of a title or the beginning of a part of the patient's name.
    """

    scope: Scope = "team"
    direction: Direction = ""
    kind: str = ""
    handoff: str = ""
    stage: str = ""
    priority: str = ""
    label: str = ""
    text: str = ""
    patient: str = ""
    owner: int = 0


class Parameters(dict[str, Any]):
    """The parameters of one statement, each value once: ``put`` gives the placeholder."""

    def put(self, value: Any) -> str:
        """Keep a value; gives what stands for it in the SQL."""
        name = next(
            (known for known, held in self.items() if held == value and type(held) is type(value)), f"p{len(self)}"
        )
        self[name] = value
        return f"%({name})s"

    def fill(self, condition: str, **values: Any) -> str:
        """The condition with a placeholder for each word in braces."""
        used = {name: value for name, value in values.items() if f"{{{name}}}" in condition}
        return condition.format(**{name: self.put(value) for name, value in used.items()})


def where(filters: Filters, actor: Actor, now: datetime, parameters: Parameters) -> Iterator[str]:
    """The SQL conditions of a list; whose lists they are is `lists`' to say."""
    for name, condition in _CONDITIONS.items():
        if value := getattr(filters, name):
            yield parameters.fill(condition, **_values(name, value))
    if filters.direction:
        yield parameters.fill(_DIRECTIONS.get(filters.direction, "false"), organization=actor.organization)
    if filters.label:
        yield parameters.fill(LABELS.get(filters.label, "false"), now=now, organization=actor.organization)


def _values(name: str, value: Any) -> dict[str, Any]:
    if name != "text":
        return {name: value}
    return {"text": f"%{_literal(value)}%", "name": f"{_literal(fold(value))}%"}


def _literal(text: str) -> str:
    """The text with the wildcards of LIKE taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
