"""Orders that a partner addresses to an organisation of ours that it has never heard of from us: found by its identifiers.

The Organizations that such orders name are read, and forgotten but for their identifiers, which are kept in this process for an hour:
of a hospital that shows all its orders, each other organisation is asked for once an hour, not with each page.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.models import Link, Partner
from fhir_bridge.sharing import addressees, references
from records import clock, errors
from records.json import Resource

KEPT_FOR = timedelta(hours=1)
MOST = 10_000
_read: dict[tuple[int, str, str], tuple[datetime, list[addressees.Identifier]]] = {}


def ours(partner: Partner, server: Server, page: Sequence[Resource]) -> frozenset[str]:
    """The partner's ids of the Organizations that orders on a page are addressed to, that are ours, and are not linked yet.

    Raises what says that the partner can't be asked now; one that can't be read is none of ours until it can.
    """
    named = {target for each in page for target in references.targets(addressees.addressed(each), partner.base_url)}
    ids = {id_ for type_, id_ in named if type_ == "Organization" and references.is_id(id_)}
    rows = Link.objects.filter(partner=partner, type="Organization", remote_id__in=ids)
    unknown = ids - set(rows.values_list("remote_id", flat=True)) if ids else ids
    return frozenset(id_ for id_ in sorted(unknown) if addressees.is_ours(_identifiers(partner, server, id_)))


def _identifiers(partner: Partner, server: Server, id_: str) -> list[addressees.Identifier]:
    key, now = (partner.pk, partner.base_url, id_), clock.now()
    seen_at, known = _read.get(key, (None, []))
    if seen_at is not None and seen_at <= now < seen_at + KEPT_FOR:
        return known
    try:
        found = addressees.identifiers(server.read("Organization", id_).resource or {})
    except AWAY:
        raise
    except (errors.NotFound, errors.Gone, errors.Forbidden):
        found = []
    except errors.BatonError:
        return []  # asked for again with the next page, and a window is read again for some time
    if len(_read) >= MOST:
        _read.clear()
    _read[key] = (now, found)
    return found
