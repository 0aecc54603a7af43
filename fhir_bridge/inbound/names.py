"""What is known by its name alone, as it could not be read: it is asked for again and again, ever more rarely."""

from datetime import timedelta

from django.db import transaction

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY, Unreadable, pause_of_name
from fhir_bridge.inbound import addressing, overlooked, rewinding
from fhir_bridge.inbound.items import OPEN, close, set_aside
from fhir_bridge.models import Inbox, Partner
from fhir_bridge.pending import mending
from fhir_bridge.sharing import relevance
from records import clock, errors
from records.json import Resource


def read_anew(partner: Partner, server: Server, item: Inbox) -> str:
    """Read it, take in what concerns us, and close the name; give the item's state. What waits for it goes on waiting."""
    found, ours, told = list[Resource](), frozenset[tuple[str, str]](), "It can be read now."
    try:
        found.append(server.read(item.type, item.remote_id).resource or {})
        rewinding.look(partner, server, found)
        ours = addressing.ours(partner, server, found)
    except AWAY:
        raise
    except errors.BatonError as error:
        if not _is_gone(item, error):
            return _keep(item, error.message)
        told = "It is not there any more."
    with transaction.atomic():
        if found and not addressing.heard(partner, found[0], item):
            return set_aside(item, _state(item), Unreadable("What names it is being read."))
        overlooked.put(partner, relevance.relevant(partner, relevance.fresh(partner, found), ours))
        row = Inbox.objects.select_for_update().get(pk=item.pk)
        mending.mended(row)
        return close([row], Inbox.State.DISCARDED, told)


def _is_gone(item: Inbox, error: errors.BatonError) -> bool:
    """What is linked and was deleted is found by the reading by id; whom an order is addressed to may still come."""
    return isinstance(error, (errors.NotFound, errors.Gone)) and not addressing.is_awaited(item)


def _keep(item: Inbox, why: str) -> str:
    """It is asked for again after a pause that grows with each try."""
    pause = timedelta(seconds=pause_of_name(item.attempts + 1))
    Inbox.objects.filter(pk=item.pk, state__in=OPEN).update(due_at=clock.now() + pause)
    return set_aside(item, _state(item), Unreadable(why))


def _state(item: Inbox) -> Inbox.State:
    """What a person has tried again is that person's once more."""
    return Inbox.State.WAITING if item.state == Inbox.State.WAITING else Inbox.State.QUARANTINED
