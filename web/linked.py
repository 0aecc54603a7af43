"""What a loop's journal names as proof: reports, documents, appointments; only what the reader may see."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records import access
from records.access import Actor
from records.json import Resource, lexeme, loads
from referrals.vocabulary import Words
from referrals.worklists import EventView, LoopView
from web import reading

CARRIED = ("report", "document", "appointment")
TYPES: dict[str, Words] = {
    "DiagnosticReport": gettext_lazy("Report"),
    "DocumentReference": gettext_lazy("Document"),
    "Binary": gettext_lazy("Document"),
    "Observation": gettext_lazy("Observation"),
    "Appointment": gettext_lazy("Appointment"),
    "Encounter": gettext_lazy("Visit"),
    "Specimen": gettext_lazy("Specimen"),
    "QuestionnaireResponse": gettext_lazy("Questionnaire"),
    "Composition": gettext_lazy("Report"),
    "Communication": gettext_lazy("Message"),
    "Procedure": gettext_lazy("Procedure"),
}

STATES: dict[str, Words] = {
    "registered": gettext_lazy("registered"),
    "preliminary": gettext_lazy("preliminary"),
    "final": gettext_lazy("final"),
    "amended": gettext_lazy("amended"),
    "corrected": gettext_lazy("corrected"),
    "appended": gettext_lazy("appended"),
    "cancelled": gettext_lazy("cancelled"),
    "entered-in-error": gettext_lazy("entered in error"),
    "current": gettext_lazy("current"),
    "superseded": gettext_lazy("superseded"),
    "booked": gettext_lazy("booked"),
    "finished": gettext_lazy("finished"),
    "noshow": gettext_lazy("did not attend"),
    "available": gettext_lazy("available"),
}


@dataclass(frozen=True, slots=True)
class Linked:
    """One resource that a loop names: its title and what tells it apart."""

    type: str
    id: str
    title: str
    sub: str
    body: Resource

    @property
    def reference(self) -> str:
        """As FHIR writes it."""
        return f"{self.type}/{self.id}"


def of(actor: Actor, view: LoopView) -> list[Linked]:
    """What the loop is about and what its journal names, if the actor may see it: one query per type, newest first."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for reference in (view.row.about, *_named(view.events)):
        type_, _slash, key = reference.partition("/")
        if type_ in TYPES and key:
            wanted[type_].add(key)
    found: list[tuple[Any, Linked]] = []
    for type_, keys in wanted.items():
        rows = access.visible(actor, type_).filter(pk__in=keys, deleted=False)
        found += [(when, _linked(type_, loads(text))) for when, text in rows.values_list("last_updated", "body")]
    return [one for _when, one in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _named(events: Iterable[EventView]) -> Iterator[str]:
    for event in events:
        yield event.evidence
        yield from (str(event.details.get(name, "")) for name in CARRIED)


def _linked(type_: str, body: Resource) -> Linked:
    kind = reading.concept(body.get("type") if isinstance(body.get("type"), dict) else None)
    words = (str(body.get("description", "")), reading.concept(body.get("code")), kind, str(TYPES[type_]))
    title = next(word for word in words if word)
    happened = next((str(body[name]) for name in ("issued", "date", "start", "sent") if body.get(name)), "")
    status = str(body.get("docStatus") or body.get("status", ""))
    parts = (
        str(TYPES[type_]) if title != str(TYPES[type_]) else "",
        STATES.get(status, status),
        reading.moment(happened),
    )
    return Linked(type_, str(body["id"]), title, " · ".join(str(part) for part in parts if part), body)


def facts(one: Linked) -> list[tuple[str, str]]:
    """What the page of a linked resource tells, as (label, value)."""
    body = one.body
    status = str(body.get("docStatus") or body.get("status", ""))
    told = [
        (_("Kind"), str(TYPES[one.type])),
        (_("State"), str(STATES.get(status, status))),
        (_("When"), _when(body)),
        (_("From"), _who(body)),
        (_("Conclusion"), str(body.get("conclusion", ""))),
        (_("Value"), _value(body)),
        (_("Note"), "\n".join(str(note.get("text", "")) for note in body.get("note", []))),
    ]
    return [(label, value) for label, value in told if value]


def _when(body: Resource) -> str:
    for name in ("effectiveDateTime", "issued", "date", "start", "sent", "authored", "performedDateTime"):
        if body.get(name):
            return reading.moment(str(body[name]))
    return reading.period(body.get("period") or body.get("effectivePeriod"))


def _who(body: Resource) -> str:
    held = [*body.get("performer", []), *body.get("author", [])] if isinstance(body.get("author", []), list) else []
    return ", ".join(str(one["display"]) for one in held if isinstance(one, dict) and one.get("display"))


def _value(body: Resource) -> str:
    quantity = body.get("valueQuantity")
    if isinstance(quantity, dict):
        number = lexeme(quantity["value"]) if "value" in quantity else ""
        return f"{number} {quantity.get('unit', '')}".strip()
    return str(body.get("valueString", "")) or reading.concept(body.get("valueCodeableConcept"))
