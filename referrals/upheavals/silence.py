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


def heard(system: str, organization: str, at: datetime, *, silent_after: timedelta, pool: Owner, name: str) -> None:
    """Note that this system of that organisation has answered ``at``; what its silence had opened is mended.

    A house may have several, each silent by itself: while any is, whoever was told of it still has to mend it.
    """
    root = access.root(organization)
    told = {"organization": root, "name": name, "pool": pool, "heard_at": at, "silent_after": silent_after}
    with transaction.atomic():
        SignOfLife.objects.update_or_create(system=system, defaults=told)
        asked = _asked(root)
        for handoff in asked if asked and silent_since(root, at) is None else ():
            workflow.perform(handoff.id, "mend", SYSTEM)


def lost(system: str, organization: str, since: datetime, *, pool: Owner, name: str) -> None:
    """Note that what this system of that organisation says is not to be relied on since then, until it is `heard` again."""
    told = {"name": name, "pool": pool, "heard_at": since, "silent_after": timedelta(0)}
    told |= {"organization": access.root(organization)}
    SignOfLife.objects.update_or_create(system=system, defaults=told)


def entrust(system: str, pool: Owner) -> None:
    """From now on that pool is told when this system falls silent."""
    SignOfLife.objects.filter(system=system).update(pool=pool)


def silent_since(organization: str, now: datetime) -> datetime | None:
    """When the one of its systems that is silent longest was heard of last; None while all are within their windows."""
    known = _silent(now).filter(organization=organization).order_by("heard_at").values_list("heard_at", flat=True)
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
