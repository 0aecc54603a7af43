"""One claimed link's exchange with its partner: look up, create or update. Network, and reads of our rows; no writes
but the Inbox, which gets every version of the partner's that we happen to see.

======================  ==================================================================
the link                what happens
======================  ==================================================================
never sent              search where an identifier may be known there (or where the partner
                        has no conditional create), then POST with If-None-Exist
never sent, unknown     search by our identifier first, always
at the partner          three-way merge (`fhir_bridge.outbound.conflicts`), nothing new: no request;
                        else PUT with If-Match
at the partner, stale   read first: unknown outcome, 409 or 412 before, or a partner that
                        doesn't promise If-Match
======================  ==================================================================
"""

from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from django.conf import settings

from fhir_bridge import profiles
from fhir_bridge.capabilities.choices import Create, Update
from fhir_bridge.connecting.client import Reply, Server, condition
from fhir_bridge.connecting.retries import Clash, Distorted, Mistaken, Unreadable, Waiting
from fhir_bridge.models import Inbox, Link
from fhir_bridge.outbound import conflicts
from fhir_bridge.outbound.identity import identities, is_same, look_up
from fhir_bridge.outbound.knowing import WITHOUT_IDENTIFIER, is_known_by, made_before, otherwise
from fhir_bridge.outbound.material import Key, Material, gather, linked, our_base, with_contents
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import consents, references
from fhir_bridge.sharing.addressees import Identifier
from records import errors, json, store
from records.json import Resource

# Without these nothing can be done; what else a consent holds back is named by our identifier alone
_INDISPENSABLE = frozenset({"Patient", "ServiceRequest"})
_PASSING_META = ("versionId", "lastUpdated", "source")


@dataclass(frozen=True, slots=True)
class Copy:
    """The partner's copy as last seen there."""

    remote_id: str
    version: str
    last_updated: datetime | None
    content_hash: str
    text: str

    @classmethod
    def of(cls, resource: Resource, ours: Resource | None = None) -> "Copy":
        """What a resource of the partner's says of itself; its text is the base of the next merge with ``ours``.

        Raises `Unreadable` for an id that FHIR doesn't allow: it becomes a part of addresses.
        """
        if not references.is_id(resource.get("id")):
            raise Unreadable("The partner's id of it is none that FHIR allows.")
        return cls(
            resource["id"],
            inbox.version_of(resource),
            inbox.last_updated(resource),
            inbox.content_hash(resource),
            inbox.text_of(conflicts.shared(resource, ours) if ours else resource),
        )

    def onto(self, link: Link) -> None:
        """Put it into the row; the caller saves."""
        link.remote_id, link.remote_version, link.base = self.remote_id, self.version, self.text
        link.remote_last_updated, link.remote_hash = self.last_updated, self.content_hash


@dataclass(frozen=True, slots=True)
class Sent:
    """The partner has local ``version``, or with ``is_complete`` False a step towards it."""

    copy: Copy
    origin: Link.Origin
    version: int
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """One write that needs no look before it; ``ours`` is what we would have there, ``body`` the next step towards it."""

    verb: str
    url: str
    body: Resource
    version: int
    ours: Resource
    if_match: str = ""
    if_none_exist: str = ""
    is_complete: bool = True


def send(server: Server, link: Link, *, is_doubtful: bool) -> Sent:
    """Bring the partner's copy to our version. Raise `Waiting`, `Clash`, or the category of the failure."""
    version, ours = compose(link)
    if link.remote_id is not None:
        return _update(server, link, ours, version, None if is_doubtful else _known(link))
    try:
        return _introduce(server, link, ours, version, is_doubtful=is_doubtful)
    except Mistaken as error:
        if not is_doubtful:
            raise
        raise errors.Incorrect(error.message) from error  # it was looked for: it would get one after another


def _introduce(server: Server, link: Link, ours: Resource, version: int, *, is_doubtful: bool) -> Sent:
    """What is not linked with anything there yet: found, or created."""
    known, name = look_up(server, link, ours, is_doubtful=is_doubtful or bool(link.base))
    made = known or made_before(server, link, ours)
    if made and conflicts.is_as_sent_unnamed(ours, made):
        return Sent(Copy.of(made, ours), Link.Origin.OURS, version)
    found = made or _create(server, link, ours, name)
    if not isinstance(found, Reply):
        return _adopt(server, link, ours, version, found)
    return Sent(_answered(server, link, found, ours, ours), Link.Origin.OURS, version)


