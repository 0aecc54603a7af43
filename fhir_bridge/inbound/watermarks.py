"""Who reads which type of a partner now, from where to where: rows with leases, so that many workers share the work.

A claim is taken with ``FOR UPDATE SKIP LOCKED`` and committed; each stored page renews it and notes how far the window has been
read. A reader that dies leaves a lease that runs out; the next one goes on in the middle of its window. One whose lease
was taken over can't move the mark any more (``fence``).
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Least

from fhir_bridge.connecting.client import TOTAL_SECONDS
from fhir_bridge.models import Partner, Watermark
from fhir_bridge.sharing.relevance import DIRECTORY
from records import clock, errors

# One exchange lasts no longer than `client.TOTAL_SECONDS`: so long does the type of a dead reader wait.
LEASE_SECONDS = TOTAL_SECONDS + 15.0
# The overlap is for those who commit late. Most do so within seconds; the rest is found by a deep reading.
SHALLOW = timedelta(seconds=30)
DEEP_EVERY = timedelta(minutes=5)
EVER = datetime(1980, 1, 1, tzinfo=UTC)


def ensure(partner: Partner, types: Iterable[str]) -> None:
    """A mark for each type. The first window begins when the partner was registered here, a directory's with the world."""
    known = set(Watermark.objects.filter(partner=partner).values_list("type", flat=True))
    registered = partner.created_at + timedelta(seconds=partner.skew_seconds or 0.0)
    rows = [
        Watermark(partner=partner, type=each, until=EVER if each in DIRECTORY else registered)
        for each in types
        if each not in known
    ]
    Watermark.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def claim(partner: Partner, types: Iterable[str], upper: datetime, *, read_before: datetime) -> Watermark | None:
    """Take a type that nobody reads and that was last read before an instant (our clock), with its window set.

    A window that was begun is gone on with; else a new one goes up to ``upper``.
    """
    now = clock.now()
    is_free = Q(lease_until=None) | Q(lease_until__lte=now)
    is_due = Q(read_at=None) | Q(read_at__lte=read_before)
    rows = Watermark.objects.select_for_update(skip_locked=True).filter(is_free & is_due, partner=partner)
    mark = rows.filter(type__in=types).order_by(F("read_at").asc(nulls_first=True), "pk").first()
    if mark is None:
        return None
    if mark.reached is None or mark.upper is None:
        _begin(mark, partner, upper)
    mark.lease_until = now + timedelta(seconds=LEASE_SECONDS)
    mark.fence += 1
    mark.save()
    return mark


def _begin(mark: Watermark, partner: Partner, upper: datetime) -> None:
    """Set a new window, one more overlap back. A clock that was ahead and is right again leads the mark back with it."""
    overlap = timedelta(seconds=partner.overlap_seconds)
    deep_from = min(mark.deep_until or mark.until, upper)
    mark.is_deep = mark.deep_until is None or not timedelta(0) <= upper - mark.deep_until < DEEP_EVERY
    lower = deep_from - overlap if mark.is_deep else min(mark.until, upper) - min(overlap, SHALLOW)
    mark.reached, mark.upper = lower, upper


def advance(mark: Watermark, until: datetime, *, is_linked: bool) -> None:
    """Note, in the transaction that has stored what came, that all before ``until`` is stored; renew the lease."""
    changes: dict[str, object] = {"reached": until, "is_linked": mark.is_linked or is_linked}
    _change(mark, lease_until=clock.now() + timedelta(seconds=LEASE_SECONDS), **changes)


@transaction.atomic
def go_back(partner: Partner, types: Iterable[str], at: datetime) -> bool:
    """Have these types read again from an instant of the partner's; False, and nothing is done, while one is being read."""
    marks = Watermark.objects.select_for_update().filter(partner=partner, type__in=types)
    now = clock.now()
    if any(mark.lease_until is not None and mark.lease_until > now for mark in marks):
        return False
    marks.update(until=Least("until", at), deep_until=None, reached=None, upper=None, read_at=None)
    return True


def hold(partner: Partner) -> list[Watermark]:
    """All marks, locked in one order, so that no two who do this wait for each other."""
    return list(Watermark.objects.select_for_update().filter(partner=partner).order_by("pk"))


def send_back(partner: Partner, types: Iterable[str], at: datetime) -> None:
    """Have what was changed since an instant of the partner's read again of these types, where it was passed and no overlap
    goes back so far; whoever reads such a type is sent back too. In the caller's transaction, which holds no mark, or all.
    """
    overlap = timedelta(seconds=partner.overlap_seconds)
    for mark in hold(partner):
        if mark.type in types and _has_passed(mark, at, overlap):
            _send_back(mark, at, overlap)


def _has_passed(mark: Watermark, at: datetime, overlap: timedelta) -> bool:
    """Whether what was changed at an instant has been read, and won't be by the overlap of a later deep reading."""
    if mark.reached is not None and mark.upper is not None and mark.is_deep:
        return mark.reached > at and mark.upper - overlap > at
    return (mark.deep_until or mark.until) - overlap > at


def _send_back(mark: Watermark, at: datetime, overlap: timedelta) -> None:
    if mark.reached is not None and mark.is_deep:
        mark.reached = min(mark.reached, at - overlap)
    else:
        mark.until, mark.deep_until, mark.reached, mark.upper = min(mark.until, at), None, None, None
    mark.read_at, mark.lease_until, mark.fence = None, None, mark.fence + 1
    mark.save()


def finish(mark: Watermark, until: datetime, *, is_whole: bool = True) -> None:
    """Note that the window is stored, and give the type free. ``is_whole`` False: of some it couldn't be read."""
    changes: dict[str, object] = {"deep_until": until} if mark.is_deep else {}
    changes |= {"failing_since": None, "error_text": ""} if is_whole else {}
    _change(mark, until=until, reached=None, upper=None, read_at=clock.now(), lease_until=None, **changes)


def failed(mark: Watermark, error: errors.BatonError) -> None:
    """Note that the type could not be read, unless another reader has taken it over."""
    since = Coalesce("failing_since", Value(clock.now()))
    Watermark.objects.filter(pk=mark.pk, fence=mark.fence).update(failing_since=since, error_text=error.message)


def not_offered(mark: Watermark) -> None:
    """Note that the partner was asked for a type and says that it has none: nothing was read, and the mark stays where it is."""
    Watermark.objects.filter(pk=mark.pk, fence=mark.fence).update(read_at=clock.now())


def let_go(mark: Watermark) -> None:
    """Give the type free in the middle of its window."""
    Watermark.objects.filter(pk=mark.pk, fence=mark.fence).update(lease_until=None)


def _change(mark: Watermark, **changes: object) -> None:
    if not Watermark.objects.filter(pk=mark.pk, fence=mark.fence).update(**changes):
        raise errors.Conflict("Another reader has taken this type over.")
    for name, value in changes.items():
        setattr(mark, name, value)
