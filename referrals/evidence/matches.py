"""What a person has matched is applied to the request that they chose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from records import store
from records.access import Actor
from records.errors import Incorrect, Issue
from records.json import Resource
from referrals import locking, matching, sharing
from referrals.evidence.applying import proven, take
from referrals.evidence.asking import ask_for_match
from referrals.evidence.naming import named_by, performers_of
from referrals.evidence.saying import happened_at
from referrals.evidence.whose import performing
from referrals.models import Event, Loop
from referrals.parties import held, local


def apply_matches(events: Sequence[Event]) -> None:
    """What a person has matched is applied to the request that they chose, in the same transaction (a reaction)."""
    for event in events:
        if event.action == "match" and event.handoff is not None:
            actor = Actor(id=event.actor_id, kind="system", display=event.actor_display)
            _apply_match(event.loop, event.details, actor)


def release(events: Sequence[Event]) -> None:
    """A report that its reader found to be another patient's waits for a person who knows whose it is (a reaction)."""
    for event in events:
        if event.action == "void" and event.reason_code == "wrong-patient" and event.evidence:
            report = held(*local({"reference": event.evidence}))
            if report:
                actor = Actor(id=event.actor_id, kind="system", display=event.actor_display)
                ask_for_match(report, event.loop.accountable, actor, anew=True)


def _apply_match(unsolicited: Loop, said: Mapping[str, Any], actor: Actor) -> None:
    mine = Q(accountable__organization=unsolicited.accountable.organization)
    orders = Loop.objects.select_related("accountable").filter(
        mine, request_id=local({"reference": said["request"]})[1]
    )
    loop = next(iter(locking.settled(lambda: list(orders.all()), lambda one: one)), None)
    if loop is None:
        text = _("There is no such order of this organisation.")
        raise Incorrect(text, Issue(text, "request", "not-found"))
    resource = store.get(*local({"reference": unsolicited.about}))
    handoff = performing(loop, resource, actor, _doer(loop, resource, str(said.get("done_by") or "")))
    at = happened_at(resource, actor)
    path = proven(handoff, resource, {}, at, actor) if handoff else ()
    if handoff is None or not path:
        unsent = _("This order has not been sent to anybody yet: send it first.")
        text = _("This order already has it, or stands where it proves nothing.") if handoff else unsent
        raise Incorrect(text, Issue(text, "request", "business-rule"))
    take(handoff, path, resource, actor, at)
    receiver = replace(actor, kind="partner", organization=unsolicited.accountable.organization)
    sharing.share(loop, resource, receiver)


def _doer(loop: Loop, resource: Resource, named: str) -> str:
    """The organisation whose result it is by a person's word; nobody guesses which of several has done it."""
    parts = matching.parts(loop)
    asked = {one.owner.organization: one.owner.name for one in parts}
    doer = local({"reference": named})[1]
    is_said = asked.keys() & performers_of(resource) or {f"Task/{one.id}" for one in parts} & set(named_by(resource))
    if doer and doer not in asked:
        text = _("Nobody of that name has been asked to perform this order.")
        raise Incorrect(text, Issue(text, "done_by", "value"))
    if not doer and len(asked) > 1 and not is_said:
        text = _("Several perform this order: %(names)s. Say whose result it is.") % {
            "names": ", ".join(asked.values())
        }
        raise Incorrect(text, Issue(text, "done_by", "required"))
    return doer
