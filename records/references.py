"""References between resources: how they are written, found and rewritten (FHIR R4 §2.3)."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

from records.json import Resource

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?")


def normal(reference: str) -> str:
    """``Type/id`` for a resource of this installation, other absolute forms as they are, ``''`` for a contained one."""
    if reference.startswith("#"):
        return ""
    for origin in (settings.BATON_BASE_URL, settings.BATON_SERVED_URL):
        reference = reference.removeprefix(f"{origin}/fhir/")
    local = _LOCAL.fullmatch(reference)
    return f"{local[1]}/{local[2]}" if local else reference


def type_of(reference: str) -> str:
    """The type that a literal reference names, also at the end of an absolute URL; ``''`` if it doesn't tell."""
    local = re.search(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?$", reference)
    return local[1] if local else ""


def split(reference: str) -> tuple[str, str] | None:
    """(type, id) of a resource of this installation, or None."""
    local = _LOCAL.fullmatch(normal(reference))
    return (local[1], local[2]) if local else None


def iter(body: Resource) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: A001 (reads as references.iter)
    """Every object with a literal ``reference``, with its path, contained resources included."""
    yield from _iter(body, str(body.get("resourceType", "")))


def _iter(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield path, value
        for key, item in value.items():
            yield from _iter(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _iter(item, f"{path}[{index}]")


def rewrite(body: Resource, mapping: Callable[[str], str | None]) -> Resource:
    """A copy in which every literal reference is what ``mapping`` gives for it; None keeps it."""
    copied: Resource = _rewrite(body, mapping)
    return copied


def _rewrite(value: Any, mapping: Callable[[str], str | None]) -> Any:
    if isinstance(value, list):
        return [_rewrite(item, mapping) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {key: _rewrite(item, mapping) for key, item in value.items()}
    reference = value.get("reference")
    if isinstance(reference, str):
        copied["reference"] = mapping(reference) or reference
    return copied
