"""Reading by id what is linked: hourly the open work, nightly everything. It finds deletions, what a poll has missed, and rewinds.

A run goes through the links in their order, some at once (``_id=1,2,3``) where the partner can, and notes after each
batch how far it is; it goes on there after a death. One worker at a time has a run's lease.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from time import monotonic

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from fhir_bridge.connecting import partners
from fhir_bridge.connecting.client import TOTAL_SECONDS, Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import directory, rewinding
from fhir_bridge.models import Link, Partner, Reconciliation
from fhir_bridge.pending import inbox, mending
from fhir_bridge.sharing.relevance import DIRECTORY, fresh
from records import clock, errors
from records.json import Resource
from referrals.models import Handoff, Loop

Scope = Reconciliation.Scope
Key = tuple[str, str]

BATCH = 50
# So many that can't be read, one after the other, are rather the server's state
MOST_IN_A_ROW = 5
LEASE_SECONDS = TOTAL_SECONDS * 3
OPEN_EVERY = timedelta(hours=1)
NIGHTLY_AT = time(2, tzinfo=UTC)
_LINKED = Q(remote_id__isnull=False) & ~Q(state__in=(Link.State.GONE, Link.State.INFLIGHT))
# What a write found not to be there may have been the first sign of a rewind
_LOST = Q(remote_id__isnull=False, state=Link.State.GONE, error_category=errors.NotFound.__name__)


def due(partner: Partner, now: datetime) -> list[str]:
    """The scopes of which a run is to be begun or gone on with."""
    if partner.state == Partner.State.REWOUND:
        return [scope for scope in (Scope.REWOUND,) if _unfinished(partner, scope).exists()]
    if not partner.is_active:
        return []
    night = datetime.combine(now.date(), NIGHTLY_AT)
    since = {Scope.OPEN: now - OPEN_EVERY, Scope.ALL: night if night <= now else night - timedelta(days=1)}
    return [scope for scope, begin in since.items() if _is_due(partner, scope, begin)]


def _is_due(partner: Partner, scope: str, since: datetime) -> bool:
    if _unfinished(partner, scope).exists():
        return True
    return not Reconciliation.objects.filter(partner=partner, scope=scope, started_at__gt=since).exists()


def _unfinished(partner: Partner, scope: str) -> QuerySet[Reconciliation]:
    return Reconciliation.objects.filter(partner=partner, scope=scope, finished_at=None)


def run(
    partner: Partner, scope: str, *, server: Server | None = None, seconds: float = float("inf")
) -> Reconciliation | None:
    """Begin a run or go on with one; give it, or None when another worker has it. After ``seconds`` it waits.

    Raises what an exchange raises, and `Conflict` when the partner turns out to be rewound.
    """
    taken = _claim(partner, scope)
    if taken is None:
        return None
    connected, until = server or partners.connect(partner), monotonic() + seconds
    rows = Reconciliation.objects.filter(pk=taken.pk, fence=taken.fence)
    try:
        if _read_all(connected, taken, until):
            rows.update(finished_at=clock.now())
    finally:
        rows.update(lease_until=None)
    taken.refresh_from_db()
    return taken


def _read_all(server: Server, taken: Reconciliation, until: float) -> bool:
    """Whether everything was read before the monotonic instant ``until``."""
    for links in _batches(taken):
        _read(server, taken, links, until)
        if monotonic() > until:
            return False
    return True


def _claim(partner: Partner, scope: str) -> Reconciliation | None:
    now = clock.now()
    try:
        with transaction.atomic():
            _unfinished(partner, scope).get_or_create(
                defaults={"partner": partner, "scope": scope, "started_at": now, "finished_at": None}
            )
    except IntegrityError:
        return None
    is_free = Q(lease_until=None) | Q(lease_until__lte=now)
    with transaction.atomic():
        found = _unfinished(partner, scope).filter(is_free).select_for_update(skip_locked=True).first()
        if found is None:
            return None
        found.lease_until, found.fence = now + timedelta(seconds=LEASE_SECONDS), found.fence + 1
        found.save()
    found.partner = partner
    return found


def _batches(taken: Reconciliation) -> Iterator[list[Link]]:
    """The links of a run that are still to be read, some at a time, of one type each."""
    rows = _links(taken.partner, taken.scope)
    while batch := list(rows.filter(pk__gt=taken.reached).order_by("pk")[:BATCH]):
        yield batch


def _links(partner: Partner, scope: str) -> QuerySet[Link]:
    rows = Link.objects.filter(partner=partner).defer("base")
    if scope != Scope.OPEN:
        return rows.filter(_LINKED)
    tasks = Handoff.objects.filter(closed_at=None).values("pk")
    requests = Loop.objects.filter(closed_at=None).exclude(request_id=None).values("request_id")
    is_open = Q(type="Task", local_id__in=tasks) | Q(type="ServiceRequest", local_id__in=requests)
    return rows.filter((_LINKED | _LOST) & is_open)


def _read(server: Server, taken: Reconciliation, links: list[Link], until: float) -> None:
    """Read a batch, do with each what follows, and note how far the run is and what it has found.

    Where `MOST_IN_A_ROW` can't be read the round is over, and says so; the next one goes on behind them.
    """
    found, counts, failures, done = dict[Key, Resource](), Counter[str](), list[errors.BatonError](), list[Link]()
    for type_ in sorted({link.type for link in links}):
        found |= _together(server, type_, [str(link.remote_id) for link in links if link.type == type_])
    for link in links:
        done.append(link)
        if _key(link) not in found:
            with _one(taken, link, counts, failures):
                found |= _singly(server, taken, link, counts)
        if len(failures) >= MOST_IN_A_ROW or (failures and monotonic() > until):  # each may have taken a minute
            break
    _compare(server, taken, done, found, counts)
    _note(taken, reached=done[-1].pk, read=len(done) - counts["unreadable"], **counts)
    if len(failures) >= MOST_IN_A_ROW:
        raise failures[-1]


@contextmanager
def _one(taken: Reconciliation, link: Link, counts: Counter[str], failures: list[errors.BatonError]) -> Iterator[None]:
    """What can't be read of one resource is counted, and keeps no other from being read (law 9)."""
    try:
        yield
    except (*AWAY, rewinding.Rewound):
        raise
    except errors.BatonError as error:
        counts["unreadable"] += 1
        failures.append(error)
        if taken.scope == Scope.REWOUND:
            rewinding.unread(link)
    else:
        failures.clear()


