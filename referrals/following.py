"""What is written about a Patient who was merged follows to the record that counts, and goes back with the merge (PATHWAYS §7).

The column that says whose a row is comes from its body, and bodies stay: what says the name of a record that is gone has to
follow each time that it is written.
"""

from collections.abc import Sequence

from records.json import Resource
from records.types import row_class
from referrals import mortality
from referrals.models import Loop, Merge
from referrals.parties import merged_along


def note(type_: str, key: str, resource: Resource) -> None:
    """Let a resource that was written about a merged Patient follow as well."""
    patient = row_class(type_).patient_of(resource) if type_ != "Patient" else ""
    if not patient or not Merge.objects.filter(source=patient, undone_at=None).exists():
        return
    bring(type_, key, patient)


def note_many(resources: Sequence[Resource]) -> None:
    """The same for several resources of any type but Patient; one statement where nobody of them was merged."""
    patients = {id(one): row_class(one["resourceType"]).patient_of(one) for one in resources}
    merged = set(
        Merge.objects.filter(source__in=set(patients.values()) - {""}, undone_at=None).values_list("source", flat=True)
    )
    for one in resources:
        if patients[id(one)] in merged:
            note(one["resourceType"], one["id"], one)


def keep_with(loop: Loop, resource: Resource) -> None:
    """The same for what Baton itself writes in a locked loop, which is of the record that counts: no statement for all others."""
    if row_class(resource["resourceType"]).patient_of(resource) != loop.patient_id:
        note(resource["resourceType"], resource["id"], resource)


def bring(type_: str, key: str, patient: str) -> None:
    """Let what is filed under a merged record be under the one that counts, and remember by which merges it came there."""
    target = mortality.share(patient)
    row_class(type_).rows(type_).filter(id=key, patient=patient).update(patient=target)
    for known in passed(patient):
        remember(known, [[type_, key]])


def passed(record: str) -> list[Merge]:
    """The merges by which something of that record comes to the one that counts, locked, in their order."""
    sources = merged_along(record)[:-1]
    found = Merge.objects.select_for_update().filter(source__in=sources, undone_at=None)
    return sorted(found, key=lambda one: sources.index(one.source))


def remember(known: Merge, pairs: list[list[str]]) -> None:
    """What came with it later goes back with it, too."""
    known.moved += [pair for pair in pairs if pair not in known.moved]
    known.save(update_fields=["moved"])
