"""What the exchange can't settle by itself becomes a person's work: a `mend-exchange` handoff in an upkeep loop.

Its owner is the partner's steward pool; it neither blocks nor reopens the patient's loop (DESIGN §6). There is one at
a time per link or inbox item; when the exchange succeeds after all, Baton ends it as mended.
"""

from collections.abc import Mapping

from fhir_bridge.connecting.retries import Unreadable
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.pending import inbox
from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import BatonError
from records.json import Resource
from referrals import workflow
from referrals.models import Handoff, Loop

Item = Link | Inbox
ABOUT: Mapping[str, type[Item]] = {"Link": Link, "Inbox": Inbox}
URGENT = frozenset({"stat", "asap", "urgent"})
RESULTS = frozenset({"DiagnosticReport", "Observation"})


def open_for(item: Item) -> None:
    """Open the item's mend-exchange, unless one is open; in the caller's transaction. The row is saved."""
    if _handoff(item) is not None:
        return
    loop = workflow.open_handoff_loop(
        "upkeep",
        "mend-exchange",
        about=f"{type(item).__name__}/{item.pk}",
        accountable_pool=item.partner.steward_pool,
        priority=_priority(item),
        title=" · ".join(part for part in (item.partner.name, item.type) if part),
        actor=SYSTEM,
    )
    item.mend_loop = loop.pk
    item.save(update_fields=["mend_loop"])


def unreadable(partner: Partner, resource: Resource) -> None:
    """Quarantine what a partner has and nobody can read; ``resource`` is what is known of it. Once per version."""
    if not inbox.put(partner, [resource]):
        return
    row = Inbox.objects.get(
        partner=partner,
        type=resource["resourceType"],
        remote_id=str(resource.get("id", "")),
        version_id=inbox.key_of(resource),
        content_hash=inbox.content_hash(resource),
    )
    row.state, row.error_category = Inbox.State.QUARANTINED, Unreadable.__name__
    row.error_text = "The partner's answer can't be read."
    row.save(update_fields=["state", "error_category", "error_text"])
    open_for(row)


def mended(item: Item) -> None:
    """End the item's mend-exchange: the exchange has succeeded."""
    _end(item, "mend", SYSTEM, {})


def back(link: Link) -> dict[str, object]:
    """End the mend-exchange of what was deleted there and is there again; give what changes in the link.

    What was changed here meanwhile is sent now.
    """
    told = left(link)
    link.refresh_from_db(fields=["wanted_version", "sent_version"])
    if link.wanted_version <= link.sent_version:
        return told
    return told | {"state": Link.State.WANTED, "due_at": clock.now()}


def left(link: Link) -> dict[str, object]:
    """End the mend-exchange of what there is nothing to send of; give what changes in the link."""
    mended(link)
    told: dict[str, object] = {"attempts": 0, "first_failed_at": None, "error_category": "", "error_text": ""}
    return told | {"state": Link.State.CLEAN}


def discarded(item: Item, actor: Actor, reason: str, text: str) -> None:
    """End the item's mend-exchange as discarded by a person, with a code of its reasons and words."""
    _end(item, "discard", actor, {"reason": reason, "reason_text": text})


def item_of(loop: Loop) -> Item | None:
    """The item that an upkeep loop is about, locked; None when it is about another thing or a later loop's by now."""
    kind, _slash, number = loop.about.partition("/")
    model = ABOUT.get(kind)
    if model is None or not number.isdigit():
        return None
    found: Item | None = (
        model._default_manager.select_for_update().filter(pk=number, mend_loop=loop.pk).first()  # noqa: SLF001
    )
    return found


def _end(item: Item, action: str, actor: Actor, data: Mapping[str, str]) -> None:
    handoff = _handoff(item)
    if handoff is not None:
        workflow.perform(handoff.pk, action, actor, data=data)
    if item.mend_loop:
        item.mend_loop = ""
        item.save(update_fields=["mend_loop"])


def _handoff(item: Item) -> Handoff | None:
    if not item.mend_loop:
        return None
    return Handoff.objects.filter(loop=item.mend_loop, closed_at__isnull=True).first()


def _priority(item: Item) -> str:
    """As urgent as the care that waits for it; what a report says that nobody can read may be critical."""
    if not isinstance(item, Link):
        return "urgent" if item.type in RESULTS else "routine"
    if item.type not in {"Task", "ServiceRequest"}:
        return "routine"
    try:
        priority = str(store.get(item.type, item.local_id).get("priority", "routine"))
    except BatonError:
        return "routine"
    return priority if priority in URGENT else "routine"
