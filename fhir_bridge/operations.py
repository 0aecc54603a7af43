"""What a person may do to the exchange: try again, discard, pause, resume, test. Each is audited.

The audit is the journal of the item's upkeep loop, and one log line without patient data.
"""

import logging
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from fhir_bridge import mending, partners, rewinding, wakeups
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.status import TROUBLED
from records import clock
from records.access import SYSTEM, Actor
from records.errors import Incorrect, NotFound
from referrals.models import Event

log = logging.getLogger(__name__)
MENDING = frozenset({"mend", "discard"})
RETRIED_LINKS = (*TROUBLED, Link.State.UNKNOWN, Link.State.WANTED)
RETRIED_ITEMS = (Inbox.State.QUARANTINED, Inbox.State.WAITING)


@transaction.atomic
def retry(key: str, actor: Actor) -> None:
    """Try one thing again now; ``key`` as in `status.Trouble`. Its handoff ends when that succeeds."""
    item = _find(key)
    _retry([item])
    _told("retry", actor, key)


@transaction.atomic
def retry_all(partner: Partner, actor: Actor) -> int:
    """Try everything of one partner again that a person would have to look at; give how many."""
    links = Link.objects.select_for_update().filter(partner=partner, state__in=TROUBLED)
    items = Inbox.objects.select_for_update().filter(partner=partner, state__in=RETRIED_ITEMS)
    found: list[Link | Inbox] = [*links, *items]
    _retry(found)
    _told("retry-all", actor, f"Partner/{partner.pk}", str(len(found)))
    return len(found)


@transaction.atomic
def discard(key: str, actor: Actor, *, reason: str, text: str = "") -> None:
    """Give up on one thing, with a code of the reasons for *discard* and words; its handoff ends with them."""
    item = _find(key)
    if not reason:
        raise Incorrect(_("Say why this is given up."))
    _give_up(item)
    mending.discarded(item, actor, reason, text)
    _told("discard", actor, key, reason)


def follow(events: Sequence[Event]) -> None:
    """What a person has decided at a mend-exchange is done to its item, in the same transaction.

    *Mended* tries it again: should it fail once more, that opens a new mend-exchange. Baton itself ends one only after
    its item. See `referrals.reactions`.
    """
    for event in events:
        if event.action not in MENDING or event.actor_kind == SYSTEM.kind:
            continue
        item = mending.item_of(event.loop)
        if item is None:
            continue
        item.mend_loop = ""
        if event.action == "mend":
            _retry([item])
        elif item.state in {*RETRIED_LINKS, *RETRIED_ITEMS}:
            _give_up(item)


@transaction.atomic
def pause(partner: Partner, actor: Actor, reason: str = "") -> None:
    """Stop the exchange with a partner; what is to be sent waits."""
    Partner.objects.filter(pk=partner.pk).update(state=Partner.State.PAUSED, state_reason=reason)
    _told("pause", actor, f"Partner/{partner.pk}")


@transaction.atomic
def resume(partner: Partner, actor: Actor) -> None:
    """Go on with the exchange. Of a rewound partner everything linked must have been read again, or it is a `Conflict`."""
    Partner.objects.filter(pk=partner.pk).update(
        state=rewinding.state_to_resume(partner), state_reason="", not_before_at=None, last_error=""
    )
    wakeups.after_commit("push", [partner.pk])
    _told("resume", actor, f"Partner/{partner.pk}")


def test(partner: Partner) -> dict[str, str]:
    """Ask a partner what it can do, and note it; raise the category of what fails.

    Gives what a person wants to see: software, FHIR version, and how we deal with its Tasks, each with the reason.
    """
    seen = partners.discover(partner)
    ways = partner.ways()
    told = {"software": seen.software, "fhir": seen.fhir_version, "known by": seen.source}
    for name in ways.__slots__:
        choice = getattr(ways, name)
        told[name] = f"{choice.way}: {choice.reason}"
    return told


def _find(key: str) -> Link | Inbox:
    kind, _slash, number = key.partition("/")
    rows: Iterable[Link | Inbox] = ()
    if number.isascii() and number.isdigit():
        if kind == "Link":
            rows = Link.objects.select_for_update().filter(pk=number)
        elif kind == "Inbox":
            rows = Inbox.objects.select_for_update().filter(pk=number)
    found = next(iter(rows), None)
    if found is None:
        raise NotFound(_("There is no such item in the exchange."))
    return found


def _give_up(item: Link | Inbox) -> None:
    if isinstance(item, Link):
        item.state, item.due_at, item.sent_version = Link.State.CLEAN, None, item.wanted_version
    else:
        item.state, item.settled_at = Inbox.State.DISCARDED, clock.now()
    item.save()


def _retry(items: Iterable[Link | Inbox]) -> None:
    now, touched = clock.now(), set[int]()
    for item in items:
        if isinstance(item, Inbox) and item.state in RETRIED_ITEMS:
            item.state = Inbox.State.PENDING
        elif isinstance(item, Link) and item.state in RETRIED_LINKS:
            is_open = item.state in {Link.State.UNKNOWN, Link.State.HELD}
            item.state = Link.State.UNKNOWN if is_open else Link.State.WANTED
            item.due_at, item.attempts, item.remote_version = now, 0, ""
        item.save()
        touched.add(item.partner_id)
    wakeups.after_commit("push", touched)
    wakeups.after_commit("pull", touched)


def _told(what: str, actor: Actor, about: str, details: str = "") -> None:
    log.info("exchange: %s of %s by %s %s", what, about, actor.id, details)
