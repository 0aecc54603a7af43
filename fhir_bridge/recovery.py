"""What a person may do to one failed exchange, or to all of a kind: try again, decide a conflict, correct what was refused,
send anew what was deleted there, discard. And see both versions, or what came, in full.

Only the partner's stewards may (`STEWARDS` of the organisation of its steward pool), for all others there is no such
item. Each step, the looking included, is an AuditEvent of that organisation; no patient's data is in it or in a log.
"""

import getpass
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from fhir_bridge import status
from fhir_bridge.models import Inbox, Link
from fhir_bridge.outbound import comparing
from fhir_bridge.outbound.comparing import Comparison
from fhir_bridge.pending import mending, wakeups
from records import access, audit, clock, store
from records.access import SYSTEM, Actor
from records.deadlocks import tried_again
from records.errors import Conflict, Incorrect, NotFound, Stale
from referrals import intake, locking
from referrals.models import Event
from referrals.pathways.reasons import codes

Item = Link | Inbox

STEWARDS = frozenset({"coordinator", "supervisor", "administrator"})
MENDING = frozenset({"mend", "discard"})
RETRIED_LINKS = (*status.TROUBLED, Link.State.UNKNOWN, Link.State.WANTED)
RETRIED_ITEMS = (Inbox.State.QUARANTINED, Inbox.State.WAITING)
SIDES = ("ours", "theirs")
LONGEST_NUMBER = 18  # digits that PostgreSQL's bigint has room for


@dataclass(frozen=True, slots=True)
class Shown:
    """An item in full: ``comparison`` of a link's two versions, ``raw`` what came from the partner, as it came."""

    trouble: status.Trouble
    comparison: Comparison | None
    raw: str


def at_the_terminal() -> Actor:
    """Whoever runs a command on the machine itself."""
    return Actor(id=f"command:{getpass.getuser()}", kind=SYSTEM.kind, display=getpass.getuser())


def may(actor: Actor, organization: str) -> bool:
    """Whether somebody is a steward of the exchange with partners whose steward pool is that organisation's."""
    return actor.kind == SYSTEM.kind or (actor.organization == organization and bool(actor.roles & STEWARDS))


@transaction.atomic
def show(key: str, actor: Actor) -> Shown:
    """One item in full, ``key`` as in `status.Trouble`: patients' data, for its stewards alone."""
    item = _find(key, actor)
    shown = Shown(status.trouble(item), comparing.compare(item) if isinstance(item, Link) else None, _raw(item))
    _audit([item], actor, "show")
    return shown


@transaction.atomic
def retry(key: str, actor: Actor) -> int:
    """Try one thing again now, give 1; 0 for what is not to be tried. Its handoff ends when that succeeds."""
    item = _find(key, actor)
    if item.state not in {*RETRIED_LINKS, *RETRIED_ITEMS}:
        return 0
    _retry([item])
    _audit([item], actor, "retry")
    return 1


@transaction.atomic
def retry_all(chosen: status.Filter, actor: Actor) -> int:
    """Try all again that a person would have to look at and that the filter chooses; give how many."""
    found = [item for item in _lock(chosen) if may(actor, item.partner.steward_pool.organization)]
    _retry(found)
    for organization in sorted({item.partner.steward_pool.organization for item in found}):
        of_theirs = [item for item in found if item.partner.steward_pool.organization == organization]
        _audit(of_theirs, actor, "retry-all", chosen.told())
    return len(found)


@transaction.atomic
def resolve(key: str, actor: Actor, choices: Mapping[str, str]) -> None:
    """Decide a conflict: per element "ours" or "theirs", as far as their value is still the one that was shown.

    Of a resource of ours their value is taken over here; of a Task it stays theirs alone. Then it is sent.
    """
    link = _link(key, actor)
    comparison = comparing.compare(link)
    missing = [row.element for row in comparison.rows if row.is_clash and row.element not in choices]
    if missing or set(choices.values()) - set(SIDES):
        raise Incorrect(_("Say for each of these whose version holds: %(names)s.") % {"names": ", ".join(missing)})
    link.decisions = link.decisions | comparing.decisions(link, comparison, choices)
    link.save(update_fields=["decisions"])
    taken = [element for element, side in choices.items() if side == "theirs"]
    if taken and link.type != "Task":
        comparing.take_over(link, taken, actor)
    link.refresh_from_db()
    _retry([link])
    _audit([link], actor, "resolve", {name: choices[name] for name in sorted(choices)})


@transaction.atomic
def correct(key: str, actor: Actor, text: str, *, version: int) -> None:
    """Put a corrected resource of ours through the door, and send it; ``version`` is the one that was shown.

    Raises what `intake.receive` raises: a handoff's Task is changed by what is done in its loop.
    """
    link = _link(key, actor)
    body = store.parse(text.encode())
    if (body.get("resourceType"), body.get("id")) != (link.type, link.local_id):
        raise Incorrect(_("It must stay %(name)s.") % {"name": f"{link.type}/{link.local_id}"})
    if store.read(link.type, link.local_id).version != version:
        raise Stale(_("Somebody else has changed this since you looked at it."))
    access.may(actor, link.type, "u")
    intake.receive(body, actor, if_match=version)
    link.refresh_from_db()
    _retry([link])
    _audit([link], actor, "correct")


