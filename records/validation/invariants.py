"""The invariants of FHIR R4 that our own code relies on; each row says which element is to blame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from records.dates import period_of


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule over one object; ``key`` is HL7's name of it. ``spares_partners``: a partner's word is taken without it."""

    key: str
    element: str
    text: str | Promise
    holds: Callable[[dict[str, Any]], bool]
    spares_partners: bool = False


def _is_in_order(period: dict[str, Any]) -> bool:
    start, end = (period_of(period[key]) if isinstance(period.get(key), str) else None for key in ("start", "end"))
    return start is None or end is None or start[0] < end[1]


def _has_value_or_extensions(extension: dict[str, Any]) -> bool:
    has_value = any(key.lstrip("_").startswith("value") for key in extension)
    return has_value != ("extension" in extension)


def _has_text_or_target(reference: dict[str, Any]) -> bool:
    text = reference.get("reference")
    return not isinstance(text, str) or not any(character in text for character in "\r\n\t ")


def _has_name_or_identifier(organization: dict[str, Any]) -> bool:
    return "name" in organization or "identifier" in organization


def _has_both_times_or_none(appointment: dict[str, Any]) -> bool:
    return ("start" in appointment) == ("end" in appointment)


def _first_type(bundle: dict[str, Any]) -> Any:
    entries = bundle.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    resource = first.get("resource") if isinstance(first, dict) else None
    return resource.get("resourceType") if isinstance(resource, dict) else None


def _begins_with(kind: str, type_name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda bundle: bundle.get("type") != kind or _first_type(bundle) == type_name


INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    "Period": (Invariant("per-1", "", _("The start must not be after the end."), _is_in_order),),
    "Extension": (
        Invariant("ext-1", "", _("An extension has a value or extensions, not both."), _has_value_or_extensions),
    ),
    "Reference": (Invariant("ref", "reference", _("A reference has no white space."), _has_text_or_target),),
    "Organization": (
        Invariant("org-1", "", _("An organization needs a name or an identifier."), _has_name_or_identifier),
    ),
    # An EHR that keeps no ends still has booked the visit.
    "Appointment": (
        Invariant(
            "app-2",
            "",
            _("Start and end are given both or not at all."),
            _has_both_times_or_none,
            spares_partners=True,
        ),
    ),
    "Bundle": (
        Invariant(
            "bdl-11", "entry", _("A document begins with its Composition."), _begins_with("document", "Composition")
        ),
        Invariant(
            "bdl-12", "entry", _("A message begins with its MessageHeader."), _begins_with("message", "MessageHeader")
        ),
    ),
}
