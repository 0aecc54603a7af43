"""What nothing came of, and may still come of: rows that are looked at again, now and then, and when something here changes.

Whom orders name and who is none of ours may turn out to be: an identifier is added there or here, a role or a service goes over to
us. A value that a partner refused to show may be shown one day, without any change of it (docs/decisions/0147).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Least

from fhir_bridge.connecting import retries
from fhir_bridge.models import Inquiry, Link, Partner
from fhir_bridge.sharing import addressees
from records import clock
from records.reactions import Change

Target = tuple[str, str]
"""Type and id at the partner; of what an identifier alone names no type, and ``system|value``."""

NAMED = frozenset({"Organization", *addressees.BELONGING})
EVERY = timedelta(days=1)
# Of one partner; more would only delay the others
MOST_VALUES = 1_000
# Tries: a day, and then a month
MOST_TRIES = 55


def keep_addressees(partner: Partner, named: Mapping[Target, tuple[datetime, Sequence[str]]]) -> None:
    """Remember whom orders name that are none of ours: since when, and their identifiers.

    Who is linked, or named by an identifier alone, changes by what is written here; any other is read again each day.
    """
    linked = _linked(partner, named)
    tomorrow = clock.now() + EVERY
    rows = [
        Inquiry(
            partner=partner,
            reason=Inquiry.Reason.ADDRESSEE,
            type=type_,
            remote_id=id_,
            since=since,
            names=list(names),
            due_at=tomorrow if type_ and (type_, id_) not in linked else None,
        )
        for (type_, id_), (since, names) in named.items()
    ]
    Inquiry.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        known = Inquiry.objects.filter(partner=partner, type=row.type, remote_id=row.remote_id)
        known.update(since=Least("since", row.since), names=row.names)


def keep_value(partner: Partner, id_: str) -> None:
    """Remember a value that a report lists and the partner doesn't let us have."""
    values = Inquiry.objects.filter(partner=partner, reason=Inquiry.Reason.VALUE)
    if values.count() < MOST_VALUES:
        first = clock.now() + timedelta(seconds=retries.pause_of_name(1))
        new = {"reason": Inquiry.Reason.VALUE, "due_at": first}
        Inquiry.objects.get_or_create(partner=partner, type="Observation", remote_id=id_, defaults=new)


def follow(changes: Sequence[Change]) -> None:
    """Who has another identifier here now, or belongs to another house, may be whom orders have named (see `records.reactions`)."""
    written = [each for each in changes if each.type in NAMED and each.body is not None]
    if not written:
        return
    names = tokens(pair for each in written for pair in addressees.own_identifiers(each.body or {}))
    affected = Q(names__overlap=names)
    ids = {each.id for each in written}
    for partner, type_, remote_id in Link.objects.filter(type__in=NAMED, local_id__in=ids).values_list(
        "partner", "type", "remote_id"
    ):
        affected |= Q(partner=partner, type=type_, remote_id=remote_id)
    Inquiry.objects.filter(affected, reason=Inquiry.Reason.ADDRESSEE).update(due_at=clock.now())


def due(partner: Partner, most: int) -> list[Inquiry]:
    """Those that are to be looked at now, those that wait longest first."""
    rows = Inquiry.objects.filter(partner=partner, due_at__lte=clock.now())
    return list(rows.order_by("due_at", "pk")[:most])


def again(inquiry: Inquiry) -> None:
    """Nothing came of it: it is looked at again later. A value that is refused for so long is forgotten."""
    tries, now = inquiry.attempts + 1, clock.now()
    if inquiry.reason == Inquiry.Reason.ADDRESSEE:
        is_read = inquiry.type and not _linked(inquiry.partner, [(inquiry.type, inquiry.remote_id)])
        due_at = now + EVERY if is_read else None
        Inquiry.objects.filter(pk=inquiry.pk).update(attempts=F("attempts") + 1, due_at=due_at)
    elif tries >= MOST_TRIES:
        inquiry.delete()
    else:
        due_at = now + timedelta(seconds=retries.pause_of_name(tries))
        Inquiry.objects.filter(pk=inquiry.pk).update(attempts=tries, due_at=due_at)


def tokens(identifiers: Iterable[addressees.Identifier]) -> list[str]:
    """As they are kept."""
    return sorted({f"{system}|{value}" for system, value in identifiers})


def _linked(partner: Partner, targets: Iterable[Target]) -> set[Target]:
    wanted = set(targets)
    rows = Link.objects.filter(partner=partner, type__in=NAMED, remote_id__in={id_ for _type, id_ in wanted})
    return {(type_, str(id_)) for type_, id_ in rows.values_list("type", "remote_id")} & wanted
