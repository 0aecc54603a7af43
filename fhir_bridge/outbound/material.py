"""What the composing of links reads of ours, read for all of them at once: as many statements for one as for a hundred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from fhir_bridge.models import Inbox, Link
from fhir_bridge.sharing import consents, references
from fhir_bridge.sharing.consents import Consents
from records import errors, json, store
from records.json import Resource
from records.store import Stored

Key = tuple[str, str]
MOST_ATTACHED = 4 * 1024 * 1024  # characters of base64


@dataclass(frozen=True, slots=True)
class Material:
    """Our resources as they are kept, the consents of their patients, and of what they refer to (``asked``, by type and our id) the
    partner's ids with the states of the links. Of what is ``unheard`` (by type and the partner's id) a version of theirs has come
    and is not applied yet.
    """

    stored: Mapping[Key, Stored]
    bodies: Mapping[Key, Resource]
    consents: Consents
    asked: frozenset[Key]
    linked: Mapping[Key, tuple[str | None, str]]
    unheard: frozenset[Key]


def gather(links: Sequence[Link]) -> Material:
    """For links of one partner. What is not there any more is not in it."""
    stored = {(one.type, one.id): one for type_ in {link.type for link in links} for one in _stored(type_, links)}
    bodies = {key: json.loads(one.body) for key, one in stored.items()}
    held = [(link, bodies[link.type, link.local_id]) for link in links if (link.type, link.local_id) in bodies]
    asked = frozenset(each for _link, body in held for each in references.targets(body, our_base()))
    return Material(
        stored,
        bodies,
        consents.of_patients(consents.subject(link, body) for link, body in held),
        asked,
        linked(links[0].partner_id, asked),
        _unheard(links),
    )


def _stored(type_: str, links: Sequence[Link]) -> list[Stored]:
    return list(store.read_many(type_, [link.local_id for link in links if link.type == type_]).values())


def _unheard(links: Sequence[Link]) -> frozenset[Key]:
    known = [link for link in links if link.remote_id]
    if not known:
        return frozenset()
    rows = Inbox.objects.filter(
        partner=known[0].partner_id,
        type__in={link.type for link in known},
        remote_id__in=[link.remote_id for link in known],
        state__in=(Inbox.State.PENDING, Inbox.State.WAITING),
    )
    return frozenset(rows.values_list("type", "remote_id"))


def linked(partner_id: int, keys: frozenset[Key]) -> dict[Key, tuple[str | None, str]]:
    """The partner's ids of these resources of ours, and the states of their links; what has no link is not in it."""
    if not keys:
        return {}
    rows = Link.objects.filter(partner=partner_id, local_id__in={id_ for _type, id_ in keys})
    found = rows.values_list("type", "local_id", "remote_id", "state")
    return {(type_, id_): (remote, state) for type_, id_, remote, state in found if (type_, id_) in keys}


def our_base() -> str:
    """The base URL of our own FHIR API."""
    return f"{settings.BATON_BASE_URL}/fhir"


def with_contents(body: Resource, our_base: str) -> Resource:
    """Attachments with their content in them: a Binary has no identifier, so a lost reply to its own creation would
    leave two. What is too big for that says where it is kept here.
    """

    def fill(attachment: Resource) -> Resource:
        id_ = references.binary_of(attachment, our_base)
        absolute = {**attachment, "url": f"{our_base}/Binary/{id_}"}
        try:
            binary = store.get("Binary", id_)
        except (errors.NotFound, errors.Gone):
            return absolute
        data = binary.get("data", "")
        if not isinstance(data, str) or not 0 < len(data) <= MOST_ATTACHED:
            return absolute
        rest = {key: value for key, value in attachment.items() if key != "url"}
        return {"contentType": binary.get("contentType", ""), **rest, "data": data}

    filled: Resource = references.with_attachments(body, fill, our_base)
    return filled
