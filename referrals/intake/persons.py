"""People and systems at the door: what has happened to one of them reaches all loops (`referrals.upheavals`)."""

from collections.abc import Iterable

from records import references, store
from records.access import Actor
from records.json import Resource
from records.store import Written
from referrals import locking, upheavals
from referrals.parties import held, local


def receive(
    patient: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep the Patient; it belongs to no loop of its own."""
    locking.hold_names(patients=_records(patient))
    before = held("Patient", patient.get("id", ""))
    written = store.write(patient, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if written.changed:
        upheavals.of_patient(before, {**patient, "id": written.id}, actor)
    return written, None


def _records(patient: Resource) -> list[str]:
    """The Patient and those that it is linked with; it isn't validated yet."""
    linked = (local(one) for _path, one in references.iter({"link": patient.get("link")}))
    return ["/".join(one) for one in (("Patient", patient.get("id", "")), *linked) if all(one)]


def receive_entry(
    entry: Resource, actor: Actor, if_match: int | None, audience: Iterable[str]
) -> tuple[Written, str | None]:
    """Keep an entry of the directory: an organisation, a service, or the address of a system."""
    before = held(entry["resourceType"], entry.get("id", ""))
    written = store.write(entry, actor=actor, if_match=if_match, audience={*audience, actor.organization})
    if written.changed:
        upheavals.of_directory(before, {**entry, "id": written.id}, actor)
    return written, None