@transaction.atomic
def recreate(key: str, actor: Actor) -> None:
    """Send anew what was deleted at the partner, and what refers to it; it is looked for first."""
    link = _link(key, actor)
    if link.state != Link.State.GONE:
        raise Incorrect(_("It has not been deleted there."))
    now = clock.now()
    others = Link.objects.filter(partner=link.partner, state=Link.State.CLEAN, origin=Link.Origin.OURS)
    others.filter(base__contains=f'"{link.type}/{link.remote_id}"').update(state=Link.State.WANTED, due_at=now)
    link.remote_id, link.remote_version, link.remote_hash, link.base = None, "", "", ""
    link.remote_last_updated = link.applied_last_updated = None
    link.state, link.due_at, link.attempts, link.origin = Link.State.UNKNOWN, now, 0, Link.Origin.OURS
    link.save()
    wakeups.after_commit("push", [link.partner_id])
    _audit([link], actor, "recreate")


@tried_again
@transaction.atomic
def discard(key: str, actor: Actor, *, reason: str, text: str = "") -> None:
    """Give up on one thing, with a code of the reasons for *discard* and words; its handoff ends with them.

    Raises `Conflict` for what gives nobody any trouble: it is exchanged, or still on its way.
    """
    _hold_loop_of(key)
    item = _find(key, actor)
    if reason not in dict(codes("discard")):
        raise Incorrect(_("Say why this is given up."))
    if not (item.mend_loop or _is_trouble(item)):
        raise Conflict(_("There is nothing to give up here: it was exchanged, or is on its way."))
    _give_up(item)
    mending.discarded(item, actor, reason, text)
    _audit([item], actor, "discard", {"reason": reason})


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


def _hold_loop_of(key: str) -> None:
    """Lock the loop of its mend-exchange, which comes before the item for everybody (docs/decisions/0124)."""
    item = _rows(key).first()
    if item is not None and item.mend_loop:
        locking.loops([item.mend_loop])


def _is_trouble(item: Item) -> bool:
    troubled = status.trouble_of_links() if isinstance(item, Link) else status.trouble_of_items()
    return type(item)._default_manager.filter(troubled, pk=item.pk).exists()  # noqa: SLF001


def _rows(key: str) -> QuerySet[Item]:
    """The item of that key; nothing for what is none."""
    kind, _slash, number = key.partition("/")
    rows = mending.ABOUT.get(kind, Link)._default_manager.all()  # noqa: SLF001
    is_key = kind in mending.ABOUT and number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER
    return rows.filter(pk=number) if is_key else rows.none()


def _find(key: str, actor: Actor) -> Item:
    """The item, locked; `NotFound` for none, and for one whose steward the actor isn't."""
    found = _rows(key).select_for_update(of=("self",)).select_related("partner__steward_pool").first()
    if found is None or not may(actor, found.partner.steward_pool.organization):
        raise NotFound(_("There is no such item in the exchange."))
    return found


def _link(key: str, actor: Actor) -> Link:
    item = _find(key, actor)
    if not isinstance(item, Link):
        raise Incorrect(_("This came from the partner: it can be tried again or discarded."))
    return item


def _lock(chosen: status.Filter) -> list[Item]:
    """Everything in trouble that the filter chooses, locked; what waits for another comes with what is quarantined."""
    links = Link.objects.select_for_update(of=("self",)).filter(status.trouble_of_links() & chosen.query())
    also = Q(state__in=RETRIED_ITEMS)
    items = Inbox.objects.select_for_update(of=("self",)).filter(also & chosen.query())
    with_pool = "partner__steward_pool"
    return [*links.select_related(with_pool).order_by("pk"), *items.select_related(with_pool).order_by("pk")]


def _raw(item: Item) -> str:
    return item.body if isinstance(item, Inbox) else item.base


def _give_up(item: Item) -> None:
    if isinstance(item, Link):
        item.state, item.due_at, item.sent_version = Link.State.CLEAN, None, item.wanted_version
        item.first_failed_at = None
    else:
        item.state, item.settled_at = Inbox.State.DISCARDED, clock.now()
    item.save()


def _retry(items: Iterable[Item]) -> None:
    now, touched = clock.now(), set[int]()
    for item in items:
        if isinstance(item, Inbox) and item.state in RETRIED_ITEMS:
            item.state, item.due_at = Inbox.State.PENDING, None
        elif isinstance(item, Link) and item.state in RETRIED_LINKS:
            is_open = item.state in {Link.State.UNKNOWN, Link.State.HELD}
            item.state = Link.State.UNKNOWN if is_open else Link.State.WANTED
            item.due_at, item.attempts, item.remote_version, item.first_failed_at = now, 0, "", None
        item.save()
        touched.add(item.partner_id)
    wakeups.after_commit("push", touched)
    wakeups.after_commit("pull", touched)


def _audit(items: Sequence[Item], actor: Actor, what: str, details: Mapping[str, str] | None = None) -> None:
    """Who has done what to which rows of the exchange; all of them are of one organisation's stewards."""
    if not items:
        return
    named = ", ".join(f"{type(item).__name__}/{item.pk}" for item in items[:20])
    partners = ", ".join(sorted({item.partner.name for item in items}))
    told = {"what": what, "number": str(len(items)), "items": named, "partner": partners, **(details or {})}
    audit.record(actor, "E", "exchange", organization=items[0].partner.steward_pool.organization, details=told)
