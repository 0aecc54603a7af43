"""A partner's Task that could only be kept, as nothing here stood for it: it stands for the `fulfil` of its request from the
moment in which there is one. What it says is heard once more, and what is done here goes back to it (docs/decisions/0146).
"""

from collections.abc import Iterator, Sequence

from django.db.models import F, Q

from fhir_bridge.connecting import partners
from fhir_bridge.inbound.items import lock
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import wakeups
from records import store
from records.access import SYSTEM
from records.types import row_class
from referrals import intake
from referrals.models import Event, Loop


def follow(events: Sequence[Event]) -> None:
    """Once a loop is opened for what a partner asks of us, join the Tasks that it had sent before; see `referrals.reactions`."""
    for event in events:
        if event.action == "open" and event.loop.answer_only and event.loop.request_id:
            _join(event.loop)


def _join(loop: Loop) -> None:
    for link in _kept(loop):
        lock(link.partner, [("Task", str(link.remote_id))])
        asked = intake.tasks.stands_for(store.get("Task", link.local_id), partners.actor(link.partner))
        if asked and not is_taken(link.partner, asked):
            stand_for(link, asked)
            _hear_again(link)


def _kept(loop: Loop) -> Iterator[Link]:
    """The links of the partners' Tasks about its request that are records here."""
    named = Q(focus=loop.request_reference) | Q(based_on__contains=[loop.request_reference])
    ids = row_class("Task").rows("Task").filter(named, deleted=False).values("id")
    found = Link.objects.filter(type="Task", local_id__in=ids, origin=Link.Origin.THEIRS, follows=True)
    yield from found.select_related("partner").order_by("pk")


def is_taken(partner: Partner, handoff: str) -> bool:
    """Whether a Task of the partner's stands for that handoff already."""
    return Link.objects.filter(partner=partner, type="Task", local_id=handoff).exists()


def stand_for(link: Link, handoff: str) -> None:
    """Have it be that handoff's Task instead of a record, as if it had never been read; the record is deleted."""
    record, link.local_id, link.follows = link.local_id, handoff, False
    link.state, link.due_at, link.lease_until = Link.State.CLEAN, None, None
    link.wanted_version = link.sent_version = 0
    link.remote_version = link.remote_hash = link.base = ""
    link.applied_last_updated = None
    Link.objects.filter(pk=link.pk).update(**{name: getattr(link, name) for name in _CHANGED}, fence=F("fence") + 1)
    store.delete("Task", record, actor=SYSTEM)


_CHANGED = (
    *("local_id", "follows", "state", "due_at", "lease_until", "wanted_version", "sent_version"),
    *("remote_version", "remote_hash", "base", "applied_last_updated"),
)


def _hear_again(link: Link) -> None:
    """What was said last is applied once more, now to the handoff."""
    said = Inbox.objects.filter(partner=link.partner_id, type="Task", remote_id=link.remote_id)
    newest = said.filter(state=Inbox.State.APPLIED).order_by(F("last_updated").asc(nulls_first=True), "pk").last()
    if newest is not None:
        Inbox.objects.filter(pk=newest.pk).update(state=Inbox.State.PENDING, settled_at=None)
    wakeups.after_commit("pull", [link.partner_id])
