"""What an item refers to and can't be had now. Its name is kept, so that it is seen and asked for again; it is waited for
only where the meaning of the item depends on it, and never longer than an hour: then the item goes on, and refers to the
partner's server (docs/decisions/0130).
"""

from datetime import datetime

from fhir_bridge.connecting.retries import AWAY, Unreadable, Waiting
from fhir_bridge.inbound import inquiries
from fhir_bridge.inbound.items import OPEN
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.pending.ageing import TRIED_FOR
from fhir_bridge.sharing import references
from records import clock, errors
from records.json import Resource

Target = tuple[str, str]

# Whom an item is about, what it answers, and what it reports: who wrote it, or where, changes nothing of its meaning
ELEMENTS = ("subject", "patient", "for", "focus", "basedOn", "result", "hasMember", "output", "participant")
TYPES = frozenset({"Patient", "ServiceRequest", "Appointment", "DiagnosticReport", "DocumentReference", "Observation"})
# Whom a new order is for
ASKED = ("owner", "performer")
# Content, which may be kept at another place or be too big: the reference says where it is
ELSEWHERE = frozenset({"Binary", "Bundle"})
URGENT = frozenset({"Patient", "ServiceRequest", "Organization"})
# What lists values
LISTING = frozenset({"DiagnosticReport", "Observation"})
# So many names of a type show a person that it can't be read there; more would only bury them
MOST_NAMES = 20


def let_pass(item: Inbox, body: Resource, target: Target, error: errors.BatonError) -> bool:
    """Whether an item goes on without something that its meaning depends on. Raise what keeps it from going on now."""
    if isinstance(error, AWAY):
        raise error
    if not isinstance(error, errors.Unavailable) or target[0] in ELSEWHERE:
        if item.type in LISTING and target[0] == "Observation":
            inquiries.keep_value(item.partner, target[1])
        return False  # not there for us
    return passes(item, body, target, _kept(item.partner, target, error))


def rests(partner: Partner, target: Target) -> datetime | None:
    """Since when its name is kept, where it was asked for a short while ago and is not to be asked for now.

    Without its patient nothing is opened, nor without its request: those are asked for in each round.
    """
    if target[0] in URGENT:
        return None
    names = Inbox.objects.filter(partner=partner, type=target[0], remote_id=target[1], state=Inbox.State.WAITING)
    resting = names.filter(error_category=Unreadable.__name__, due_at__gt=clock.now())
    return resting.values_list("received_at", flat=True).first()


def wake(partner: Partner, target: Target) -> None:
    """It can be read by now: its name, if one is kept, is looked at in this round."""
    names = Inbox.objects.filter(partner=partner, type=target[0], remote_id=target[1], state=Inbox.State.WAITING)
    names.filter(error_category=Unreadable.__name__).update(due_at=None)


def passes(item: Inbox, body: Resource, target: Target, since: datetime | None) -> bool:
    """The same, for what has not been had since then; None for what was not asked for before."""
    if target not in _needed(item, body):
        return False
    if clock.now() < min(item.received_at, since or item.received_at) + TRIED_FOR:
        raise Waiting("It waits until what it refers to can be read.")
    return True


def is_linked(item: Inbox) -> bool:
    """Whether an earlier version of it is here."""
    return Link.objects.filter(partner=item.partner_id, type=item.type, remote_id=item.remote_id).exists()


def _needed(item: Inbox, body: Resource) -> set[Target]:
    base = item.partner.base_url
    found = {each for each in references.targets([body.get(name) for name in ELEMENTS], base) if each[0] in TYPES}
    asked = references.targets([body.get(name) for name in ASKED], base)
    places = {each for each in asked if each[0] == "Organization" and item.type in {"Task", "ServiceRequest"}}
    return found if is_linked(item) else found | places


def _kept(partner: Partner, target: Target, error: errors.BatonError) -> datetime | None:
    """Keep its name; give since when it is kept."""
    names = Inbox.objects.filter(partner=partner, type=target[0], error_category=Unreadable.__name__)
    open_ = names.filter(state__in=(*OPEN, Inbox.State.QUARANTINED))
    if open_.exclude(remote_id=target[1]).count() < MOST_NAMES:
        inbox.put_name(partner, *target, error)
    return open_.filter(remote_id=target[1]).values_list("received_at", flat=True).first()
