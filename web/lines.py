"""Rows of work as a template shows them: plain dicts, every word in place, no query per row."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django.utils.translation import gettext as _

from records.access import Actor
from referrals.pathways import HANDOFFS, STAGES, transitions_from
from referrals.vocabulary import Words
from referrals.worklists import LoopView, Row
from web import dues, organisations, reading, words
from web.forms.worklist import LABELS

CHIPS = {
    "escalated": "danger",
    "chase": "danger",
    "waiting": "info",
    "unclaimed": "accent",
    "to-confirm": "warn",
    "contradictory": "danger",
    "late-booking": "warn",
    "authorisation-expiring": "warn",
    "attendance-unknown": "warn",
    "status-unknown": "danger",
}
# Where the next step is an appointment again, although for those that are booked another is nothing usual.
BOOKED_ANEW = {("referral", "no-show"): "rebook", ("referral", "appointment-cancelled"): "rebook"}


def lines(actor: Actor, rows: Iterable[Row], now: datetime) -> list[dict[str, Any]]:
    """The rows of a worklist; one query for all of them together."""
    shown = list(rows)
    names = organisations.names(actor, {row.placer for row in shown} | {row.performer for row in shown})
    return [_line(actor, row, now, names) for row in shown]


def _line(actor: Actor, row: Row, now: datetime, names: Mapping[str, str]) -> dict[str, Any]:
    due = dues.due(row.due_at, now)
    return {
        "id": row.handoff_id,
        "loop_id": row.loop_id,
        "kind": row.kind,
        "kind_label": words.KINDS.get(row.kind, row.kind),
        "title": words.title(row.kind, row.title, row.handoff),
        "way": _way(actor, row, names),
        "patient_id": row.patient_id,
        "patient_name": row.patient_name or _("Not known"),
        "patient_sub": reading.day(row.patient_born),
        "due_at": row.due_at,
        "due_words": due.words,
        "tone": due.tone,
        "sign": due.sign,
        "priority": row.priority,
        "priority_label": words.PRIORITIES.get(row.priority, row.priority),
        "priority_tone": words.PRIORITY_TONES.get(row.priority, ""),
        "stage_label": STAGES[row.handoff, row.stage].label,
        "handoff_label": HANDOFFS[row.handoff].label,
        "labels": _chips(row),
        "owner": row.owner_name,
        "stead": _stead(row),
        "list": row.list_name if row.list_name != row.owner_name else "",
        "next": next_action(row.handoff, row.stage, row.kind),
        "may_hand_over": row.may_hand_over,
    }


def _chips(row: Row) -> list[dict[str, Any]]:
    """The labels that the due time doesn't say already; who claims it among others is not our business."""
    told = row.labels - ({"unclaimed"} if row.labels & {"waiting", "chase"} else set())
    return [{"text": LABELS[name], "tone": tone} for name, tone in CHIPS.items() if name in told]


def _stead(row: Row) -> str:
    """For whom it is on the reader's list, or who works on it instead of its owner."""
    who = {"name": row.owner_name}
    if row.via.endswith("away"):
        return _("for %(name)s, who is away") % who
    if row.via.endswith("half"):
        return _("for %(name)s: half of the time is over") % who
    if row.via == "late":
        return _("overdue with %(name)s") % who
    stands_in = row.effective_owner_id != row.owner_id
    return _("%(name)s stands in") % {"name": row.effective_owner_name} if stands_in else ""


@cache
def next_action(handoff: str, stage: str, loop_kind: str) -> Words:
    """What usually comes next from that stage: the first primary action that leads on, else the responsibility itself."""
    rows = transitions_from(handoff, stage, loop_kind)
    wanted = BOOKED_ANEW.get((loop_kind, stage), "")
    usual = (
        row.label for row in rows if row.action == wanted or (row.is_primary and row.target != stage and not wanted)
    )
    return next(usual, HANDOFFS[handoff].label)


def _way(actor: Actor, row: Row, names: Mapping[str, str]) -> str:
    if row.placer != actor.organization and row.placer:
        return _("from %(name)s") % {"name": names.get(row.placer, row.placer)}
    if row.performer and row.performer != row.placer:
        return _("to %(name)s") % {"name": names.get(row.performer, row.performer)}
    return ""


def timeline_item(view: LoopView, now: datetime) -> dict[str, Any]:
    """One loop of a patient's timeline."""
    loop, waiting = view.row, view.next
    due = dues.due(waiting.row.due_at, now) if waiting else None
    return {
        "id": loop.id,
        "kind": loop.kind,
        "kind_label": words.KINDS.get(loop.kind, loop.kind),
        "title": words.title_of(view),
        "ordered_at": loop.ordered_at,
        "stage_label": view.stage_label,
        "stage_tone": "good" if loop.closed_at else "info",
        "due_words": due.words if due else "",
        "tone": due.tone if due else "",
        "sign": due.sign if due else "",
        "waiting": waiting.label if waiting else "",
        "owner": waiting.owner_name if waiting else "",
    }
