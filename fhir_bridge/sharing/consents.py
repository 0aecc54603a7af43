"""Whether a patient's Consent forbids that a partner gets a resource. Reads rows; the decision itself is pure.

Counted are active Consents about privacy. One that denies stops the sending, whatever another permits, until it is
changed or its time has passed. A rule applies where everything that it names applies; what it doesn't name is no
condition. Its exceptions (nested provisions) count before it does. FHIR R4 §6.2, https://hl7.org/fhir/R4/consent.html;
docs/decisions/0095.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from django.conf import settings

from fhir_bridge.connecting.retries import Withheld
from fhir_bridge.models import Link
from fhir_bridge.sharing import recipients, references
from records import access, clock, dates, json
from records.json import Resource
from records.types import row_class

Rule = Literal["permit", "deny"]

RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
SHARING = frozenset({"access", "disclose"})
# Of consent to research, to treatment or to an advance directive nothing follows here
PRIVACY = "patient-privacy"
# v3 ActReason: what we exchange for
PURPOSES = frozenset({"TREAT", "ETREAT", "CAREMGT", "COC", "HOPERAT", "PATRQT"})
# Without a rule of its own an opt-out denies
OPTED_OUT = frozenset({"OPTOUT", "OPTOUTE"})
ENDED = frozenset({"cancelled", "revoked", "entered-in-error"})
# About nobody in particular
OF_NO_PATIENT = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService"})


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What is about to be sent to whom: ``named`` are (type, id) of the resource and of all that it refers to.

    ``organizations`` are the partner's and those above it (`access.lineage`).
    ``people`` are those of a Consent's people and departments who would get it (`fhir_bridge.sharing.recipients`).
    """

    type: str
    body: Resource
    named: frozenset[tuple[str, str]]
    organizations: tuple[str, ...]
    at: datetime
    people: frozenset[tuple[str, str]] = frozenset()


Consents = Mapping[str, Sequence[tuple[str, str]]]
"""The active Consents of each patient: (id, body)."""


def subject(link: Link, body: Resource) -> str:
    """The patient whose consent decides about sending a resource (as we hold it); empty where nobody's does."""
    is_nobodys = link.type in OF_NO_PATIENT or _ends_it(link, body)
    return "" if is_nobodys else row_class(link.type).patient_of(body)


def of_patients(patients: Iterable[str]) -> Consents:
    """Their active Consents, in one query."""
    found: dict[str, list[tuple[str, str]]] = {}
    wanted = set(patients) - {""}
    active = row_class("Consent").rows("Consent").filter(patient__in=wanted, status="active", deleted=False)
    for patient, key, text in active.values_list("patient", "id", "body") if wanted else ():
        found.setdefault(patient, []).append((key, text))
    return found


def check(link: Link, body: Resource, known: Consents) -> None:
    """Raise `Withheld` when one of these consents denies the partner this resource (as we hold it)."""
    of_patient = known.get(subject(link, body))
    if not of_patient:
        return
    disclosure = _disclosure(link, body)
    for key, text in of_patient:
        _judge(f"Consent/{key}", json.loads(text), disclosure)


def _judge(name: str, consent: Resource, disclosure: Disclosure) -> None:
    if rule_of(consent, disclosure) == "deny":
        raise Withheld(f"{name} of the patient denies it.")
    people = recipients.people(consent, disclosure.type, disclosure.body, disclosure.organizations)
    if people and rule_of(consent, replace(disclosure, people=people)) == "deny":
        who = ", ".join(sorted(f"{type_}/{id_}" for type_, id_ in people))
        raise Withheld(f"{name} of the patient denies it to {who}, who would get it there.")


def _ends_it(link: Link, body: Resource) -> bool:
    """Whether it takes back what the partner has already: that the patient no longer wants it must reach them."""
    return link.remote_id is not None and body.get("status") in ENDED


def held(patients: Iterable[str]) -> list[Link]:
    """The links of these patients' resources that a consent holds back."""
    wanted = {str(patient) for patient in patients}
    return [link for link in Link.objects.filter(state=Link.State.HELD) if _patient(link) in wanted]


def _patient(link: Link) -> str:
    rows = row_class(link.type).rows(link.type).filter(id=link.local_id)
    found = link.local_id if link.type == "Patient" else rows.values_list("patient", flat=True).first()
    return str(found or "")


def _disclosure(link: Link, body: Resource) -> Disclosure:
    named = {(link.type, link.local_id), *references.targets(body, f"{settings.BATON_BASE_URL}/fhir")}
    organizations = tuple(access.lineage(link.partner.organization))
    return Disclosure(link.type, body, frozenset(named), organizations, clock.now())


