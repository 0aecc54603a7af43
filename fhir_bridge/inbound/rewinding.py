"""A partner that was restored from a backup: noticed, nothing more written to it, and every difference shown.

=================================================  =======================================================
the sign                                           what makes it certain
=================================================  =======================================================
what we hold is older there than we last saw it    the same after reading it once more
a version's number comes back with other content   the same after reading it once more
an id that we hold gives 404                       nothing that was changed later is still as we saw it
                                                   (else it was deleted, by a server that has no 410)
=================================================  =======================================================

While a partner is *rewound* nothing is sent to it and nothing of it is applied; its open handoffs say "status unknown
since", and `fhir_bridge.inbound.reconciling` reads all that is linked again: each difference becomes a mend-exchange. A person (or
`manage.py partner resume`) ends the state once that reading is through; the differences stay until each is mended.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from fhir_bridge.connecting.client import Server
from fhir_bridge.models import Inbox, Link, Partner, Reconciliation
from fhir_bridge.outbound.sending import Copy
from fhir_bridge.pending import inbox, mending
from records import clock, errors
from records.json import Resource
from referrals.upheavals import silence

log = logging.getLogger(__name__)


class Rewound(errors.Conflict):
    """The partner was restored from a backup; its state says so from now on."""


# Reading may be answered by a copy of their database that lags behind: what is that new proves nothing
LAG = timedelta(minutes=2)
# In which servers tell an instant, the coarsest first
UNITS = (timedelta(seconds=1), timedelta(milliseconds=1), timedelta(microseconds=1))
# How many later ones are looked at before an id that gives 404 is a sign
WITNESSES = 5


def look(partner: Partner, server: Server, page: Iterable[Resource]) -> None:
    """Look for signs in what a partner shows; raise `Rewound` once that is certain (its state is set then)."""
    for link in suspects(partner, page):
        confirm(partner, server, link)


def suspects(partner: Partner, page: Iterable[Resource]) -> list[Link]:
    """The links of what a partner shows otherwise than it can be if it was not restored; `confirm` tells."""
    held, found = _held(partner, page), list[Link]()
    for resource in page:
        link = held.get((resource["resourceType"], str(resource.get("id"))))
        if link is not None and _is_sign(partner, link, resource):
            found.append(link)
    return found


def confirm(partner: Partner, server: Server, link: Link) -> None:
    """Read a suspicious resource once more; raise `Rewound` if the sign is still there."""
    link.refresh_from_db()  # before the reading: a consistent server shows this or newer
    if link.remote_id is None:
        return
    try:
        found = server.read(link.type, link.remote_id).resource or {}
    except errors.Gone:
        return
    except errors.NotFound:
        is_rewound = not _has_witness(server, link)
    else:
        is_rewound = _is_sign(partner, link, found)
    if is_rewound:
        declare(partner, link)


def declare(partner: Partner, link: Link) -> None:
    """Set the partner's state and begin to read all that is linked again; raise `Rewound` in any case."""
    why = _("It was restored from a backup: %(type)s/%(id)s is not as we last saw it there.")
    told = why % {"type": link.type, "id": link.remote_id}
    with transaction.atomic():
        row = Partner.objects.select_for_update().get(pk=partner.pk)
        if row.state != Partner.State.REWOUND:
            Partner.objects.filter(pk=row.pk).update(state=Partner.State.REWOUND, state_reason=told)
            Reconciliation.objects.get_or_create(
                partner=row,
                scope=Reconciliation.Scope.REWOUND,
                finished_at=None,
                defaults={"started_at": clock.now()},
            )
            heard_at = row.last_success_at or row.created_at
            silence.lost(str(row.pk), row.organization, heard_at, pool=row.steward_pool, name=row.name)
            log.warning("exchange: partner %s is rewound", row.pk)
    partner.state, partner.state_reason = Partner.State.REWOUND, told
    raise Rewound(told)


def state_to_resume(partner: Partner) -> Partner.State:
    """The state in which a person may go on with a partner; `Conflict` while it is rewound and not read again."""
    runs = Reconciliation.objects.filter(partner=partner, scope=Reconciliation.Scope.REWOUND, finished_at=None)
    if not runs.exists():
        return Partner.State.ACTIVE
    if partner.state == Partner.State.REWOUND:
        raise errors.Conflict(_("Not everything that is linked with this partner has been read again yet."))
    return Partner.State.REWOUND


@transaction.atomic
def differ(link: Link, found: Resource | None) -> bool:
    """Make work of what a rewound partner has otherwise than we last saw it (None: not at all); False if it is the same.

    Trying it again after the state has ended sends what we hold, merged with what they have. What is theirs and lost
    there stays with us as it is.
    """
    row = Link.objects.select_for_update().get(pk=link.pk)
    if found is not None and inbox.content_hash(found) == row.remote_hash:
        Copy.of(found).onto(row)
        row.save()
        return False
    if found is not None:
        row.state, told = Link.State.CONFLICT, _("After a restore the partner has an older or another version of it.")
        Copy.of(found).onto(row)
        _keep(link.partner, found)
    elif row.origin == Link.Origin.OURS:
        row.state, told = Link.State.CONFLICT, _("After a restore the partner does not have it. It can be sent anew.")
        row.remote_id, row.remote_version, row.remote_hash, row.base = None, "", "", ""
        row.remote_last_updated = None
    else:
        row.state, told = Link.State.GONE, _("After a restore the partner does not have it, and it was made there.")
    _stop(row, told)
    return True