def _known(link: Link) -> Resource | None:
    """The partner's copy as we have it, None where it has to be read first."""
    theirs = json.loads(link.base) if link.base else {}
    has_more = inbox.content_hash(theirs) != link.remote_hash  # what we have not taken in yet, see `conflicts.shared`
    is_read_first = link.partner.ways(link.type).update.way == Update.READ_FIRST
    return None if has_more or not link.remote_version or is_read_first else theirs


def compose(link: Link, material: Material | None = None) -> tuple[int, Resource]:
    """(local version, body for the partner): in its references, without what never leaves, with our identifier.

    ``material`` was gathered for this link, perhaps with others.
    """
    key, origin = (link.type, link.local_id), settings.BATON_BASE_URL
    material = material or gather([link])
    stored = material.stored.get(key) or store.read(*key)
    held = material.bodies.get(key) or json.loads(stored.body)
    consents.check(link, held, material.consents)
    held = with_contents(held, f"{origin}/fhir")
    body = profiles.outward(held, profiles.PROFILES[link.partner.profile], origin)
    known = _remote_ids(link, body, material)
    ours = references.outward(body, lambda type_, id_: known.get((type_, id_)), origin, f"{origin}/fhir")
    if link.type not in WITHOUT_IDENTIFIER and link.origin == Link.Origin.OURS:
        own = references.identifier(origin, link.type, link.local_id)
        named = [each for each in ours.get("identifier", []) if not is_same(each, own)]
        kept = next((each for each in ours.get("identifier", []) if is_same(each, own)), own)
        ours["identifier"] = [*named, kept]
    return stored.version, ours


def _remote_ids(link: Link, body: Resource, material: Material) -> dict[Key, str]:
    """The partner's ids of what the body refers to; `Waiting` for what is still on its way there, unless something
    else will never come: whoever waits for both would wait without a word.
    """
    named = frozenset(references.targets(body, our_base())) - {(link.type, link.local_id)}
    found = {**material.linked, **linked(link.partner_id, named - material.asked)}
    known, awaited = {}, []
    for type_, local_id in sorted(named & found.keys()):
        remote_id, state = found[type_, local_id]
        if remote_id is not None:
            known[type_, local_id] = remote_id
        elif state == Link.State.CLEAN:
            raise errors.Incorrect(f"It refers to {type_}/{local_id}, whose sending was given up.")
        elif state != Link.State.HELD or type_ in _INDISPENSABLE:
            awaited.append(f"{type_}/{local_id}")
    if awaited:
        raise Waiting(f"It waits until {awaited[0]} exists at the partner.")
    return known


def _create(server: Server, link: Link, ours: Resource, name: Identifier) -> Reply | Resource:
    """POST; give the reply for a new resource, or the resource of that name that was there already."""
    try:
        reply = server.create(_new(link, ours), condition(*name))
    except errors.BatonError as error:
        raise refused_creation(error) from error
    return reply if reply.status == 201 else _body(server, link, reply, ours)  # noqa: PLR2004 (201 Created)


def _new(link: Link, ours: Resource) -> Resource:
    """What is created: with what the dialect puts into the meta of a Task."""
    meta = profiles.PROFILES[link.partner.profile].meta if link.type == "Task" else {}
    return {**ours, "meta": meta} if meta else ours


def refused_creation(error: errors.BatonError) -> errors.BatonError:
    """What an error means that answers a creation: there is nothing there that could be stale or gone."""
    if isinstance(error, errors.Stale):
        return errors.Incorrect("The partner has more than one resource with this identifier.")
    return errors.Incorrect(error.message) if isinstance(error, (errors.NotFound, errors.Gone)) else error


