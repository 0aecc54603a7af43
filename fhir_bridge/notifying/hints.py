"""From a notification to the Inbox: it is proved, it leaves a hint, and what the hint names is read from the partner itself."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q

from fhir_bridge.connecting import circuit, partners, secrets
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import addressing, overlooked, polling, rewinding
from fhir_bridge.models import Hint, Partner, Subscription, Watermark
from fhir_bridge.notifying import notices
from fhir_bridge.pending import inbox, wakeups
from fhir_bridge.sharing.relevance import POLLED, fresh, relevant
from records import clock, errors
from records.errors import NotFound

SECRET_HEADER = "X-Baton-Secret"  # noqa: S105 (a header's name)
SIGNATURE_HEADER = "X-Signature"
MAX_BYTES = 1_000_000
# More than this is looked at all together, by a poll
MOST = 5_000
BATCH = 200

_KEEP = """
INSERT INTO fhir_bridge_hint (partner_id, type, remote_id, received_at)
SELECT %s, hint.type, hint.remote_id, %s FROM unnest(%s::text[], %s::text[]) AS hint (type, remote_id)
ON CONFLICT (partner_id, type, remote_id) DO UPDATE SET received_at = EXCLUDED.received_at
"""


def receive(key: str, raw: bytes, *, path: str = "", secret: str = "", signature: str = "") -> None:
    """Take a notification that came to the address ending with ``key``; keep what is to be looked at, and wake a worker.

    ``secret`` and ``signature`` (hex HMAC-SHA256 of the body with the secret) are what its headers say; one must be right.
    Raise `NotFound` for an unknown key and a wrong proof alike.
    """
    subscription = Subscription.objects.select_related("partner").filter(key=key).first()
    if subscription is None or not _is_proved(subscription, raw, secret, signature):
        raise NotFound("There is nothing at this address.")
    notice = notices.read(raw, path, subscription.type, subscription.partner.base_url)
    targets = set(notice.targets)
    last_event = 0 if notice.counts_anew(subscription.last_event) else subscription.last_event
    if not notice.is_gapless(last_event):
        targets.add(notices.EVERYTHING)
    _keep(subscription.partner, targets)
    heard = max((last_event, *notice.events, notice.total or 0))
    Subscription.objects.filter(pk=subscription.pk).update(
        heard_at=clock.now(), last_event=heard, state=Subscription.State.ACTIVE, error_text=""
    )
    if targets:
        wakeups.after_commit("pull", [subscription.partner_id])


def _is_proved(subscription: Subscription, raw: bytes, secret: str, signature: str) -> bool:
    expected = secrets.opened(subscription.secret).encode()
    signed = hmac.new(expected, raw, hashlib.sha256).hexdigest().encode()
    is_secret = hmac.compare_digest(secret.encode(), expected)
    is_signature = hmac.compare_digest(signature.lower().removeprefix("sha256=").encode(), signed)
    return bool(expected) and (is_secret or is_signature)


def _keep(partner: Partner, targets: Iterable[notices.Target]) -> None:
    """One hint for each; of types that are not polled, and of a flood, one for all changes."""
    wanted = {target for target in targets if target[0] in {*POLLED, ""}}
    if wanted and Hint.objects.filter(partner=partner).count() > MOST:
        wanted = {notices.EVERYTHING}
    if wanted:
        columns = [[type_ for type_, _id in sorted(wanted)], [id_ for _type, id_ in sorted(wanted)]]
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [partner.pk, clock.now(), *columns])


@dataclass(frozen=True, slots=True)
class Followed:
    """How many new versions were stored, and whether a type was named without an id: then a poll is due."""

    stored: int = 0
    is_to_poll: bool = False


def follow(partner: Partner, *, server: Server | None = None) -> Followed:
    """Read what the hints name and store what is new. Types are made due for the next poll.

    A hint is forgotten once it was followed, unless it came again meanwhile; of what can't be read the name is kept. They
    wait while the partner is not to be asked: raises what says so, which is on its row then.
    """
    if not (partner.is_active and circuit.is_good(partner)):
        return Followed()
    try:
        return _follow(partner, server)
    except errors.BatonError as error:
        polling.note_failure(partner, error)
        raise


def _follow(partner: Partner, server: Server | None) -> Followed:
    connected, stored, is_to_poll = server, 0, False
    for hint in Hint.objects.filter(partner=partner).order_by("received_at")[:BATCH]:
        if hint.remote_id:
            connected = connected or partners.connect(partner)
            stored += _read(partner, connected, hint)
        else:
            types = Q(type=hint.type) if hint.type else Q()
            Watermark.objects.filter(types, partner=partner).update(read_at=None)
            is_to_poll = True
        Hint.objects.filter(pk=hint.pk, received_at=hint.received_at).delete()
    return Followed(stored, is_to_poll)


def _read(partner: Partner, server: Server, hint: Hint) -> int:
    try:
        found = server.read(hint.type, hint.remote_id).resource or {}
        rewinding.look(partner, server, [found])
    except (errors.NotFound, errors.Gone, errors.Forbidden):
        return 0  # what is linked and was deleted is found by the reading by id
    except (*AWAY, rewinding.Rewound):
        raise
    except errors.BatonError as error:
        inbox.put_name(partner, hint.type, hint.remote_id, error)
        return 0
    ours = addressing.ours(partner, server, [found])
    return overlooked.put(partner, relevant(partner, fresh(partner, [found]), ours))
