"""What is still with somebody who is to leave, as lines to tell apart: whose, what, by when.

The refusal itself (`referrals.leaving`) names no patient, since a message may go anywhere; this page is for who manages
people, and shows the names of those patients alone whom they may see.
"""

from collections.abc import Sequence
from typing import Any

from records import clock
from records.access import Actor
from records.errors import Issue
from referrals import worklists
from referrals.models import Handoff, Loop
from web import dues, words


def left_lines(actor: Actor, issues: Sequence[Issue]) -> list[dict[str, Any]]:
    """One line for each issue of `leaving.leave`, the loop to look at with it; three queries for all of them."""
    keys = [issue.expression.removeprefix("Task/") for issue in issues if issue.expression.startswith("Task/")]
    handoffs = {one.pk: one for one in Handoff.objects.filter(pk__in=keys).select_related("loop")}
    loops = {one.pk: one for one in Loop.objects.filter(pk__in=keys)} | {
        one.loop_id: one.loop for one in handoffs.values()
    }
    names = worklists.display_names(actor, {one.patient_id for one in loops.values()})
    return [_line(issue, handoffs, loops, names) for issue in issues]


def _line(issue: Issue, handoffs: dict[str, Handoff], loops: dict[str, Loop], names: dict[str, str]) -> dict[str, Any]:
    type_, _slash, key = issue.expression.partition("/")
    handoff = handoffs.get(key)
    loop = handoff.loop if handoff else loops.get(key)
    if type_ != "Task" or loop is None:
        return {"text": issue.text, "loop": ""}
    return {
        "text": issue.text,
        "key": key,
        "loop": loop.pk,
        "patient": names.get(loop.patient_id, ""),
        "title": words.title(loop.kind, loop.title, handoff.kind if handoff else ""),
        "due": dues.due(handoff.due_at, clock.now()) if handoff else None,
        "due_at": handoff.due_at if handoff else None,
    }
