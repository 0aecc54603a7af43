"""How the exchange with each partner stands, for the sync page and for commands. Reads only; no patient data."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from fhir_bridge.capabilities.choices import WAYS, Choice
from fhir_bridge.connecting import circuit
from fhir_bridge.inbound import unread
from fhir_bridge.models import Inbox, Link, Partner, Reconciliation, Subscription
from fhir_bridge.pending import ageing
from records import clock

WORKING = (Link.State.WANTED, Link.State.INFLIGHT, Link.State.UNKNOWN)
TROUBLED = (Link.State.STUCK, Link.State.CONFLICT, Link.State.GONE, Link.State.HELD)
UNAPPLIED = (Inbox.State.PENDING, Inbox.State.WAITING)
DEFAULT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Unread:
    """A type of which nothing, or not all, could be read since then, and what was answered the last time."""

    type: str
    since: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class PartnerStatus:
    """One partner: ``links`` and ``inbox`` are counts per state, ``oldest_at`` since when the oldest write waits.

    ``unapplied_since`` is when the oldest thing came that is not applied yet.

    ``silent_since`` is set when nothing was heard beyond the partner's window of silence. ``circuit`` is closed, open or
    half-open (`fhir_bridge.connecting.circuit`) after ``failures`` in a row; nothing is asked before ``not_before_at``.
    ``unread`` are the types that it doesn't let us read for longer than it may be silent.
    """

    id: int
    name: str
    base_url: str
    organization: str
    state: str
    state_reason: str
    last_success_at: datetime | None
    last_error: str
    last_failure_at: datetime | None
    silent_since: datetime | None
    oldest_at: datetime | None
    links: dict[str, int] = field(default_factory=dict)
    inbox: dict[str, int] = field(default_factory=dict)
    circuit: str = "closed"
    failures: int = 0
    failing_since: datetime | None = None
    not_before_at: datetime | None = None
    unapplied_since: datetime | None = None
    unread: tuple[Unread, ...] = ()

    @property
    def waiting(self) -> int:
        """Writes that have not arrived yet."""
        return sum(self.links.get(state, 0) for state in WORKING)

    @property
    def troubled(self) -> int:
        """What a person has to look at."""
        return sum(self.links.get(state, 0) for state in TROUBLED) + self.inbox.get(Inbox.State.QUARANTINED, 0)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The last reading by id of one scope (`Reconciliation.Scope`), and what it has found; ``finished_at`` None: it goes on."""

    scope: str
    started_at: datetime
    finished_at: datetime | None
    read: int
    changed: int
    missing: int
    differing: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that a person has to look at: a link or an inbox item, by ``key`` ("Link/7", "Inbox/9").

    ``due_at`` is when it is tried again by itself; None for in the next round, or not at all.
    """

    key: str
    partner: str
    type: str
    local_id: str
    remote_id: str
    state: str
    category: str
    text: str
    since: datetime | None
    attempts: int
    loop_id: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which troubles: each of them equal to what is given, empty for all. ``category`` is the class of the error."""

    partner: str = ""
    type: str = ""
    state: str = ""
    category: str = ""

    def query(self) -> Q:
        """The condition, the same for links and inbox items."""
        named = {"partner__name": self.partner, "type": self.type, "state": self.state, "error_category": self.category}
        return Q(**{name: value for name, value in named.items() if value})

    def told(self) -> dict[str, str]:
        """What it asks for, by name."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def overview(organization: str | None = None) -> list[PartnerStatus]:
    """Every partner (or those whose steward pool belongs to that root Organization), in five queries."""
    partners = Partner.objects.all()
    if organization is not None:
        partners = partners.filter(steward_pool__organization=organization)
    chosen = list(partners)
    links = _counts(Link, chosen)
    inbox = _counts(Inbox, chosen)
    oldest = dict(
        Link.objects.filter(partner__in=chosen, state__in=WORKING)
        .values_list("partner")
        .annotate(at=Min("first_failed_at"))
    )
    unapplied = dict(
        Inbox.objects.filter(partner__in=chosen, state__in=UNAPPLIED)
        .values_list("partner")
        .annotate(at=Min("received_at"))
    )
    types = unread.types(clock.now())
    return [
        replace(
            _status(each, links.get(each.pk, {}), inbox.get(each.pk, {}), oldest.get(each.pk)),
            unapplied_since=unapplied.get(each.pk),
            unread=tuple(
                Unread(mark.type, mark.failing_since, mark.error_text) for mark in types if mark.partner_id == each.pk
            ),
        )
        for each in chosen
    ]


def health(each: PartnerStatus) -> dict[str, Any]:
    """Everything that the sync page says of a partner, as plain values and aware instants (UTC), for programs."""
    return {
        **asdict(each),
        "waiting": each.waiting,
        "troubled": each.troubled,
        "ways": {aspect: asdict(choice) for aspect, choice in ways(each.id).items()},
        "reconciled": [asdict(run) for run in reconciled(each.id)],
        "subscriptions": [asdict(told) for told in subscriptions(each.id)],
    }


def of(partner: Partner) -> PartnerStatus:
    """One partner."""
    return next(each for each in overview() if each.id == partner.pk)


def troubles(
    partner_id: int | None = None,
    *,
    organization: str | None = None,
    chosen: Filter | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[Trouble]:
    """What is stuck, in conflict, gone, held, tried for long, or quarantined; the oldest first.

    Of more than ``limit`` what is to be sent and what has come each have a half of it: neither hides the other.
    """
    scope = _scope(partner_id, organization, chosen)
    links = Link.objects.filter(trouble_of_links() & scope).select_related("partner").order_by("first_failed_at", "pk")
    items = Inbox.objects.filter(trouble_of_items() & scope).select_related("partner").order_by("received_at", "pk")
    sent, come = list(map(_of_link, links[:limit])), list(map(_of_item, items[:limit]))
    of_links = min(len(sent), max(limit // 2, limit - len(come)))
    found = [*sent[:of_links], *come[: limit - of_links]]
    return sorted(found, key=lambda one: one.since or clock.now())


def number_of_troubles(
    partner_id: int | None = None, *, organization: str | None = None, chosen: Filter | None = None
) -> int:
    """How many there are in all, whatever is listed of them."""
    scope = _scope(partner_id, organization, chosen)
    links = Link.objects.filter(trouble_of_links() & scope).count()
    return links + Inbox.objects.filter(trouble_of_items() & scope).count()


def _scope(partner_id: int | None, organization: str | None, chosen: Filter | None) -> Q:
    scope = (chosen or Filter()).query()
    if partner_id is not None:
        scope &= Q(partner=partner_id)
    if organization is not None:
        scope &= Q(partner__steward_pool__organization=organization)
    return scope


def trouble_of_links() -> Q:
    """The links that a person has to look at."""
    return Q(state__in=TROUBLED) | ageing.old_links(clock.now())


def trouble_of_items() -> Q:
    """What came in and a person has to look at."""
    return Q(state=Inbox.State.QUARANTINED) | ageing.old_items(clock.now())


def trouble(item: Link | Inbox) -> Trouble:
    """One link or inbox item, whether it is in trouble or not."""
    return _of_link(item) if isinstance(item, Link) else _of_item(item)


def reconciled(partner_id: int) -> list[Reconciled]:
    """The last reading by id of each scope: what it has found that no poll had brought."""
    last = Reconciliation.objects.filter(partner=partner_id).order_by("scope", "-started_at", "-pk").distinct("scope")
    return [Reconciled(*row) for row in last.values_list(*Reconciled.__slots__)]


def ways(partner_id: int) -> dict[str, Choice]:
    """How its Tasks are dealt with, by aspect (`fhir_bridge.capabilities.choices.WAYS`), each with its reason."""
    chosen = Partner.objects.get(pk=partner_id).ways("Task")
    return {aspect: getattr(chosen, aspect) for aspect in WAYS}


@dataclass(frozen=True, slots=True)
class Told:
    """A Subscription of ours there: of ``what`` (a type or topic) it tells us, how it stands, and what is wrong with it."""

    what: str
    state: str
    error: str
    heard_at: datetime | None


def subscriptions(partner_id: int) -> list[Told]:
    """What the partner was asked to tell us of; nothing where it takes no Subscriptions."""
    rows = Subscription.objects.filter(partner=partner_id).order_by("type", "topic")
    return [Told(row.type or row.topic, row.state, row.error_text, row.heard_at) for row in rows]


def to_mend(references: Iterable[str]) -> list[Partner]:
    """The partners with which the exchange of a loop's resources (``Type/id``, its Tasks among them) has to be mended.

    A patient's trouble counts at the partners that take part in the loop. Each partner comes with its steward pool.
    """
    named = Q(pk__in=())
    for type_, _slash, id_ in (reference.partition("/") for reference in references):
        named |= Q(type=type_, local_id=id_)
    links = list(Link.objects.filter(named).only("partner_id", "type", "remote_id", "state"))
    involved = {link.partner_id for link in links if link.type == "Task"}
    if not involved:
        return []
    affected = {link.partner_id for link in links if link.state in TROUBLED}
    known = {(link.partner_id, link.type, link.remote_id) for link in links}
    items = Inbox.objects.filter(
        partner__in=involved, state=Inbox.State.QUARANTINED, remote_id__in=[link.remote_id for link in links]
    ).values_list("partner", "type", "remote_id")
    affected |= {item[0] for item in items if item in known}
    return list(Partner.objects.filter(pk__in=affected & involved).select_related("steward_pool"))


def _of_link(link: Link) -> Trouble:
    return Trouble(
        f"Link/{link.pk}",
        link.partner.name,
        link.type,
        link.local_id,
        link.remote_id or "",
        link.state,
        link.error_category,
        link.error_text,
        link.first_failed_at,
        link.attempts,
        link.mend_loop,
        link.due_at,
    )


def _of_item(item: Inbox) -> Trouble:
    return Trouble(
        f"Inbox/{item.pk}",
        item.partner.name,
        item.type,
        "",
        item.remote_id,
        item.state,
        item.error_category,
        item.error_text,
        item.received_at,
        item.attempts,
        item.mend_loop,
        item.due_at,
    )


def _counts(model: type[Link] | type[Inbox], partners: Iterable[Partner]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    rows = model._default_manager.filter(partner__in=partners).values_list("partner", "state")  # noqa: SLF001
    for partner, state, number in rows.annotate(number=Count("pk")).order_by():
        counts.setdefault(partner, {})[state] = number
    return counts


def _status(partner: Partner, links: dict[str, int], inbox: dict[str, int], oldest: datetime | None) -> PartnerStatus:
    heard_at = partner.last_success_at or partner.created_at
    is_silent = partner.is_active and clock.now() - heard_at > timedelta(seconds=partner.silence_seconds)
    return PartnerStatus(
        partner.pk,
        partner.name,
        partner.base_url,
        partner.organization,
        partner.state,
        partner.state_reason,
        partner.last_success_at,
        partner.last_error,
        partner.last_failure_at,
        heard_at if is_silent else None,
        oldest,
        links,
        inbox,
        circuit.state_of(partner, clock.now()),
        partner.failures,
        partner.failing_since,
        partner.not_before_at,
    )
