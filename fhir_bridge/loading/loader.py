"""Loading a source: its parts are gone through twice, once to know where everything will be, once to write.

Some resources at a time are one transaction with the note how far the load is; so it may be stopped at any moment and gone on
with, and a load of what is here already changes nothing. What is refused is kept in full, tried again at the end (what
it needed may have come after it), and if it stays refused it is somebody's work.
"""

import logging
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from django.db import InterfaceError, OperationalError, connection, transaction

from fhir_bridge.inbound import items
from fhir_bridge.loading import sources, taking
from fhir_bridge.loading.catalog import Catalog, catalog
from fhir_bridge.loading.entries import Head
from fhir_bridge.loading.taking import Entry, Taking
from fhir_bridge.models import Load, Partner, Refusal
from records import clock, errors
from records.access import SYSTEM
from referrals import people, workflow
from referrals.models import Handoff

log = logging.getLogger(__name__)

BATCH = 200
# What says something of another answer and is no record
PASSED_OVER = frozenset({"OperationOutcome"})
_LOCKS = 0x6C6F6164

Progress = Callable[[str, str, int], None]
"""Told the phase ("catalog", "write"), the part, and the bytes of it that have been read."""

Raw = tuple[int, bytes]


def load(
    source: str, parts: Sequence[sources.Part], *, partner: Partner | None, organization: str, progress: Progress
) -> Load:
    """Load these parts, or go on with a load of the same source that was stopped; give it with its counts.

    Raise `Conflict` when the same load runs already.
    """
    row, _is_new = Load.objects.get_or_create(
        partner=partner,
        organization=organization,
        source=source,
        finished_at=None,
        defaults={"started_at": clock.now()},
    )
    with _alone(row), catalog() as places:
        work = Taking(row, places)
        heads = {part.name: _place(part, work, progress) for part in parts}
        for part in parts:
            _write(part, work, heads[part.name], progress)
        _again(work)
        row.finished_at = clock.now()
        row.save(update_fields=["finished_at"])
        _tell(row)
    return row


@contextmanager
def _alone(row: Load) -> Iterator[None]:
    """Hold the load's advisory lock, which ends with the database session at the latest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, row.pk])
        if not cursor.fetchone()[0]:
            raise errors.Conflict("This load runs already.")
        try:
            yield
        finally:
            if connection.connection is not None and not connection.connection.closed:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, row.pk])


def _place(part: sources.Part, work: Taking, progress: Progress) -> Head:
    """Note where everything of a part will be; what can't be read is refused when it is written."""
    head = Head()
    for numbered, read in _numbered(part, head, 0):
        work.place(list(_readable(part, numbered, head)))
        progress("catalog", part.name, read)
    return head


def _numbered(part: sources.Part, head: Head, skipped: int) -> Iterator[tuple[list[Raw], int]]:
    """Some resources at a time, each with its number in the part, and how many bytes of the file have been read."""
    with part.opened() as (stream, raw):
        texts = islice(enumerate(part.resources(stream, head)), skipped, None)
        while batch := _batch(texts, skipped):
            skipped = batch[-1][0] + 1
            yield batch, raw.tell()


def _batch(texts: Iterator[Raw], number: int) -> list[Raw]:
    """The next ones, from that number on; a file that breaks off gives what there was, and its end as something that can't be read."""
    batch: list[Raw] = []
    try:
        for one in islice(texts, BATCH):
            batch.append(one)  # noqa: PERF402 (what came before a failure must stay)
    except (errors.Malformed, OSError, EOFError, zlib.error):
        batch.append((number + len(batch), b""))
    return batch


def _readable(part: sources.Part, numbered: Iterable[Raw], head: Head) -> Iterator[Entry]:
    for number, raw in numbered:
        try:
            yield _entry(part, number, raw, head)
        except errors.BatonError:
            continue


