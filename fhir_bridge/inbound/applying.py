"""What came in, applied: translated to our references and given to `referrals.intake`, one by one, in the order of
the partner's ``lastUpdated``.

Before an item is applied, what it refers to is taken over from the partner, recognised by our link, by our identifier, or by an
identifier with the same system and value; never by a name. The network is used before the transaction, never in it.
An item that can't be applied is quarantined in full with a `mend-exchange`, and the others go on (law 9).
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from fhir_bridge import profiles
from fhir_bridge.connecting import partners
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY, MERGE_TRIES, Unreadable, Waiting
from fhir_bridge.inbound import joining, missing, names, overlooked, results, together
from fhir_bridge.inbound.items import OPEN, TAKEN, batches, close, is_late, lock, set_aside, supersede, told_at
from fhir_bridge.inbound.recognising import origin, own_id, recognise
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import comparing, conflicts
from fhir_bridge.outbound.pushing import release
from fhir_bridge.outbound.sending import Copy, side_of
from fhir_bridge.pending import inbox, mending
from fhir_bridge.sharing import references
from fhir_bridge.sharing.routing import RANKS
from records import clock, errors, json, store
from records.json import Resource
from referrals import intake
from referrals.intake import asking
from referrals.models import Handoff

log = logging.getLogger(__name__)
Progress = Callable[[Inbox], None]
Joining = Callable[[Resource], Resource]
"""What is to be written, of what is held here."""

MAX_DEPTH = 4

# Of a person or place that is ours and only recognised at the partner, these news are taken and nothing else
RELAYED = {"Patient": ("deceasedBoolean", "deceasedDateTime")}
GIVEN_UP = (Link.State.CLEAN, Link.State.HELD)  # not to be sent: by a person's decision, or the patient's
ON_ITS_WAY = (Link.State.WANTED, Link.State.INFLIGHT, Link.State.UNKNOWN)


def apply_pending(
    partner: Partner,
    *,
    server: Server | None = None,
    progress: Progress | None = None,
    seconds: float = float("inf"),
) -> Counter[str]:
    """Apply what is pending and try again what waits; give how many items ended in each state.

    After ``seconds`` no further item is begun. Several workers share the items of a partner; of one resource an older
    version is always applied before a newer one.
    """
    outcome: Counter[str] = Counter()
    connected = server or partners.connect(partner)
    until = time.monotonic() + seconds
    for pks in batches(partner):
        for item, state in _applied(partner, connected, pks, until):
            outcome[state] += bool(state)
            if state and progress:
                progress(item)
        if time.monotonic() > until:
            break
    return +outcome


def _applied(partner: Partner, server: Server, pks: Sequence[int], until: float) -> Iterator[tuple[Inbox, str]]:
    """Apply these items, those that may together first, and give each with its state."""
    applied, busy = together.apply(partner, pks)
    for row in applied:
        yield row, str(Inbox.State.APPLIED)
    rows = Inbox.objects.filter(partner__state=Partner.State.ACTIVE, state__in=OPEN)
    left = set(rows.filter(pk__in=pks).values_list("pk", flat=True)) - busy
    for pk in filter(left.__contains__, pks):
        if time.monotonic() > until:
            return
        for item in rows.filter(pk=pk):
            yield item, _Application(partner, server).apply(item)


class _Application:
    """One item's way in, with what it refers to; ``busy`` cuts circles of references.

    ``lacking`` are items that went on, after long, ``without`` what they depend on: refused, a new one waits on for it.
    """

    def __init__(self, partner: Partner, server: Server) -> None:
        self.partner, self.server = partner, server
        self.busy: set[tuple[str, str]] = set()
        self.without, self.lacking = set[missing.Target](), set[int]()

    def apply(self, item: Inbox, depth: int = 0) -> str:
        """Settle one item; give its state, empty when another worker has it."""
        self.busy.add((item.type, item.remote_id))
        try:
            return self._settle(item, depth)
        except AWAY:
            raise
        except (Waiting, errors.Unavailable) as error:
            return set_aside(item, Inbox.State.WAITING, error)
        except errors.BatonError as error:
            waits = item.pk in self.lacking and not missing.is_linked(item)
            return set_aside(item, Inbox.State.WAITING if waits else Inbox.State.QUARANTINED, error)
        except (OperationalError, InterfaceError):  # the database is away, which is not the item's fault
            raise
        except Exception as error:  # noqa: BLE001 (whatever one item does to us, the next one goes on)
            log.error("inbox item %s: %s", item.pk, type(error).__name__)  # noqa: TRY400 (a trace may quote its values)
            return set_aside(item, Inbox.State.QUARANTINED, errors.Incorrect("It could not be understood."))

    def _settle(self, item: Inbox, depth: int) -> str:
        if item.error_category == Unreadable.__name__:
            return names.read_anew(self.partner, self.server, item)
        body = store.parse(item.body.encode())
        if body.get("id") != item.remote_id or not references.is_id(item.remote_id):
            raise errors.Incorrect("Its id is none that FHIR allows.")
        self._take_over(item, body, depth)
        return self._apply(item, body)

    def _take_over(self, item: Inbox, body: Resource, depth: int) -> None:
        """Read and apply what the item refers to and what is not here yet."""
        targets = references.pointed(body, self.partner.base_url)
        wanted = {each for each in targets - self.busy if each[0] in TAKEN} if depth < MAX_DEPTH else set()
        rows = Link.objects.filter(partner=self.partner, remote_id__in={id_ for _type, id_ in wanted})
        for target in sorted(wanted - set(rows.values_list("type", "remote_id"))):
            self.busy.add(target)
            if self._goes_without(item, body, target, depth):
                self.without.add(target)
        if self.without & targets:
            self.lacking.add(item.pk)

    def _goes_without(self, item: Inbox, body: Resource, target: missing.Target, depth: int) -> bool:
        """Have what an item refers to; whether it goes on without something that its meaning depends on."""
        resting_since = missing.rests(self.partner, target)
        if resting_since is not None:
            return missing.passes(item, body, target, resting_since)
        try:
            found = self.server.read(*target).resource or {}
        except errors.BatonError as error:
            return missing.let_pass(item, body, target, error)
        missing.wake(self.partner, target)
        overlooked.put(self.partner, [found])
        rows = Inbox.objects.filter(partner=self.partner, type=target[0], remote_id=target[1])
        row = rows.filter(content_hash=inbox.content_hash(found)).last()
        if row is not None and _is_to_be_mended(row):
            return missing.passes(item, body, target, row.received_at)
        if row is None or row.state not in OPEN:
            return False
        self.apply(row, depth + 1)
        row.refresh_from_db(fields=["state"])  # another worker may have it, and not be through
        return (row.state in OPEN or _is_to_be_mended(row)) and missing.passes(item, body, target, row.received_at)

    @transaction.atomic
    def _apply(self, item: Inbox, body: Resource) -> str:
        row = Inbox.objects.select_for_update(skip_locked=True).filter(pk=item.pk, state__in=OPEN).first()
        if row is None:
            return ""
        lock(self.partner, {(item.type, item.remote_id), *results.listed(self.partner, body)})
        link = self._link(item, body)
        if link is not None and is_late(link, row):
            mending.mended(row)
            return close([row], Inbox.State.DISCARDED, "It came after a newer version.")
        translated = self._in_core(self._translated(body), link)
        _needs_its_request(link, translated, self.partner)
        if link is None:
            self._first(row, body, translated)
        else:
            self._again(link, row, body, translated)
        mending.mended(row)
        if row.type == "Task":
            supersede(row)
        return close([row], Inbox.State.APPLIED)

    def _link(self, item: Inbox, body: Resource) -> Link | None:
        """The link of a partner's resource. One that we sent and never heard of waits until we know what came of it.

        One statement looks for both: between two, another worker may hear what came of it.
        """
        named = Q(local_id=own_id(body), remote_id=None)
        links = Link.objects.filter(named | Q(remote_id=item.remote_id), partner=self.partner, type=item.type)
        link = links.order_by(F("remote_id").asc(nulls_last=True)).first()
        if link is None or link.remote_id is not None:
            return link
        if link.state in ON_ITS_WAY:
            raise Waiting("It waits until we know what came of our own sending of it.")
        return self._arrived(link, body)

    def _arrived(self, link: Link, body: Resource) -> Link:
        """What we sent and took for refused is there, as its identifier says: it is linked, and looked at again."""
        link.remote_id = str(body["id"])
        if link.state not in GIVEN_UP:
            link.state, link.due_at, link.attempts = Link.State.UNKNOWN, clock.now(), 0
        link.save(update_fields=["remote_id", "state", "due_at", "attempts"])
        return link

    def _translated(self, body: Resource) -> Resource:
        return comparing.inward(self.partner, body)

    def _in_core(self, translated: Resource, link: Link | None) -> Resource:
        """A partner's Task in the words of core; of which kind of loop its codes speak, our handoff says."""
        profile = profiles.PROFILES[self.partner.profile]
        if translated["resourceType"] != "Task":
            return translated
        kind = self._kind(link, translated) if profile.reads else "referral"
        return profiles.inward(translated, profile, settings.BATON_BASE_URL, kind)

    @staticmethod
    def _kind(link: Link | None, task: Resource) -> str:
        handoff = Handoff.objects.filter(pk=link.local_id if link else own_id(task))
        return handoff.values_list("loop__kind", flat=True).first() or "referral"

    def _first(self, row: Inbox, body: Resource, translated: Resource) -> None:
        """A resource that is not linked yet: one that we know by its identifiers, or a new one."""
        held = self._known(translated)
        link = Link(
            partner=self.partner,
            type=row.type,
            local_id=held or clock.new_id(),
            origin=origin(self.partner, translated, held),
            follows=held is None,
            rank=RANKS.get(row.type, 0),
            applied_last_updated=row.last_updated,
        )
        Copy.of(body).onto(link)
        link.save()  # before it is received: what that writes must find the link
        if held is not None and row.type == "Task":
            self._join(link, row, self._merged(None, link, translated))
        elif held is None:
            self._follow(link, translated, row)

    def _follow(self, link: Link, translated: Resource, row: Inbox) -> None:
        """Take in what is new here; a report that lists it is heard again, now that we have it."""
        version = self._receive(link, translated, row.last_updated)
        if row.type != "Task":  # a Task of theirs has elements that are ours to send
            Link.objects.filter(pk=link.pk).update(wanted_version=version, sent_version=version)
        for listing in results.listing(self.partner, link):
            report = self._translated(json.loads(listing.base))
            version = self._receive(listing, report, listing.applied_last_updated)
            Link.objects.filter(pk=listing.pk).update(wanted_version=version, sent_version=version)

    def _known(self, translated: Resource) -> str | None:
        """As `recognise`; a Task may stand for what its request has opened here before."""
        held = recognise(self.partner, translated)
        if held is not None or translated["resourceType"] != "Task":
            return held
        return self._asked(translated) or None

    def _asked(self, translated: Resource) -> str:
        """The handoff that a Task of theirs stands for, and no other one does; empty for a record."""
        asked = asking.take_up(translated, partners.actor(self.partner))
        return "" if joining.is_taken(self.partner, asked) else asked

    def _again(self, link: Link, row: Inbox, body: Resource, translated: Resource) -> None:
        """A new version of what is linked: a Task is merged by the owners of its elements, a copy follows."""
        at = told_at(link, row)
        changes: dict[str, object] = {"applied_last_updated": at}
        if link.type == "Task":
            self._merge(link, row, translated)
        elif link.follows:
            changes["wanted_version"] = changes["sent_version"] = self._receive(link, translated, at)
        else:
            self._relay(link, translated, row)
        if link.remote_last_updated is None or row.last_updated is not None:
            Copy.of(body).onto(link)
            copied = ("remote_version", "remote_last_updated", "remote_hash", "base")
            changes |= {name: getattr(link, name) for name in copied}
        if link.state == Link.State.GONE:
            changes |= mending.back(link)
        if link.state == Link.State.CONFLICT:
            changes |= self._reconciled(link)
        Link.objects.filter(pk=link.pk).update(**changes)
        release(self.partner.pk)

    def _merge(self, link: Link, row: Inbox, translated: Resource) -> None:
        """Join what a Task of theirs says now with ours; one that was a record may stand for a handoff from now on."""
        asked = self._asked(translated) if link.follows else ""
        if asked:
            joining.stand_for(link, asked)
        base = self._translated(json.loads(link.base)) if link.base else None
        self._join(link, row, self._merged(base, link, translated))

    @staticmethod
    def _reconciled(link: Link) -> dict[str, object]:
        """What they say now, and what has become of ours by it, may fit together; what is only recognised is left to them."""
        if link.is_only_recognised:
            return mending.left(link)
        return {"state": Link.State.WANTED, "due_at": clock.now(), "attempts": 0}

    @staticmethod
    def _merged(base: Resource | None, link: Link, translated: Resource) -> Joining:
        side = side_of(link)

        def joined(held: Resource) -> Resource:
            body = conflicts.merge(base, held, translated, side).body
            return conflicts.with_word_of_placer(body, base, held, translated) if side == "performer" else body

        return joined

    def _relay(self, link: Link, translated: Resource, row: Inbox) -> None:
        """Of a resource that is ours or shared, only the news that a partner may bring."""
        base = json.loads(link.base) if link.base else {}
        news = {
            element: translated[element]
            for element in RELAYED.get(link.type, ())
            if element in translated and not conflicts.same(translated[element], base.get(element))
        }
        if news:
            self._join(link, row, lambda held: {**held, **news})

    def _join(self, link: Link, row: Inbox, joined: Joining) -> None:
        """Receive what theirs makes of ours; what is written here between the reading and the writing is read anew.

        Not under a lock of the resource: whoever writes a loop's Task locks the loop first.
        """
        for _try in range(MERGE_TRIES):
            held = store.read(link.type, link.local_id)
            with suppress(errors.Stale):
                self._receive(link, joined(json.loads(held.body)), told_at(link, row), if_match=held.version)
                return
        raise Waiting("It waits until others have written what it is about.")

    def _receive(self, link: Link, resource: Resource, at: datetime | None, if_match: int | None = None) -> int:
        """Through the one door, with our id and the partner's time ``at``; give the local version."""
        meta = {key: value for key, value in resource.get("meta", {}).items() if key != "versionId"}
        if at:
            meta["lastUpdated"] = at.isoformat()
        ours = {**resource, "id": link.local_id, "meta": meta}
        audience = [self.partner.tenant] if self.partner.tenant else []
        sender = partners.actor(self.partner)
        return intake.receive(ours, sender, if_match=if_match, audience=audience).written.version


def _is_to_be_mended(row: Inbox) -> bool:
    """Whether it is an order that could not be applied: what names it waits for somebody who mends it."""
    return row.type == "ServiceRequest" and row.state == Inbox.State.QUARANTINED


def _needs_its_request(link: Link | None, translated: Resource, partner: Partner) -> None:
    """A partner's Task waits for the request that it is about."""
    focus = translated.get("focus", {})
    unknown = str(focus.get("reference", "")).startswith(f"{partner.base_url}/ServiceRequest/")
    if translated["resourceType"] == "Task" and link is None and unknown:
        raise Waiting("It waits for the request that it is about.")
