"""What is tried again and again, for long: it becomes visible by its age, and goes on being tried (PATHWAYS §8.12).

That it is old is derived from the clock, wherever it is asked for (`old_links`, `old_items`). A sweep puts each such thing
on the list of the partner's steward pool, once; how often it was tried plays no part.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import mending

TRIED_FOR = timedelta(hours=1)
"""† From this age on what doesn't arrive, or waits for another, is a person's work (PATHWAYS §2)."""
BATCH = 200
_ON_ITS_WAY = (Link.State.WANTED, Link.State.INFLIGHT, Link.State.UNKNOWN)


def old_links(now: datetime) -> Q:
    """What should have reached its partner by ``now`` and was tried."""
    return Q(state__in=_ON_ITS_WAY, first_failed_at__lte=now - TRIED_FOR)


def old_items(now: datetime) -> Q:
    """What came in and still waits for something else."""
    return Q(state=Inbox.State.WAITING, received_at__lte=now - TRIED_FOR)


def sweep(now: datetime) -> int:
    """Make a mend-exchange of what is old and has none, a batch at a time; gives how many. Two sweeps share the work.

    Of a partner that was paused nothing is tried, so nothing of it grows old.
    """
    with transaction.atomic():
        unseen = Q(mend_loop="", partner__state=Partner.State.ACTIVE)
        links = Link.objects.select_for_update(skip_locked=True, of=("self",)).filter(unseen & old_links(now))
        items = Inbox.objects.select_for_update(skip_locked=True, of=("self",)).filter(unseen & old_items(now))
        chosen: list[Link | Inbox] = [
            *links.select_related("partner__steward_pool").order_by("first_failed_at", "pk")[:BATCH],
            *items.select_related("partner__steward_pool").order_by("pk")[:BATCH],
        ]
        for one in chosen:
            mending.open_for(one)
    return len(chosen)