def draft(link: Link, material: Material) -> Draft | None:
    """The one write that brings the partner on, where nothing has to be asked before it; else None. No network.

    ``material`` was gathered for this link and others. Raises what `send` would raise before its first request.
    """
    version, ours = compose(link, material)
    if link.remote_id is None:
        names = identities(link, ours)
        is_sure = link.partner.ways(link.type).create.way == Create.CONDITIONAL and len(names) == 1 and not link.base
        return Draft("POST", link.type, _new(link, ours), version, ours, "", condition(*names[0])) if is_sure else None
    theirs = None if link.is_only_recognised else _known(link)
    if theirs is None:
        return None
    body, is_complete = _planned(link, ours, theirs)
    if conflicts.says_nothing_new(body, theirs):
        return None
    if (link.type, link.remote_id) in material.unheard:
        _hear_first(link, theirs)
    url, seen = f"{link.type}/{link.remote_id}", inbox.version_of(theirs)
    return Draft("PUT", url, _addressed(body, theirs), version, ours, seen, "", is_complete)


def finish(server: Server, link: Link, written: Draft, reply: Reply) -> Sent:
    """What follows from the successful answer to a draft; it is read anew where the answer doesn't show it."""
    if written.verb == "POST" and reply.status != HTTPStatus.CREATED:
        return _adopt(server, link, written.ours, written.version, _body(server, link, reply, written.ours))
    copy = _answered(server, link, reply, written.body, written.ours)
    return Sent(copy, Link.Origin(link.origin), written.version, written.is_complete)


def _answered(server: Server, link: Link, reply: Reply, written: Resource, ours: Resource) -> Copy:
    """The partner's copy after our write, as its answer shows it. What its own rules have said in that moment is heard
    like any word of theirs: no poll would bring it, since the version is known then.
    """
    found = _body(server, link, reply, ours)
    news = conflicts.news(written, found, side_of(link)) if link.type == "Task" else frozenset[str]()
    if not news:
        return Copy.of(found, ours)
    inbox.put(link.partner, [found])
    before = conflicts.before_answer(written, found, news)
    return replace(Copy.of(found), text=Copy.of(before, ours).text)


def _body(server: Server, link: Link, reply: Reply, ours: Resource) -> Resource:
    """The resource that a write is answered with, read anew where the answer is none, or doesn't say that it is ours.

    What is read anew may be a version that others have made of it since: it is heard like any of theirs.
    """
    told = reply.resource or {}
    remote_id = link.remote_id or _located(reply, link.type) or told.get("id", "")
    if not references.is_id(remote_id):
        raise Unreadable("The partner's answer doesn't say what it created.")
    if "id" in told and (told.get("resourceType"), told["id"]) != (link.type, remote_id):
        raise Unreadable("The partner answered a write with another resource.")
    if "id" in told and (link.remote_id or is_known_by(told, link, ours)):
        return told
    found = server.read(link.type, remote_id).resource or {}
    is_new = reply.status == HTTPStatus.CREATED and conflicts.is_as_sent_unnamed(ours, found)
    if not (link.remote_id or is_new or is_known_by(found, link, ours)):
        raise _mistaken(reply, ours, found)
    seen = reply.headers.get("ETag", "").removeprefix("W/").strip('"') or inbox.version_of(told)
    if inbox.version_of(found) != seen:
        inbox.put(link.partner, [found])
    return found


def _mistaken(reply: Reply, ours: Resource, found: Resource) -> Mistaken:
    """What it means that an answer to our creation leads to something that isn't what was sent."""
    if reply.status == HTTPStatus.CREATED:
        return Distorted(otherwise(ours, found), found)
    return Mistaken("The partner answered a creation with another resource.")


def _located(reply: Reply, type_: str) -> str:
    """The id in a Location header (``[base]/Type/id/_history/version``)."""
    parts = (reply.headers.get("Location") or reply.headers.get("Content-Location") or "").split("/")
    return parts[parts.index(type_) + 1] if type_ in parts[:-1] else ""


def _adopt(server: Server, link: Link, ours: Resource, version: int, theirs: Resource) -> Sent:
    """Take an existing resource for ours: our own creation, or another's, which is left as it is.

    Our own may have been written to by others since: that is heard before anything else is sent.
    """
    own = references.identifier(settings.BATON_BASE_URL, link.type, link.local_id)
    if references.bears(theirs, **own):
        is_as_sent = conflicts.says_nothing_new(ours, theirs)
        if not is_as_sent:
            inbox.put(link.partner, [theirs])
        return Sent(Copy.of(theirs, ours), Link.Origin.OURS, version, is_complete=is_as_sent)
    return Sent(Copy.of(theirs), Link.Origin.THEIRS, version)


