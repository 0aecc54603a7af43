"""Patients on the screen: the banner that says whom a page is about, the search, and names for references."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from records import access, clock, store
from records.access import Actor
from records.errors import Gone, NotFound
from records.json import Resource, loads
from referrals import directory
from web import persons, reading, typed_dates
from web.workplace import StaffRequest

FIND = "find-patient"


@dataclass(frozen=True, slots=True)
class Banner:
    """Whom a page is about. What is unknown is an empty text, and the page says "Not known"."""

    id: str
    name: str
    facts: list[tuple[str, str]]
    deceased: str


def banner(actor: Actor, patient_id: str) -> Banner:
    """The banner of a patient that the actor may see; else one that tells nothing."""
    held = access.visible(actor, "Patient").filter(pk=patient_id, deleted=False) if patient_id else None
    text = held.values_list("body", flat=True).first() if held is not None else None
    if text is None:
        return Banner("", _("Patient not known"), [], "")
    body = loads(text)
    deceased = _deceased(body) or persons.death_words(patient_id)
    return Banner(patient_id, reading.person_name(body) or _("Name not known"), _facts(body), deceased)


def _facts(body: Resource) -> list[tuple[str, str]]:
    born = str(body.get("birthDate", ""))
    years = reading.age(born, timezone.localdate(clock.now()))
    sex = reading.SEXES.get(str(body.get("gender", "")), "")
    return [
        (_("Born"), f"{reading.day(born)} ({years})" if years else reading.day(born)),
        (_("Sex"), str(sex)),
        (_("Identifier"), reading.identifier(body)),
        (_("Telephone"), reading.telecom(body)),
    ]


def _deceased(body: Resource) -> str:
    if body.get("deceasedDateTime"):
        return _("died on %(day)s") % {"day": reading.day(str(body["deceasedDateTime"]))}
    return _("deceased") if body.get("deceasedBoolean") is True else ""


def remember(request: StaffRequest) -> None:
    """Keep what was searched for in the session: it is about a person and must be in no address."""
    request.session[FIND] = typed(request)


def typed(request: StaffRequest) -> str:
    """What stands in the form of the search."""
    return request.POST.get("find", "").strip()[:200]


def found(request: StaffRequest) -> dict[str, Any]:
    """Template context for the search: what was typed, and who fits."""
    words = request.session.get(FIND, "")
    return {"find": words, "searched": bool(words), "found": [line(hit) for hit in fitting(request.actor, words)]}


def fitting(actor: Actor, words: str) -> list[directory.PatientFound]:
    """The patients that fit what was typed; a birth date may be typed as it is shown."""
    return directory.find_patients(actor, typed_dates.with_iso(words)) if words else []


def line(hit: directory.PatientFound) -> dict[str, str]:
    """One person found, with what tells namesakes apart."""
    parts = [
        reading.day(hit.birth_date) or _("birth date not known"),
        str(reading.SEXES.get(hit.gender, "")),
        next((value for _system, value in hit.identifiers if value), ""),
        _("deceased") if hit.is_deceased else "",
    ]
    return {"id": hit.id, "name": hit.name or _("Name not known"), "sub": " · ".join(part for part in parts if part)}


def name_of(reference: Any) -> str:
    """How what a local reference points to is called: its display, else the name in the record."""
    if not isinstance(reference, dict):
        return ""
    if reference.get("display"):
        return str(reference["display"])
    type_, _slash, key = str(reference.get("reference", "")).partition("/")
    try:
        body = store.get(type_, key) if key else {}
    except (NotFound, Gone):
        return ""
    name = body.get("name", "")
    return name if isinstance(name, str) else reading.person_name(body)
