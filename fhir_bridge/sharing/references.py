"""References between resources, translated from our ids to a partner's and back. Pure.

=====================================  =====================  ========================================
a reference                            going out              coming in
=====================================  =====================  ========================================
``Type/id``, ours or the partner's     their ``Type/id``      our ``Type/id``
absolute, of our or the partner's base as if relative         as if relative
not linked                             logical, by our        absolute, of the partner's base
                                       identifier
an attachment's ``Binary/id``          its content (`sending`)  our ``Binary/id``, or absolute
``#contained``, ``urn:``, other host   as it is               as it is
no ``reference``, ``identifier`` only  as it is               ours, if the identifier is one of ours
an element that is ``null``            left out               left out: JSON for FHIR knows none (R4 §2.6.2)
=====================================  =====================  ========================================

FHIR R4 §2.3.0, https://hl7.org/fhir/R4/references.html.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from records.json import Resource

Find = Callable[[str, str], str | None]
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]{2,63})/([A-Za-z0-9.\-]{1,64})(?:/_history/[A-Za-z0-9.\-]{1,64})?")


def is_id(value: object) -> TypeGuard[str]:
    """Whether it is an id (FHIR R4 §2.24.0.1), and no step of a path: it becomes a part of addresses."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None and value not in {".", ".."}


def parse(reference: str, *bases: str) -> tuple[str, str] | None:
    """(type, id) of a relative reference or of an absolute one under one of the bases; None for any other."""
    for base in filter(None, bases):
        if reference.startswith(f"{base}/"):
            reference = reference[len(base) + 1 :]
            break
    found = _RELATIVE.fullmatch(reference)
    return (found[1], found[2]) if found else None


def identifier(origin: str, type_: str, local_id: str) -> dict[str, str]:
    """Our identifier of a resource of ours; ``origin`` is this installation's public address."""
    return {"system": f"{origin}/id/{type_.lower()}", "value": local_id}


def bears(resource: Resource, system: str, value: str) -> bool:
    """Whether it bears that identifier; a server that overlooks a parameter answers a search with strangers."""
    named = resource.get("identifier")
    return any(
        isinstance(each, dict) and (each.get("system"), each.get("value")) == (system, value)
        for each in (named if isinstance(named, list) else [])
    )


def is_named_by_us(body: Resource, origin: str) -> bool:
    """Whether a resource carries one of our identifiers."""
    named = body.get("identifier")
    systems = [each.get("system") for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    return any(str(system).startswith(f"{origin}/id/") for system in systems)


def targets(body: Any, *bases: str) -> Iterator[tuple[str, str]]:
    """Every (type, id) that a body refers to, in order, repeated where it repeats itself."""
    for node in _nodes(body):
        found = parse(node["reference"], *bases) if isinstance(node.get("reference"), str) else None
        if found:
            yield found


def pointed(body: Any, *bases: str) -> set[tuple[str, str]]:
    """Every (type, id) that a body refers to, the Binaries of its attachments included."""
    nodes = _dicts(body)
    named = (parse(node["reference"], *bases) for node in nodes if isinstance(node.get("reference"), str))
    return {*filter(None, named), *(("Binary", id_) for node in nodes if (id_ := binary_of(node, *bases)))}


def attachments(body: Any, *bases: str) -> Iterator[Resource]:
    """Every attachment in a body whose content is a Binary on one of these servers."""
    return (node for node in _dicts(body) if binary_of(node, *bases))


def binary_of(attachment: Resource, *bases: str) -> str:
    """The id of the Binary that an attachment's url leads to, empty for none there."""
    url = attachment.get("url")
    found = parse(url, *bases) if isinstance(url, str) else None
    return found[1] if found and found[0] == "Binary" else ""


def with_attachments(body: Any, change: Callable[[Resource], Resource], *bases: str) -> Any:
    """A copy in which each such attachment is what ``change`` makes of it; the body itself where there is none."""
    return _with_attachments(body, change, *bases) if any(attachments(body, *bases)) else body


def _with_attachments(body: Any, change: Callable[[Resource], Resource], *bases: str) -> Any:
    if isinstance(body, list):
        return [_with_attachments(each, change, *bases) for each in body]
    if not isinstance(body, dict):
        return body
    copy = {key: _with_attachments(child, change, *bases) for key, child in body.items()}
    return change(copy) if binary_of(copy, *bases) else copy


def outward(body: Resource, find: Find, origin: str, our_base: str) -> Resource:
    """A copy for the partner. ``find(type, local id)`` gives the partner's id, or None for what it does not get."""

    def translate(node: Resource) -> Resource:
        target = parse(node.get("reference") or "", our_base)
        if target is None:
            return node
        remote_id = find(*target)
        if remote_id is not None:
            return {**node, "reference": f"{target[0]}/{remote_id}"}
        rest = {key: value for key, value in node.items() if key != "reference"}
        return {"type": target[0], "identifier": identifier(origin, *target), **rest}

    copy: Resource = _map(body, translate)
    return copy


def inward(body: Resource, find: Find, origin: str, their_base: str) -> Resource:
    """A copy for us. ``find(type, remote id)`` gives our id, or None for what we don't hold.

    An attachment's Binary is ours, or says on which server it is.
    """

    def attach(attachment: Resource) -> Resource:
        remote_id = binary_of(attachment, their_base)
        local_id = find("Binary", remote_id)
        return {**attachment, "url": f"Binary/{local_id}" if local_id else f"{their_base}/Binary/{remote_id}"}

    def translate(node: Resource) -> Resource:
        target = parse(node.get("reference") or "", their_base)
        if target is None:
            return _recognised(node, origin)
        local_id = find(*target)
        known = f"{target[0]}/{local_id}" if local_id else f"{their_base}/{target[0]}/{target[1]}"
        return {**node, "reference": known}

    copy: Resource = _map(with_attachments(body, attach, their_base), translate)
    return copy


def _recognised(node: Resource, origin: str) -> Resource:
    """A logical reference that `outward` made, as the reference that it was."""
    named = node.get("identifier")
    system = named.get("system") if isinstance(named, dict) else None
    type_ = node.get("type")
    if "reference" in node or not isinstance(type_, str) or system != f"{origin}/id/{type_.lower()}":
        return node
    rest = {key: value for key, value in node.items() if key not in {"identifier", "type"}}
    return {"reference": f"{type_}/{node['identifier'].get('value')}", **rest}


def _is_reference(node: Resource) -> bool:
    return isinstance(node.get("reference"), str) or (
        isinstance(node.get("identifier"), dict) and "resourceType" not in node
    )


def _nodes(value: Any) -> Iterator[Resource]:
    return (each for each in _dicts(value) if _is_reference(each))


def _dicts(value: Any) -> list[Resource]:
    """Every object, in the order of the text."""
    found: list[Resource] = []
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            found.append(each)
            each = list(each.values())
        if isinstance(each, list):
            rest += [inner for inner in reversed(each) if isinstance(inner, (dict, list))]
    return found


def _map(value: Any, translate: Callable[[Resource], Resource]) -> Any:
    if isinstance(value, dict):
        inner = {key: _map(child, translate) for key, child in value.items() if child is not None}
        return translate(inner) if _is_reference(inner) else inner
    if isinstance(value, list):
        return [_map(child, translate) for child in value]
    return value
