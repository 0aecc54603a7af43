"""Whose part of a loop a piece of evidence is about: by what it names, who has done it, and who brings it."""

from records.access import Actor
from records.json import Resource
from referrals.evidence.naming import named_by, performers_of, succeeded
from referrals.evidence.parting import said_of
from referrals.models import Handoff, Loop
from referrals.particulars import request_of
from referrals.readings import VOIDING, line_of
from referrals.reports import STATES

REPORTING = frozenset({"report", "complete", "result", "amend"})


def performing(loop: Loop, resource: Resource, actor: Actor, doer: str = "") -> Handoff | None:
    """The `fulfil` that evidence is about: the one that it has reported, else a performer's own, else an open one.

    A performer's own it is although it has ended and others go on; who has done it counts more than who brings it, and
    whose Task it names more than both. After the end of the loop a following one may hold it. ``doer`` is the
    organisation that a person has named.
    """
    doers = {doer} if doer else performers_of(resource)
    named = named_by(resource)
    return _reported_by(loop, resource) or min(
        Handoff.objects.filter(line_of(loop), kind="fulfil").select_related("owner", "loop__accountable"),
        key=lambda one: (
            f"Task/{one.id}" not in named,
            one.owner.organization not in doers,
            one.owner.organization != actor.organization or (actor.organization == loop.placer and not one.is_open),
            request_of(one, one.loop) not in named,
            not one.is_open,
            one.owner.organization != actor.organization,
            -one.opened_at.timestamp(),
        ),
        default=None,
    )


def _reported_by(loop: Loop, resource: Resource) -> Handoff | None:
    """Whose outcome a report is, or what it replaces or appends to, until that is void: what it says next is not the right result that another was asked for."""
    if resource["resourceType"] not in STATES:
        return None
    for reference in (f"{resource['resourceType']}/{resource['id']}", *succeeded(resource)):
        said = said_of(loop, reference)
        last, moved = said.last(), said.filter(handoff__kind="fulfil", action__in=REPORTING).last()
        if moved is not None and last is not None and last.action not in VOIDING:
            return Handoff.objects.select_related("loop__accountable", "owner").get(pk=moved.handoff_id)
    return None
