"""The open items of the Inbox: which come next, which resource of a partner's somebody is at, and how an item is closed."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet

from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound.identity import DIRECTORY
from fhir_bridge.pending import inbox, mending
from records import clock, errors
from referrals.intake.asking import Unrequested

BATCH = 500
OPEN = (Inbox.State.PENDING, Inbox.State.WAITING)
ORDER = (F("last_updated").asc(nulls_last=True), "id")
# What one of several may do to all that are taken together, whatever its shape; each is tried alone then
SPOILING = (errors.BatonError, IntegrityError, DataError, AttributeError, KeyError, TypeError, ValueError)
# What is taken over when something that concerns us refers to it; any other reference stays one to the partner's server
TAKEN = DIRECTORY | {
    "PractitionerRole",
    "Location",
    "HealthcareService",
    "ServiceRequest",
    "Appointment",
    "Encounter",
    "DocumentReference",
    "DiagnosticReport",
    "Observation",
    "Specimen",
    "Procedure",
    "QuestionnaireResponse",
    "Bundle",
    "Binary",
}


def batches(partner: Partner) -> Iterator[list[int]]:
    """Every open item once, oldest change first, some at a time; those that waited come again after something was applied."""
    is_due = Q(due_at=None) | Q(due_at__lte=clock.now())
    rows = Inbox.objects.filter(is_due, partner=partner, state__in=OPEN)
    tried, passed = set[int](), 0
    while batch := _next(partner, rows, tried):
        yield batch
        tried = set(rows.filter(pk__in=tried | set(batch)).values_list("pk", flat=True))
        passed += len(batch)
    if passed > len(tried):
        yield list(rows.filter(pk__in=tried, state=Inbox.State.WAITING).order_by(*ORDER).values_list("pk", flat=True))


def _next(partner: Partner, rows: QuerySet[Inbox], tried: set[int]) -> list[int]:
    """The next open items in order that were not tried, none of a resource of which an older version is pending.

    What is older comes before in that order, so the rows are read along the index, as few as it takes.
    """
    if not Partner.objects.filter(pk=partner.pk, state=Partner.State.ACTIVE).exists():
        return []
    most = BATCH + len(tried)
    while True:
        found = list(rows.order_by(*ORDER).values_list("pk", "type", "remote_id", "state")[:most])
        batch = [pk for pk in _first_versions(found) if pk not in tried][:BATCH]
        if len(batch) == BATCH or len(found) < most:
            return batch
        most *= 2


def _first_versions(found: Iterable[tuple[int, str, str, str]]) -> Iterator[int]:
    """Of items in order, those before which no version of the same resource is pending."""
    pending = set[tuple[str, str]]()
    for pk, type_, remote_id, state in found:
        if (type_, remote_id) not in pending:
            yield pk
        if state == Inbox.State.PENDING:
            pending.add((type_, remote_id))


def lock(partner: Partner, resources: Iterable[tuple[str, str]]) -> None:
    """One worker at a time per (type, id) of a partner's; no row of ours is locked before the loop's (no deadlock)."""
    keys = sorted(_number(f"{partner.pk}/{type_}/{remote_id}") for type_, remote_id in resources)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def is_late(link: Link, row: Inbox) -> bool:
    """Whether a newer version has been applied already, or was written by us (law 7).

    What we wrote since would else be missing in theirs, and so look as if they had taken it away. The partner's own number tells
    the newer of two versions where it is one: the clocks of its nodes differ, and one that was ahead is put right.
    """
    if inbox.is_before(row.version_id, link.remote_version):
        return True
    known = [at for at in (link.applied_last_updated, link.remote_last_updated) if at is not None]
    if row.last_updated is None or not known or inbox.is_before(link.remote_version, row.version_id):
        return False
    return row.last_updated < max(known)


def told_at(link: Link, row: Inbox) -> datetime | None:
    """When a newer version was made, by the partner's clock: never before the version that it comes after."""
    known = [at for at in (row.last_updated, link.applied_last_updated) if at is not None]
    return max(known) if row.last_updated else None


def close(rows: Iterable[Inbox], state: Inbox.State, why: str = "") -> str:
    """Settle these items, which the caller has locked; give the state."""
    Inbox.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=state, settled_at=clock.now(), error_category="", error_text=why
    )
    return str(state)


def supersede(item: Inbox) -> None:
    """What asked us for something that nobody can see has been said anew: only the newest version is somebody's work."""
    older = Inbox.objects.select_for_update().filter(partner=item.partner_id, type=item.type, remote_id=item.remote_id)
    older = older.filter(state=Inbox.State.QUARANTINED, error_category=Unrequested.__name__)
    if item.last_updated is not None:
        older = older.filter(last_updated__lte=item.last_updated)
    for one in older.exclude(pk=item.pk).select_related("partner"):
        mending.mended(one)
        close([one], Inbox.State.DISCARDED, "It came before a newer version.")


@transaction.atomic
def set_aside(item: Inbox, state: Inbox.State, error: errors.BatonError) -> str:
    """Keep an item that was not applied, with the reason; quarantined, it is somebody's work."""
    row = Inbox.objects.select_for_update(skip_locked=True).filter(pk=item.pk, state__in=OPEN).first()
    if row is None:
        return ""
    row.state, row.attempts = state, row.attempts + 1
    row.error_category, row.error_text = type(error).__name__, error.message
    row.save(update_fields=["state", "attempts", "error_category", "error_text"])
    if state == Inbox.State.QUARANTINED:
        supersede(row)
        mending.open_for(row)
    return str(state)