def _update(server: Server, link: Link, ours: Resource, version: int, theirs: Resource | None) -> Sent:
    if theirs is None:
        theirs = server.read(link.type, str(link.remote_id)).resource or {}
        if inbox.content_hash(theirs) != link.remote_hash:
            inbox.put(link.partner, [theirs])
    if link.is_only_recognised:
        return Sent(Copy.of(theirs), Link.Origin.THEIRS, version)
    return _write(server, link, ours, version, theirs)


def side_of(link: Link) -> conflicts.Side:
    """Which side of a shared Task we are: what a partner has asked for, we perform."""
    return "performer" if link.origin == Link.Origin.THEIRS else "placer"


def _hear_first(link: Link, theirs: Resource) -> None:
    """A version of theirs that we have not heard yet is applied here before we write over it, if it can be."""
    versions = Inbox.objects.filter(partner=link.partner, type=link.type, remote_id=link.remote_id)
    newest = versions.filter(content_hash=inbox.content_hash(theirs)).order_by("pk").last()
    if newest is not None and newest.state in (Inbox.State.PENDING, Inbox.State.WAITING):
        raise Waiting("It waits until the partner's own change of it has been applied.")


def _write(server: Server, link: Link, ours: Resource, version: int, theirs: Resource) -> Sent:
    """Merge, and PUT the result (or the next legal step towards it) if it says anything new."""
    body, is_complete = _planned(link, ours, theirs)
    if conflicts.says_nothing_new(body, theirs):
        return Sent(Copy.of(theirs, ours), Link.Origin(link.origin), version)
    _hear_first(link, theirs)
    reply = server.update(_addressed(body, theirs), inbox.version_of(theirs))
    copy = _answered(server, link, reply, body, ours)
    return Sent(copy, Link.Origin(link.origin), version, is_complete=is_complete)


def _planned(link: Link, ours: Resource, theirs: Resource) -> tuple[Resource, bool]:
    """The version that the partner should have next, and whether it is the last one of its way; or `Clash`."""
    side = side_of(link)
    base = json.loads(link.base) if link.base else conflicts.shared(theirs, ours)
    merge = conflicts.merge(base, ours, theirs, side, link.decisions)
    if not merge.clashes and _says_nothing_of_ours(link, merge.body, ours, theirs):
        return theirs, True
    if merge.clashes:
        if side == "performer":  # a withdrawal of theirs, which is asked of the performer once it has been heard
            _hear_first(link, theirs)
        raise Clash(f"Both sides changed {', '.join(merge.clashes)}.")
    if side == "placer":
        return merge.body, True
    return profiles.towards(profiles.PROFILES[link.partner.profile], theirs, merge.body)


def _says_nothing_of_ours(link: Link, body: Resource, ours: Resource, theirs: Resource) -> bool:
    """Whether our newest version of a Task has only what they said of it: then what is still another there is left standing.

    They have it so since our last write, and would have it so after the next one. Not after a failure, or a person's word.
    """
    is_seen = link.remote_version == inbox.version_of(theirs) and not link.decisions
    if link.type != "Task" or not is_seen or not 0 < link.sent_version < link.wanted_version:
        return False
    try:
        sent = json.loads(store.version(link.type, link.local_id, link.sent_version).body)
        material = gather([link])
        bodies = {**material.bodies, (link.type, link.local_id): sent}
        before = compose(link, replace(material, bodies=bodies))[1]
    except errors.BatonError:
        return False
    return not conflicts.has_own_word(body, before, ours, theirs)


def _addressed(body: Resource, theirs: Resource) -> Resource:
    """The body with the partner's id, and of its meta what is not about one version."""
    meta = {key: value for key, value in theirs.get("meta", {}).items() if key not in _PASSING_META}
    rest = {key: value for key, value in body.items() if key not in {"id", "meta", "resourceType"}}
    head = {"resourceType": theirs["resourceType"], "id": theirs["id"]}
    return {**head, **({"meta": meta} if meta else {}), **rest}
