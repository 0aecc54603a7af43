"""Who asks, who performs and for whom: the organisations and people behind the references of a resource."""

from collections.abc import Iterable, Mapping
from typing import Any

from records import access, references, store
from records.access import Actor
from records.errors import Gone, NotFound
from records.json import Resource
from records.types import row_class
from referrals.models import Membership, Merge

# Where each type names the organisation that it belongs to.
BELONGS_TO = {
    "PractitionerRole": "organization",
    "HealthcareService": "providedBy",
    "CareTeam": "managingOrganization",
    "Location": "managingOrganization",
    "Device": "owner",
}


def local(reference: Any) -> tuple[str, str]:
    """Type and id that a reference element names in this installation, else two empty texts."""
    literal = reference.get("reference") if isinstance(reference, Mapping) else None
    return (references.split(literal) if isinstance(literal, str) else None) or ("", "")


def first(value: Any) -> Any:
    """The first of a list, the thing itself otherwise; None when there is nothing."""
    return next(iter(value), None) if isinstance(value, list) else value


def held(type_: str, key: str) -> Resource:
    """The resource as we hold it, or an empty one."""
    try:
        return store.get(type_, key) if key else {}
    except (NotFound, Gone):
        return {}


def organization_of(reference: Any, actor: Actor | None = None) -> str:
    """The id of the Organization behind a reference to any type that may ask or perform, else an empty text.

    A Practitioner belongs to the actor's organisation when they work there, else to the only one they have.
    """
    type_, key = local(reference)
    if type_ == "Organization":
        return key
    if type_ == "Practitioner":
        return _workplace(key, actor)
    if type_ in BELONGS_TO:
        return organization_of(first(held(type_, key).get(BELONGS_TO[type_])))
    return ""


def practitioner_of(reference: Any) -> str:
    """The id of the Practitioner behind a reference to one or to a PractitionerRole, else an empty text."""
    type_, key = local(reference)
    if type_ == "PractitionerRole":
        type_, key = local(held(type_, key).get("practitioner"))
    return key if type_ == "Practitioner" else ""


def root_of(reference: Any, actor: Actor | None = None) -> str:
    """The root Organization behind a reference, else an empty text."""
    organization = organization_of(reference, actor)
    return access.root(organization) if organization else ""


def performing(request: Resource) -> tuple[str, str]:
    """The Organization and the HealthcareService that a request names as performer; the first that has one."""
    service = next((key for type_, key in map(local, request.get("performer", ())) if type_ == "HealthcareService"), "")
    organization = next(filter(None, (organization_of(one) for one in request.get("performer", ()))), "")
    return organization, service


def current_patient(patient_id: str) -> str:
    """The Patient that this one counts as now: itself, or whoever it was merged into."""
    return merged_along(patient_id)[-1]


def merged_along(patient_id: str) -> list[str]:
    """That Patient, and each that it was merged into, one after the other."""
    found = [patient_id]
    while True:
        target = Merge.objects.filter(source=found[-1], undone_at=None).values_list("target", flat=True).first()
        if target is None or target in found:
            return found
        found.append(target)


def same_patient(patient_id: str, reference: Any) -> bool:
    """Whether a reference means that Patient: the same id, a confirmed merge, or an identifier with system and value.

    Never a value alone (PATHWAYS §6).
    """
    type_, key = local(reference)
    if type_ == "Patient" and key and (key == patient_id or current_patient(key) == current_patient(patient_id)):
        return True
    theirs = _identifiers([reference.get("identifier", {})] if isinstance(reference, Mapping) else [])
    if type_ == "Patient":
        theirs |= identifiers_of(held("Patient", key))
    return bool(theirs & identifiers_of(held("Patient", patient_id)))


def identifiers_of(patient: Resource) -> set[tuple[str, str]]:
    """The identifiers of a Patient that have both system and value."""
    return _identifiers(patient.get("identifier", ()))


def _identifiers(identifiers: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    pairs = {(one.get("system", ""), one.get("value", "")) for one in identifiers if one}
    return {pair for pair in pairs if all(pair)}


def _workplace(practitioner: str, actor: Actor | None) -> str:
    works_at = set(
        Membership.objects.filter(user__practitioner=practitioner).values_list("organization", flat=True)
    ) or {
        access.root(organization_of(store.get("PractitionerRole", key).get("organization")))
        for key in row_class("PractitionerRole")
        .rows("PractitionerRole")
        .filter(practitioner=f"Practitioner/{practitioner}", deleted=False)
        .values_list("id", flat=True)[:20]
    }
    if actor is not None and actor.organization in works_at:
        return actor.organization
    return works_at.pop() if len(works_at) == 1 else ""