def _singly(server: Server, taken: Reconciliation, link: Link, counts: Counter[str]) -> dict[Key, Resource]:
    """One resource by its id; nothing where it is missing."""
    try:
        return {_key(link): server.read(link.type, str(link.remote_id)).resource or {}}
    except (errors.Gone, errors.NotFound) as error:
        _lose(server, taken, link, error)
    except errors.Forbidden:
        pass
    counts["missing"] += 1
    return {}


def _key(link: Link) -> Key:
    return link.type, str(link.remote_id)


def _together(server: Server, type_: str, ids: Sequence[str]) -> dict[Key, Resource]:
    """Those of these ids that one search shows; none where it can't, or not by them."""
    if len(ids) == 1:
        return {}
    params = [("_id", ",".join(ids)), ("_count", str(len(ids)))]
    try:
        _reply, page = next(server.search(type_, params))
    except AWAY:
        raise
    except errors.BatonError:
        return {}
    return {(type_, str(each.get("id"))): each for each in page if each.get("id") in ids}


def _compare(
    server: Server, taken: Reconciliation, links: Sequence[Link], found: dict[Key, Resource], counts: Counter[str]
) -> None:
    """What is there against what we last saw of it."""
    if taken.scope == Scope.REWOUND:
        both = ((link, found.get(_key(link))) for link in links)
        counts["differing"] += sum(rewinding.differ(link, there) for link, there in both if there is not None)
        return
    for link in rewinding.suspects(taken.partner, found.values()):
        theirs = found.pop(_key(link))
        with _one(taken, link, counts, []):
            rewinding.confirm(taken.partner, server, link)
            found[_key(link)] = theirs
    for link in links:
        if link.state == Link.State.GONE and _key(link) in found:
            _return(link)
    counts["changed"] += inbox.put_current(taken.partner, fresh(taken.partner, list(found.values())))


@transaction.atomic
def _return(link: Link) -> None:
    """It is there, whatever a server on the way has said when it was written."""
    row = Link.objects.select_for_update().get(pk=link.pk)
    if row.state == Link.State.GONE:
        Link.objects.filter(pk=row.pk).update(**mending.back(row))


def _lose(server: Server, taken: Reconciliation, link: Link, error: errors.BatonError) -> None:
    """It is not there any more: deleted, or never made in the copy that the partner was restored from."""
    if taken.scope == Scope.REWOUND:
        rewinding.differ(link, None)
        return
    if isinstance(error, errors.NotFound):
        rewinding.confirm(taken.partner, server, link)
    if taken.partner.is_directory and link.type in DIRECTORY:
        directory.withdraw(taken.partner, link.type, str(link.remote_id))
    elif link.state != Link.State.GONE:
        _gone(link, error)


@transaction.atomic
def _gone(link: Link, error: errors.BatonError) -> None:
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.state, row.first_failed_at = Link.State.GONE, row.first_failed_at or clock.now()
    row.error_category, row.error_text = type(error).__name__, error.message
    row.save()
    mending.open_for(row)


def _note(taken: Reconciliation, *, reached: int, **found: int) -> None:
    """Add to what the run has found, if it is still ours."""
    until = clock.now() + timedelta(seconds=LEASE_SECONDS)
    sums = {name: F(name) + number for name, number in found.items()}
    rows = Reconciliation.objects.filter(pk=taken.pk, fence=taken.fence)
    if not rows.update(reached=reached, lease_until=until, **sums):
        raise errors.Conflict("Another worker has taken this run over.")
    taken.reached = reached
