"""A partner's system that isn't heard of: what is with it is shown as of unknown status, and its stewards are told.

That it is silent is derived from the clock and its last sign of life, which whoever talks with it notes here; so the lists
are right with every worker dead (law 2). A sweep puts one piece of upkeep on the steward pool's list.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from records import access
from records.access import SYSTEM
from referrals import workflow
from referrals.models import Handoff, Owner, SignOfLife


def heard(organization: str, at: datetime, *, silent_after: timedelta, pool: Owner, name: str) -> None:
    """Note that the system of that organisation has answered ``at``; what its silence had opened is mended."""
    root = access.root(organization)
    told = {"name": name, "pool": pool, "heard_at": at, "silent_after": silent_after}
    with transaction.atomic():
        SignOfLife.objects.update_or_create(organization=root, defaults=told)
        for handoff in _asked(root):
            workflow.perform(handoff.id, "mend", SYSTEM)


def lost(organization: str, since: datetime, *, pool: Owner, name: str) -> None:
    """Note that what the system of that organisation says is not to be relied on since then, until it is `heard` again."""
    told = {"name": name, "pool": pool, "heard_at": since, "silent_after": timedelta(0)}
    SignOfLife.objects.update_or_create(organization=access.root(organization), defaults=told)


def entrust(organization: str, pool: Owner) -> None:
    """From now on that pool is told when the system of that organisation falls silent."""
    SignOfLife.objects.filter(organization=access.root(organization)).update(pool=pool)


def silent_since(organization: str, now: datetime) -> datetime | None:
    """When it was heard of last, if that is longer ago than its window; else None."""
    known = _silent(now).filter(organization=organization).values_list("heard_at", flat=True)
    return known.first()


@transaction.atomic
def sweep(now: datetime) -> int:
    """Tell the stewards of every system that has fallen silent, once; gives how many were told."""
    told = 0
    for one in _silent(now).select_for_update(skip_locked=True, of=("self",)).select_related("pool"):
        if not _asked(one.organization):
            workflow.open_handoff_loop(
                "upkeep",
                "mend-exchange",
                about=f"Organization/{one.organization}",
                accountable_pool=one.pool,
                title=one.name,
                actor=SYSTEM,
            )
            told += 1
    return told


def _silent(now: datetime) -> QuerySet[SignOfLife]:
    return SignOfLife.objects.filter(heard_at__lt=now - F("silent_after"))


def _asked(organization: str) -> list[Handoff]:
    about = f"Organization/{organization}"
    return list(Handoff.objects.filter(kind="mend-exchange", closed_at=None, loop__about=about))