def _entry(part: sources.Part, number: int, raw: bytes, head: Head) -> Entry:
    if head.type == "history":
        raise errors.Unsupported("A history is not a load: it holds old versions.")
    return taking.entry(part.name, number, raw, in_bundle=head.has_entries)


def _write(part: sources.Part, work: Taking, head: Head, progress: Progress) -> None:
    """Write a part from where the load is."""
    done = int(work.load.done.get(part.name, 0))
    for numbered, read in _numbered(part, Head(), done):
        with transaction.atomic():
            readable = [
                one for one in _readable(part, numbered, head) if one.resource["resourceType"] not in PASSED_OVER
            ]
            together = work.take_together(readable)
            counts = Counter(together.values())
            counts += Counter(_one(part, work, number, raw, head) for number, raw in numbered if number not in together)
            work.load.done[part.name] = numbered[-1][0] + 1
            work.load.counts = dict(Counter(work.load.counts) + counts)
            work.load.save(update_fields=["done", "counts"])
        progress("write", part.name, read)


def _one(part: sources.Part, work: Taking, number: int, raw: bytes, head: Head) -> str:
    """Take one in, or keep it with the reason why not."""
    one: Entry | None = None
    try:
        one = _entry(part, number, raw, head)
        if one.resource["resourceType"] in PASSED_OVER:
            return "skipped"
        with transaction.atomic():
            return work.take(one)
    except errors.BatonError as error:
        return _refuse(work.load, part.name, number, raw, one, error, head)
    except (OperationalError, InterfaceError):  # the database is away, which is not the resource's fault
        raise
    except Exception as error:  # noqa: BLE001 (whatever one does to us, the next goes on)
        log.error("load %s: %s at %s", work.load.pk, type(error).__name__, number)  # noqa: TRY400 (a trace may quote values)
        return _refuse(work.load, part.name, number, raw, one, errors.Incorrect("It could not be understood."), head)


def _refuse(
    load: Load, part: str, number: int, raw: bytes, one: Entry | None, error: errors.BatonError, head: Head
) -> str:
    type_, _slash, remote_id = one.key.partition("/") if one else ("", "", "")
    Refusal.objects.update_or_create(
        load=load,
        part=part,
        position=number,
        defaults={
            "type": type_[:64],
            "remote_id": remote_id,
            "is_entry": head.has_entries,
            "body": raw.decode("utf-8", "backslashreplace").replace("\x00", "\\u0000"),
            "error_category": type(error).__name__,
            "error_text": str(error.message),
        },
    )
    return "refused"


def _again(work: Taking) -> None:
    """Try once more what was refused: what it needs may be here by now."""
    for row in work.load.refusals.exclude(type="").iterator():
        try:
            one = taking.entry(row.part, row.position, row.body.encode(), in_bundle=row.is_entry)
            with transaction.atomic():
                became = work.take(one)
                row.delete()
        except items.SPOILING:  # whatever its shape, it stays refused
            continue
        counts = Counter(work.load.counts)
        counts[became] += 1
        counts["refused"] -= 1
        work.load.counts = dict(+counts)
        work.load.save(update_fields=["counts"])


def _tell(row: Load) -> None:
    """What stays refused is one piece of work for the steward pool; a later load of the same without a refusal ends it."""
    earlier = Load.objects.filter(partner=row.partner, organization=row.organization, source=row.source)
    told = earlier.exclude(mend_loop="").values("mend_loop")
    for handoff in Handoff.objects.filter(loop__in=told, closed_at=None):
        workflow.perform(handoff.pk, "mend", SYSTEM)
    refused = row.refusals.count()
    if not refused:
        return
    pool = row.partner.steward_pool if row.partner else people.default_pool(row.organization)
    loop = workflow.open_handoff_loop(
        "upkeep",
        "mend-exchange",
        about=f"Load/{row.pk}",
        accountable_pool=pool,
        title=f"Import · {refused}",
        actor=SYSTEM,
    )
    row.mend_loop = loop.pk
    row.save(update_fields=["mend_loop"])


__all__ = ["Catalog", "load"]
