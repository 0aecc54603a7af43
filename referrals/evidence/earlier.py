"""What was here before its order: it named no loop when it came and was only kept; once there is one, it is heard.

An EHR that writes an order and what it has led to at one moment decides nothing about which of them comes first.
"""

from collections.abc import Mapping, Sequence

from records import store
from records.access import Actor, ActorKind
from records.json import Resource, loads
from records.store import Told
from records.types import TYPES as KEPT
from referrals import sharing
from referrals.evidence.applying import ASKING, apply
from referrals.evidence.naming import named_loops
from referrals.evidence.saying import happened_at
from referrals.evidence.table import RECORDED, TYPES
from referrals.models import Event, Loop
from referrals.particulars import request_of
from referrals.parties import held
from referrals.people import roles_in

BEGINNING = frozenset({"open", "replace", "send"})
"""What gives a request a loop, and somebody who performs it."""
_COLUMNS = tuple(
    (type_, name)
    for type_ in sorted(TYPES | RECORDED)
    for name in ("based_on", "related", "request")
    if type_ in KEPT and any(param.column == name for param in KEPT[type_].search_params.values())
)
_KINDS: Mapping[str, ActorKind] = {"partner": "partner", "system": "system"}


def apply_earlier(events: Sequence[Event]) -> None:
    """What names a request that has just come to a loop, or to a performer, is applied there, in its order (a reaction)."""
    for event in events:
        if event.action in BEGINNING and event.loop.request_id and event.loop.based_on_id is None:
            _apply(event.loop, request_of(event.handoff, event.loop) if event.handoff else event.loop.request_reference)


def _apply(loop: Loop, request: str) -> None:
    """Each as its sender's word; not what moves something here already, nor what a person has to match, or has refused to."""
    told = [(loads(one.stored.body), _sender(one)) for one in store.naming(request, _COLUMNS)]
    for resource, sender in sorted(told, key=lambda one: (happened_at(*one), one[0]["id"])):
        named = [one for one in named_loops(resource, sender) if one.loop.id == loop.id and not one.is_applied]
        asked = Loop.objects.filter(kind="unsolicited", about=f"{resource['resourceType']}/{resource['id']}")
        if named and not asked.exists():
            key = loop.id if _is_enclosed(loop, resource, sender) else apply(resource, {}, named, sender)
            for concerned in Loop.objects.select_related("accountable").filter(pk=key):
                sharing.share(concerned, resource, sender)


def _sender(told: Told) -> Actor:
    """Who wrote it, as far as it says whose word it is; a system that isn't a partner's speaks for its organisation."""
    kind = _KINDS.get(told.actor.partition(":")[0], "client")
    return Actor(
        id=told.actor,
        kind=kind,
        display=held("Organization", told.organization).get("name", told.actor),
        organization=told.organization,
    )


def _is_enclosed(loop: Loop, resource: Resource, sender: Actor) -> bool:
    """Whether it is a document that the order's placer wrote before it: that can't be about what comes of it."""
    return resource["resourceType"] == "DocumentReference" and bool(roles_in(sender, loop) & ASKING)