def rule_of(consent: Resource, disclosure: Disclosure) -> Rule:
    """What one Consent says to a disclosure; ``permit`` where it says nothing."""
    scopes = {each.get("code") for each in consent.get("scope", {}).get("coding", [])}
    if consent.get("status") != "active" or (scopes and PRIVACY not in scopes):
        return "permit"
    policy = {each.get("code") for each in consent.get("policyRule", {}).get("coding", [])}
    base: Rule = "deny" if policy & OPTED_OUT else "permit"
    provision = consent.get("provision")
    return _decision(provision, base, disclosure) or "permit" if isinstance(provision, dict) else base


def _decision(provision: Resource, base: Rule, disclosure: Disclosure) -> Rule | None:
    """What a provision and its exceptions say; None where it doesn't apply."""
    if not all(applies(provision, disclosure) for applies in CONDITIONS):
        return None
    exceptions = [_decision(each, base, disclosure) for each in provision.get("provision", [])]
    said: list[Rule] = [each for each in exceptions if each is not None]
    own: Rule = "deny" if provision.get("type", base) == "deny" else "permit"
    return "deny" if "deny" in said else said[0] if said else own


def _in_its_time(provision: Resource, disclosure: Disclosure) -> bool:
    period = provision.get("period", {})
    start, end = (dates.period_of(str(period.get(name, ""))) for name in ("start", "end"))
    return (start is None or start[0] <= disclosure.at) and (end is None or disclosure.at < end[1])


def _to_them(provision: Resource, disclosure: Disclosure) -> bool:
    """Its actors are the partner, or for a denial a department or somebody there: a permission for one is none for all."""
    actors = provision.get("actor", [])
    named = {each for actor in actors for each in recipients.of_actor(actor)}
    is_theirs = any(type_ == "Organization" and id_ in disclosure.organizations for type_, id_ in named)
    return not actors or is_theirs or (provision.get("type") == "deny" and bool(named & disclosure.people))


def _is_sharing(provision: Resource, _disclosure: Disclosure) -> bool:
    actions = set(_codes(provision.get("action", [])))
    return not actions or bool(actions & SHARING)


def _for_care(provision: Resource, _disclosure: Disclosure) -> bool:
    purposes = {each.get("code") for each in provision.get("purpose", [])}
    return not purposes or bool(purposes & PURPOSES)


def _of_its_class(provision: Resource, disclosure: Disclosure) -> bool:
    types = {each.get("code") for each in provision.get("class", []) if each.get("system") == RESOURCE_TYPES}
    return not types or disclosure.type in types


def _of_its_category(provision: Resource, disclosure: Disclosure) -> bool:
    """By what the resource is about: its code, category or type (of a Task, of what it asks for nothing is known)."""
    wanted = set(_tokens(provision.get("code", [])))
    body = disclosure.body
    said = [body.get("code"), *_list(body.get("category")), *_list(body.get("type"))]
    return not wanted or bool(wanted & set(_tokens([each for each in said if isinstance(each, dict)])))


def _labelled(provision: Resource, disclosure: Disclosure) -> bool:
    wanted = {_token(each) for each in provision.get("securityLabel", [])}
    return not wanted or bool(wanted & {_token(each) for each in disclosure.body.get("meta", {}).get("security", [])})


def _of_its_data(provision: Resource, disclosure: Disclosure) -> bool:
    """The resource that is named itself, or for another meaning than *instance* also what refers to it."""
    data = provision.get("data", [])
    itself = {(disclosure.type, str(disclosure.body.get("id", "")))}
    for each in data:
        reach = itself if each.get("meaning") == "instance" else disclosure.named
        if reach & set(references.targets(each.get("reference"), *_bases())):
            return True
    return not data


CONDITIONS = (_in_its_time, _to_them, _is_sharing, _for_care, _of_its_class, _of_its_category, _labelled, _of_its_data)


def _bases() -> tuple[str]:
    return (f"{settings.BATON_BASE_URL}/fhir",)


def _codes(concepts: list[Any]) -> Iterator[str]:
    return (str(coding.get("code")) for concept in concepts for coding in concept.get("coding", []))


def _tokens(concepts: list[Any]) -> Iterator[tuple[str, str]]:
    return (_token(coding) for concept in concepts for coding in concept.get("coding", []))


def _token(coding: Mapping[str, Any]) -> tuple[str, str]:
    return str(coding.get("system", "")), str(coding.get("code", ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
