"""Finding what a composer needs: the patient, by name, birth date or identifier, and a service with its wait."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db.models import Q

from records import access, dates, search
from records.access import Actor
from records.json import Resource, lexeme, loads
from referrals.models import Loop
from referrals.parties import local
from referrals.people import human_name

GIVEN_BACK = ("declined", "failed", "cancelled")
MOST = 200  # services that one search looks at before it sorts by wait


@dataclass(frozen=True, slots=True)
class PatientFound:
    """One line of a patient search. ``birth_date`` as written (it may be a year), identifiers as (system, value)."""

    id: str
    name: str
    birth_date: str
    gender: str
    identifiers: tuple[tuple[str, str], ...]
    is_deceased: bool


@dataclass(frozen=True, slots=True)
class ServiceFound:
    """One line of the service directory; ``wait_days`` is None where the service does not say.

    ``root`` is the organisation that its own one is part of, where whoever looked has found it out.
    """

    id: str
    name: str
    organization_id: str
    organization: str
    specialty: str
    wait_days: int | None
    is_accepting: bool
    root: str = ""


def find_patients(actor: Actor, text: str, *, limit: int = 20) -> list[PatientFound]:
    """The patients that the actor may see and that fit every word: a name's beginning, a birth date, an identifier."""
    words = [word for typed in text.split() if (word := typed.strip(",;"))]
    if not words:
        return []
    rows = access.visible(actor, "Patient").filter(deleted=False)
    for word in words:
        rows = rows.filter(_patient_word(word))
    return sorted((_patient(loads(body)) for body in rows.values_list("body", flat=True)[:limit]), key=_by_name)


def find_services(
    actor: Actor, text: str = "", *, specialty: str = "", category: str = "", limit: int = 30
) -> list[ServiceFound]:
    """The services whose name, specialty or organisation has every word, the shortest wait first.

    ``specialty`` and ``category`` are codes, alone or as ``system|code``.
    """
    rows = access.visible(actor, "HealthcareService").filter(deleted=False)
    coded = {"specialty": specialty, "service-category": category}
    rows = rows.filter(search.compile("HealthcareService", [pair for pair in coded.items() if pair[1]]))
    bodies = [loads(body) for body in rows.values_list("body", flat=True)[:MOST]]
    names = _organizations(actor, bodies)
    found = (_service(body, names) for body in bodies)
    words = text.casefold().split()
    fitting = [one for one in found if all(word in _words_of(one) for word in words)]
    return sorted(fitting, key=lambda one: (not one.is_accepting, one.wait_days is None, one.wait_days or 0, one.name))[
        :limit
    ]


def find_service(actor: Actor, key: str) -> ServiceFound | None:
    """The service with that id; None for one that the actor may not see or that is gone."""
    text = (
        access.visible(actor, "HealthcareService").filter(pk=key, deleted=False).values_list("body", flat=True).first()
    )
    body = loads(text) if text else None
    return _service(body, _organizations(actor, [body])) if body else None


def find_performers(actor: Actor, loop: Loop) -> list[ServiceFound]:
    """Whom a loop may be sent to: the directory, the shortest wait first, last who has given it back and the own house."""
    gone = loop.handoffs.filter(kind="fulfil", stage__in=GIVEN_BACK).values_list("owner__organization", flat=True)
    found, last = find_services(actor, limit=MOST), set(gone)
    roots = {key: access.root(key) for key in {one.organization_id for one in found} - {""}}
    placed = (replace(one, root=roots.get(one.organization_id, "")) for one in found)
    return sorted(placed, key=lambda one: (one.root in last, one.root == loop.placer))


def _patient_word(word: str) -> Q:
    if dates.period_of(word):
        return search.compile("Patient", [("birthdate", word)]) | search.compile("Patient", [("identifier", word)])
    escaped = word.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|")
    return search.compile("Patient", [("name", escaped)]) | search.compile("Patient", [("identifier", escaped)])


def _patient(body: Resource) -> PatientFound:
    return PatientFound(
        id=body["id"],
        name=human_name(body.get("name")),
        birth_date=body.get("birthDate", ""),
        gender=body.get("gender", ""),
        identifiers=tuple((one.get("system", ""), one.get("value", "")) for one in body.get("identifier", ())),
        is_deceased=bool(body.get("deceasedBoolean") or body.get("deceasedDateTime")),
    )


def _by_name(found: PatientFound) -> tuple[str, str]:
    return found.name.casefold(), found.birth_date


def _organizations(actor: Actor, services: Iterable[Resource]) -> dict[str, str]:
    keys = {local(body.get("providedBy"))[1] for body in services}
    rows = access.visible(actor, "Organization").filter(pk__in=keys).values_list("id", "body")
    return {key: loads(body).get("name", key) for key, body in rows}


def _service(body: Resource, names: Mapping[str, str]) -> ServiceFound:
    _type, organization = local(body.get("providedBy"))
    return ServiceFound(
        id=body["id"],
        name=body.get("name", ""),
        organization_id=organization,
        organization=names.get(organization, body.get("providedBy", {}).get("display", "")),
        specialty=", ".join(filter(None, map(_words, body.get("specialty", ())))),
        wait_days=_wait_days(body),
        is_accepting=body.get("active") is not False,
    )


def _words(concept: Mapping[str, Any]) -> str:
    coded = next((one["display"] for one in concept.get("coding", ()) if one.get("display")), "")
    return str(concept.get("text") or coded)


def _wait_days(body: Resource) -> int | None:
    url = f"{settings.BATON_BASE_URL}/StructureDefinition/wait-days"
    told = next((one.get("valueInteger") for one in body.get("extension", ()) if one.get("url") == url), None)
    return None if told is None else int(lexeme(told))


def _words_of(found: ServiceFound) -> str:
    return f"{found.name} {found.specialty} {found.organization}".casefold()
