"""A notification as it came, read for one purpose: what should be looked at. Its payload is never trusted. Pure.

==================================================  ==================================================
what arrives                                        what is looked at
==================================================  ==================================================
nothing, or nothing that can be read                every change of the subscription's type
a resource, or its type and id in the address       that resource (Medplum posts it, HAPI puts it)
a Bundle of the R4 backport (Parameters or          what its events name; all changes when it names
SubscriptionStatus first)                           nothing, or when a number is missing
==================================================  ==================================================

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_bridge.sharing import references
from records import errors, json, store
from records.json import Resource

Target = tuple[str, str]
EVERYTHING: Target = ("", "")
MOST = 100

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_SYSTEM_EVENTS = frozenset({"handshake", "heartbeat"})


@dataclass(frozen=True, slots=True)
class Notice:
    """What to look at, each (type, id), ("Task", "") for all changes of a type and `EVERYTHING`.

    ``events`` are the numbers that it brings; ``total`` how many events there were by the sender's count, None where it
    doesn't count. ``is_handshake``: a subscription begins with it.
    """

    targets: frozenset[Target]
    events: tuple[int, ...] = ()
    total: int | None = None
    is_handshake: bool = False

    def counts_anew(self, last_event: int) -> bool:
        """Whether the sender has begun to count anew since: fewer have been than were heard of."""
        return self.is_handshake or (self.total is not None and self.total < last_event)

    def is_gapless(self, last_event: int) -> bool:
        """Whether nothing is missing between the last event that was heard of and these."""
        if self.events and min(self.events) > last_event + 1:
            return False
        return self.total is None or self.total <= max((last_event, *self.events))


def read(raw: bytes, path: str, type_: str, base_url: str) -> Notice:
    """What a notification says: its body, what follows its address, the type that it was asked for, the sender's base."""
    named = path.strip("/").split("/")
    if len(named) >= 2 and _is_target(named[0], named[1]):  # noqa: PLR2004 (type, id)
        return Notice(frozenset({(named[0], named[1])}))
    try:
        body = store.parse(raw)
    except errors.BatonError:
        body = {}
    status = next((found for found in map(_status, _resources(body)) if found is not None), None)
    if status is not None:
        return _of_status(status, body, base_url, type_)
    targets = _targets([body], base_url)
    return Notice(targets or frozenset({(type_, "")}))


def _is_target(type_: Any, id_: Any) -> bool:
    return isinstance(type_, str) and isinstance(id_, str) and bool(_TYPE.fullmatch(type_) and _ID.fullmatch(id_))


def _resources(body: Resource) -> Iterator[Resource]:
    """The resources of a Bundle's entries."""
    entries = body.get("entry") if body.get("resourceType") == "Bundle" else None
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _status(resource: Resource) -> Mapping[str, Any] | None:
    """The status of a subscription in the shape of R4B's SubscriptionStatus, of which R4 makes Parameters."""
    if resource.get("resourceType") == "SubscriptionStatus":
        return resource
    if resource.get("resourceType") != "Parameters":
        return None
    plain: dict[str, Any] = {"notificationEvent": []}
    for name, each in _parameters(resource):
        if name == "notification-event":
            parts = {part: _value(value) for part, value in _parameters(each, "part")}
            plain["notificationEvent"].append({"eventNumber": parts.get("event-number"), "focus": parts.get("focus")})
        else:
            plain[name] = _value(each)
    return {**plain, "eventsSinceSubscriptionStart": plain.get("events-since-subscription-start")}


def _parameters(owner: Mapping[str, Any], name: str = "parameter") -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = owner.get(name)
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict):
            yield str(each.get("name")), each


def _value(parameter: Mapping[str, Any]) -> Any:
    return next((value for key, value in parameter.items() if key.startswith("value")), None)


def _of_status(status: Mapping[str, Any], body: Resource, base_url: str, type_: str) -> Notice:
    listed = status.get("notificationEvent")
    events = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    numbers = [_number(each.get("eventNumber")) for each in events]
    total = _number(status.get("eventsSinceSubscriptionStart"))
    focus = _targets([{"focus": each.get("focus")} for each in events], base_url)
    shown = _targets([each for each in _resources(body) if _status(each) is None], base_url)
    is_event = status.get("type") not in _SYSTEM_EVENTS
    targets = focus or shown or (frozenset({(type_, "")}) if is_event else frozenset())
    counted = tuple(number for number in numbers if number is not None)
    return Notice(targets, counted, total, is_handshake=status.get("type") == "handshake")


def _targets(resources: Sequence[Resource], base_url: str) -> frozenset[Target]:
    """What these are, or what their focus refers to; of a flood all changes."""
    found = set[Target]()
    for resource in resources:
        if _is_target(resource.get("resourceType"), resource.get("id")):
            found.add((resource["resourceType"], resource["id"]))
        focus = resource.get("focus")
        if "resourceType" not in resource and isinstance(focus, dict):
            found |= set(references.targets(focus, base_url))
    return frozenset(found) if len(found) <= MOST else frozenset({EVERYTHING})


def _number(value: Any) -> int | None:
    """A count that came as a number, a Fragment or a string; None for anything else."""
    text = value if isinstance(value, str) else json.lexeme(value) if value is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004 (a bigint)