@transaction.atomic
def unread(link: Link) -> None:
    """Make work of what can't be read at a rewound partner: whether it differs is not known."""
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.state, row.remote_version, row.remote_last_updated = Link.State.CONFLICT, "", None
    _stop(row, _("After a restore it can't be read at the partner."))


def _stop(row: Link, told: str) -> None:
    row.due_at, row.lease_until, row.fence = None, None, row.fence + 1
    row.error_category, row.error_text = "Rewound", told
    row.first_failed_at = row.first_failed_at or clock.now()
    row.save()
    mending.open_for(row)


def _keep(partner: Partner, found: Resource) -> None:
    """Their version beside ours, for the person who looks at it; it is never applied by itself."""
    inbox.put(partner, [found])
    rows = Inbox.objects.filter(partner=partner, type=found["resourceType"], remote_id=found["id"])
    rows.filter(content_hash=inbox.content_hash(found), state=Inbox.State.PENDING).update(
        state=Inbox.State.DISCARDED, settled_at=clock.now(), error_text="It was found after a restore."
    )


def _held(partner: Partner, page: Iterable[Resource]) -> Mapping[tuple[str, str], Link]:
    ids = {str(resource.get("id")) for resource in page}
    if not ids:
        return {}
    rows = Link.objects.filter(partner=partner, remote_id__in=ids).exclude(remote_last_updated=None)
    return {(row.type, str(row.remote_id)): row for row in rows.defer("base")}


def _is_sign(partner: Partner, link: Link, found: Resource) -> bool:
    """Whether this can't be a later version of what we last saw. The next number with an earlier time is another node's clock."""
    at, seen_at = inbox.last_updated(found), link.remote_last_updated
    if at is None or seen_at is None or at == seen_at or _is_as_seen(link, found, at, seen_at):
        return False
    present = clock.now() + timedelta(seconds=partner.skew_seconds or 0.0)
    if at < seen_at:
        is_newer = inbox.is_before(link.remote_version, inbox.version_of(found))
        return seen_at < present - LAG and not is_newer
    return _comes_back(partner, link, found)


def _is_as_seen(link: Link, found: Resource, at: datetime, seen_at: datetime) -> bool:
    """Whether it is the version that we saw; the answer to a write may tell its time in another unit, and show less of it."""
    version = inbox.version_of(found)
    if version != link.remote_version:
        return False
    return inbox.content_hash(found) == link.remote_hash or (version != "" and _is_one_instant(at, seen_at))


def _is_one_instant(at: datetime, other: datetime) -> bool:
    """Whether two instants are the same to the coarser one's unit, which cuts off or rounds the finer."""
    return at == other or abs(at - other) < max(_unit(at), _unit(other))


def _unit(at: datetime) -> timedelta:
    return next(unit for unit in UNITS if at.microsecond % (unit // timedelta(microseconds=1)) == 0)


def _comes_back(partner: Partner, link: Link, found: Resource) -> bool:
    """Whether a later version bears a number that an earlier one had, or one that is lower."""
    version = inbox.version_of(found)
    if not version:
        return False
    if version == link.remote_version and inbox.content_hash(found) != link.remote_hash:
        return True
    if inbox.is_before(version, link.remote_version):
        return True
    return _was_another(partner, found, version)


def _was_another(partner: Partner, found: Resource, version: str) -> bool:
    """Whether that number came with other content and time, since the last restore that we know of."""
    rewinds = Reconciliation.objects.filter(partner=partner, scope=Reconciliation.Scope.REWOUND)
    since = rewinds.order_by("-started_at").values_list("finished_at", flat=True).first()
    rows = Inbox.objects.filter(
        partner=partner, type=found["resourceType"], remote_id=str(found.get("id")), version_id=version
    ).exclude(content_hash=inbox.content_hash(found))
    rows = rows.filter(received_at__gt=since) if since else rows
    at = inbox.last_updated(found)
    seen = rows.values_list("last_updated", flat=True)
    return any(at is None or not _is_one_instant(at, each) for each in seen if each is not None)


def _has_witness(server: Server, link: Link) -> bool:
    """Whether something that was changed later than this is still there as we saw it: then this was deleted."""
    later = Link.objects.filter(partner=link.partner, remote_id__isnull=False).exclude(pk=link.pk)
    if link.remote_last_updated is not None:
        later = later.filter(remote_last_updated__gte=link.remote_last_updated)
    for other in later.order_by("-remote_last_updated")[:WITNESSES]:
        try:
            found = server.read(other.type, str(other.remote_id)).resource or {}
        except (errors.NotFound, errors.Gone):
            continue
        if inbox.last_updated(found) == other.remote_last_updated:
            return True
    return False
