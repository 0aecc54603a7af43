"""One resource of a load on its way in: where it will be, its references, and the one door, which opens no loop.

Of people and places that are known here by an identifier of the world's, nothing is changed: they are recognised. What
is linked with the partner already and has other content goes the usual way, through the Inbox; so does what says by our
identifier that it is ours, linked or not yet: it was sent there.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from urllib.parse import unquote

from django.db import transaction

from fhir_bridge.connecting import partners
from fhir_bridge.inbound import items, recognising
from fhir_bridge.loading.catalog import Catalog
from fhir_bridge.loading.entries import MAX_ENTRY
from fhir_bridge.models import Link, Load
from fhir_bridge.outbound.identity import DIRECTORY
from fhir_bridge.outbound.sending import Copy
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import addressees
from fhir_bridge.sharing.routing import RANKS
from records import access, errors, parse, references, store
from records.access import Actor
from records.json import Resource
from records.store import Written
from referrals import intake

PLACES = DIRECTORY | {"Location"}
_OURS = uuid.UUID("6f0f3c6e-5d0b-5c7a-9b0e-1f7d2f3f9a11")


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource as it came. ``raw`` is its text, ``full_url`` what a Bundle calls it."""

    part: str
    position: int
    raw: bytes
    full_url: str = ""
    resource: Resource = field(default_factory=dict)

    @property
    def key(self) -> str:
        """``Type/id`` at the source."""
        return f"{self.resource.get('resourceType', '')}/{self.resource.get('id', '')}"


def entry(part: str, position: int, raw: bytes, *, in_bundle: bool) -> Entry:
    """Parse one; raise `Malformed` or `Incorrect` for what is none. An entry without an id is called by its full URL."""
    if not raw:
        raise errors.Malformed("The file ends in the middle of it.")
    if not in_bundle:
        return _named(Entry(part, position, raw, "", parse.parse(raw)))
    # the guards are those of a resource, so it gets an envelope that is one
    body = parse.parse(b'{"resourceType":"Bundle","entry":[' + raw + b"]}", limit=MAX_ENTRY)["entry"][0]
    resource = body.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise errors.Incorrect("This entry holds no resource to keep.")
    return _named(Entry(part, position, raw, str(body.get("fullUrl", "")), resource))


def _named(one: Entry) -> Entry:
    if isinstance(one.resource.get("id"), str):
        return one
    if not one.full_url:
        raise errors.Incorrect("A resource without an id can't be told from another one.")
    id_ = one.full_url.rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    return Entry(one.part, one.position, one.raw, one.full_url, {**one.resource, "id": id_})


