"""Which part of a test order a specimen is about: a new one is what was to be collected again. PATHWAYS §5."""

from datetime import datetime

from records import clock, dates
from records.json import Resource
from referrals.models import Event, Handoff, Loop
from referrals.readings import line_of

USABLE = frozenset({"available"})


def awaiting(loop: Loop, specimen: Resource, organization: str) -> Handoff | None:
    """The open `recollect` that this specimen ends: that of the sender's house, else the first; None if it is an old one,
    or belongs to what the sender's house performs itself.
    """
    if specimen.get("status") not in USABLE or is_known(loop, specimen):
        return None
    waiting = loop.handoffs.filter(kind="recollect", closed_at=None).select_related("owner", "loop__accountable")
    fitting = [one for one in waiting.order_by("opened_at") if one.opened_at <= _taken_at(specimen)]
    own = [one for one in fitting if one.owner.organization == organization]
    performs = loop.handoffs.filter(kind="fulfil", closed_at=None, owner__organization=organization)
    return next(iter(own or ([] if fitting and performs.exists() else fitting)), None)


def is_known(loop: Loop, specimen: Resource, *actions: str) -> bool:
    """Whether the specimen has moved something here before, by one of these actions if given."""
    told = Event.objects.filter(line_of(loop), evidence=f"Specimen/{specimen['id']}")
    return (told.filter(action__in=actions) if actions else told).exists()


def _taken_at(specimen: Resource) -> datetime:
    """When it was taken from the patient, up to the last moment that this may mean; now, if it doesn't say."""
    collection = specimen.get("collection", {})
    told = collection.get("collectedDateTime") or collection.get("collectedPeriod", {}).get("end")
    found = dates.period_of(told) if isinstance(told, str) else None
    return found[1] if found else clock.now()