class Taking:
    """The load of one source: who brings it, and for whom."""

    def __init__(self, load: Load, catalog: Catalog) -> None:
        self.load, self.catalog = load, catalog
        # what is referred to and nowhere to be found must not lead to a resource here that has the same id by chance
        self.base_url = load.partner.base_url if load.partner else f"https://import.invalid/{load.organization}"
        self.actor = (
            partners.actor(load.partner)
            if load.partner
            else Actor(f"import:{load.organization}", "partner", "Import", organization=load.organization)
        )
        tenant = load.partner.tenant if load.partner else load.organization
        self.audience = [tenant] if tenant else []

    # Before anything is written: where it all will be

    def place(self, entries: Sequence[Entry]) -> None:
        """Note where these will be."""
        linked = self._linked(entries)
        for one in entries:
            link = linked.get(one.key)
            local_id = link.local_id if link else self._recognised(one.resource) or self._new_id(one.key)
            reference = f"{one.resource['resourceType']}/{local_id}"
            for name in self._names(one):
                self.catalog.put(name, reference)

    def _linked(self, entries: Sequence[Entry]) -> dict[str, Link]:
        if self.load.partner is None:
            return {}
        ids = [str(one.resource["id"]) for one in entries]
        rows = Link.objects.filter(partner=self.load.partner, remote_id__in=ids).defer("base")
        return {f"{row.type}/{row.remote_id}": row for row in rows}

    def _new_id(self, key: str) -> str:
        """The same each time, and nobody else's: an id of the source may be in use here for another resource."""
        return str(uuid.uuid5(_OURS, f"{self.base_url}/{key}"))

    def _recognised(self, resource: Resource) -> str:
        """What of ours a partner's says it is, or the one person or place here that has an identifier of it; two are none."""
        is_place = resource["resourceType"] in PLACES
        own = recognising.own_id(resource) if is_place or self.load.partner else ""
        if not is_place:
            return own
        found = {own} if own else recognising.bearing(resource)
        return found.pop() if len(found) == 1 else ""

    def _names(self, one: Entry) -> Iterator[str]:
        yield one.key
        if one.full_url:
            yield one.full_url
        yield f"{self.base_url}/{one.key}"
        if one.resource["resourceType"] in PLACES | {"PractitionerRole", "HealthcareService"}:
            for system, value in addressees.identifiers(one.resource):
                yield f"{one.resource['resourceType']}?identifier={system}|{value}"

    # Writing

    def take(self, one: Entry) -> str:
        """Take one in, in the caller's transaction; give what became of it. Raises what the door raises."""
        known = self._linked([one]).get(one.key)
        if known is not None or self._is_ours(one):
            return self._again(one, known)
        local_id = self._place_of(one)
        is_recognised = self._is_recognised(one, local_id)
        link = self._new_link(one, local_id, follows=not is_recognised)
        if link is not None:
            link.save()  # before it is received: what that writes must find it
        if is_recognised:
            return "recognised"
        written = intake.receive(
            self.translated(one, local_id), self.actor, audience=self.audience, opens=False
        ).written
        if link is not None:
            Link.objects.filter(pk=link.pk).update(wanted_version=written.version, sent_version=written.version)
        return "written" if written.changed else "unchanged"

    def take_together(self, entries: Sequence[Entry]) -> dict[int, str]:
        """Take in at once those of these that are new to the exchange and only have to be kept, type by type.

        Gives what became of them by position; the others have to be taken alone.
        """
        became: dict[int, str] = {}
        for type_, found in groupby(sorted(entries, key=_type_of), key=_type_of):
            if type_ in intake.TOGETHER_OF_LOADS:
                with suppress(*items.SPOILING), transaction.atomic():
                    became |= self._take_together(list(found))
        return became

    def _take_together(self, entries: Sequence[Entry]) -> dict[int, str]:
        linked = self._linked(entries)
        new = [one for one in entries if one.key not in linked and not self._is_ours(one)]
        fresh = {one.key: one for one in reversed(new)}  # of each resource the first
        ids = {key: self._place_of(one) for key, one in fresh.items()}
        links = {id_: link for key, id_ in ids.items() if (link := self._new_link(fresh[key], id_)) is not None}
        Link.objects.bulk_create(links.values())  # before they are received: what that writes must find them
        bodies = [self.translated(one, ids[key]) for key, one in fresh.items()]
        written = intake.receive_together(bodies, self.actor, audience=self.audience, opens=False)
        self._note(links, written)
        return {
            one.position: "written" if written[ids[key]].changed else "unchanged"
            for key, one in fresh.items()
            if ids[key] in written
        }

    @staticmethod
    def _note(links: Mapping[str, Link], written: Mapping[str, Written]) -> None:
        """Let the links say which version each has; what was not written is linked when it is taken alone."""
        unwritten = [link.pk for id_, link in links.items() if id_ not in written]
        if unwritten:
            Link.objects.filter(pk__in=unwritten).delete()
        kept = [link for id_, link in links.items() if id_ in written]
        for link in kept:
            link.wanted_version = link.sent_version = written[link.local_id].version
        if kept:
            Link.objects.bulk_update(kept, ["wanted_version", "sent_version"])

    def _place_of(self, one: Entry) -> str:
        """Its id here, as it was noted."""
        type_ = one.resource["resourceType"]
        return (self.catalog.get(one.key) or f"{type_}/{self._new_id(one.key)}").partition("/")[2]

    def _again(self, one: Entry, known: Link | None) -> str:
        """What is linked is compared; a change goes through the Inbox, in order with all other changes."""
        if self.load.partner is None or (known and known.remote_hash == inbox.content_hash(one.resource)):
            return "unchanged"
        return "queued" if inbox.put(self.load.partner, [one.resource]) else "unchanged"

    def _is_ours(self, one: Entry) -> bool:
        """Whether the partner has had it of us, as it says: by which link is found out where it is applied."""
        return self.load.partner is not None and bool(recognising.own_id(one.resource))

    def _is_on_its_way(self, one: Entry, local_id: str) -> bool:
        """Whether ours is to be sent to the partner, which will find this one there by the same identifier."""
        links = Link.objects.filter(partner=self.load.partner, type=one.resource["resourceType"], local_id=local_id)
        return links.filter(remote_id=None).exists()

    def _is_recognised(self, one: Entry, local_id: str) -> bool:
        """Whether it is somebody or something that was here before this load."""
        if one.resource["resourceType"] not in PLACES or local_id == self._new_id(one.key):
            return False
        return bool(store.read(one.resource["resourceType"], local_id))

    def _new_link(self, one: Entry, local_id: str, *, follows: bool = True) -> Link | None:
        """The link of what comes from a partner, not yet saved; none of what is only recognised and gets one by our own sending."""
        if self.load.partner is None or (not follows and self._is_on_its_way(one, local_id)):
            return None
        link = Link(
            partner=self.load.partner,
            type=one.resource["resourceType"],
            local_id=local_id,
            origin=Link.Origin.THEIRS,
            follows=follows,
            rank=RANKS.get(one.resource["resourceType"], 0),
            applied_last_updated=inbox.last_updated(one.resource),
        )
        Copy.of(one.resource).onto(link)
        return link

    def translated(self, one: Entry, local_id: str) -> Resource:
        """The resource with our id and our references; ``meta.versionId`` is the source's own affair."""
        body = references.rewrite(one.resource, self._local)
        meta = {name: value for name, value in body.get("meta", {}).items() if name != "versionId"}
        rest = {name: value for name, value in body.items() if name != "meta"}
        return {**rest, "id": local_id, **({"meta": meta} if meta else {})}

    def _local(self, reference: str) -> str | None:
        """Where a reference will lead; None keeps it as it is, but for a relative one, which is the source's."""
        url, mark, fragment = reference.partition("#")
        if not url:
            return None
        versionless = url.partition("/_history/")[0]
        found = self.catalog.get(versionless) or self.catalog.get(unquote(versionless)) or self._here(versionless)
        if found:
            return f"{found}{mark}{fragment}"
        is_relative = references.split(versionless) is not None
        return f"{self.base_url}/{versionless}" if is_relative else None

    def _here(self, reference: str) -> str | None:
        """What is not in the load, and here already: linked with the partner, or named by its identifier."""
        key = references.split(reference.removeprefix(f"{self.base_url}/"))
        if key and self.load.partner is not None:
            rows = Link.objects.filter(partner=self.load.partner, type=key[0], remote_id=key[1])
            local_id = rows.values_list("local_id", flat=True).first()
            return f"{key[0]}/{local_id}" if local_id else None
        type_, asked, token = unquote(reference).partition("?identifier=")
        system, bar, value = token.partition("|")
        if not (asked and bar and access.POLICIES.get(type_)):
            return None
        found = store.find_by_identifier(type_, system, value)
        return f"{type_}/{found[0].id}" if len(found) == 1 else None


def _type_of(one: Entry) -> str:
    return str(one.resource["resourceType"])
