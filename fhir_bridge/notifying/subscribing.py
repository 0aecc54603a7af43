"""Asking a partner to tell us of changes, where it can, and watching that it does.

A Subscription asks for a word without content: what was changed is read by us, with our own credentials (minimum
necessary). The polls go on all the same. One that failed or was switched off there is asked for again, and shown meanwhile.
"""

import secrets as randomness
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

from fhir_bridge.capabilities.choices import Hear
from fhir_bridge.connecting import partners, secrets
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.discovery import BACKPORT
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.models import Partner, Subscription
from fhir_bridge.notifying.hints import SECRET_HEADER
from records import clock, errors
from records.json import Resource

# A subscription costs a partner work at each of its writes: only what the next step of somebody depends on
SUBSCRIBED = ("Task", "ServiceRequest", "Appointment", "DiagnosticReport", "DocumentReference")
CHECK_EVERY = timedelta(hours=1)
TRY_AGAIN_AFTER = timedelta(minutes=15)
State = Subscription.State
_STATES = {"requested": State.REQUESTED, "active": State.ACTIVE, "error": State.ERROR, "off": State.OFF}


def keep(partner: Partner, *, server: Server | None = None) -> None:
    """Have every Subscription that we want, and look at those that weren't looked at for an hour.

    Raises what may say that the partner can't be asked now; what fails or is refused is kept in the row.
    """
    if not partner.is_active or not _can_be_reached():
        return
    now = clock.now()
    for row in _wanted(partner):
        is_trouble = row.state in (State.WANTED, State.ERROR, State.OFF)
        pause = TRY_AGAIN_AFTER if is_trouble else CHECK_EVERY
        if row.checked_at is None or now - row.checked_at >= pause:
            _keep(server or partners.connect(partner), row)


def end(partner: Partner, *, server: Server | None = None) -> None:
    """Switch our Subscriptions there off and forget them: their addresses mean nothing any more."""
    connected = server or partners.connect(partner)
    for row in Subscription.objects.filter(partner=partner):
        if row.remote_id:
            connected.update({**_body(row), "id": row.remote_id, "status": "off"})
        row.delete()


def _can_be_reached() -> bool:
    """Whether our address is one that others may notify: over https, or on this machine."""
    parts = urlsplit(settings.BATON_SERVED_URL)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wanted(partner: Partner) -> Iterator[Subscription]:
    """A row for each subscription that the partner can take, made where there is none."""
    types = [type_ for type_ in SUBSCRIBED if partner.ways(type_).hear.way == Hear.SUBSCRIPTION]
    able = partner.can()
    pairs = [(type_, "") for type_ in types] if able.subscriptions != "backport" else []
    if types and able.subscriptions == "backport":
        pairs = [("", topic) for topic in sorted(able.topics)]
    for type_, topic in pairs:
        made = {
            "key": randomness.token_urlsafe(24),
            "secret": secrets.sealed(randomness.token_urlsafe(32)),
            "created_at": clock.now(),
        }
        row, _is_new = Subscription.objects.get_or_create(partner=partner, type=type_, topic=topic, defaults=made)
        yield row


def _keep(server: Server, row: Subscription) -> None:
    """Create, find or look at one, and note how it stands."""
    failure: errors.BatonError | None = None
    try:
        there = _there(server, row)
        if there is not None and there.get("status") in ("error", "off"):
            row.error_text = "It was switched off at the partner, and is asked for again."
            there = _read(server.update({**_body(row), "id": str(there["id"])}).resource) or there
        row.remote_id = str(there["id"]) if there else None
        row.state = _STATES.get(str((there or {}).get("status")), State.ERROR)
    except AWAY:
        raise
    except errors.BatonError as error:
        failure, row.state, row.error_text = error, State.ERROR, error.message
    row.checked_at = clock.now()
    if row.state == State.ACTIVE:
        row.error_text = ""
    row.save(update_fields=["remote_id", "state", "error_text", "checked_at"])
    if isinstance(failure, errors.Unavailable):  # the next one would fail as well, each perhaps after a minute
        raise failure


def _there(server: Server, row: Subscription) -> Resource | None:
    """The partner's copy: read by its id, else looked for by our address, else created."""
    if row.remote_id:
        try:
            return server.read("Subscription", row.remote_id).resource
        except (errors.NotFound, errors.Gone):
            row.error_text = "It was lost at the partner, and is asked for again."
    for _reply, found in server.search("Subscription", [("url", _endpoint(row)), ("_count", "2")]):
        mine = (each for each in found if _endpoint_in(each) == _endpoint(row))
        if known := next(filter(None, map(_read, mine)), None):
            return known
    Subscription.objects.filter(pk=row.pk).update(last_event=0)  # it counts anew, from the handshake on
    reply = server.create(_body(row))
    location = reply.headers.get("Location", "").split("/")
    made = location[location.index("Subscription") + 1] if "Subscription" in location[:-1] else ""
    return _read(reply.resource) or (server.read("Subscription", made).resource if made else None)


def _read(found: Resource | None) -> Resource | None:
    """What can be named again; an answer without an id is none."""
    return found if found and found.get("resourceType") == "Subscription" and isinstance(found.get("id"), str) else None


def _endpoint_in(found: Resource) -> str:
    channel = found.get("channel")
    return str(channel.get("endpoint")) if isinstance(channel, dict) else ""


def _endpoint(row: Subscription) -> str:
    return f"{settings.BATON_SERVED_URL}/notify/{row.key}"


def _body(row: Subscription) -> Resource:
    """R4 with criteria, or the R4 backport with a topic; neither brings content."""
    channel: Resource = {
        "type": "rest-hook",
        "endpoint": _endpoint(row),
        "header": [f"{SECRET_HEADER}: {secrets.opened(row.secret)}"],
    }
    body: Resource = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Baton reads what has changed.",
        "criteria": row.topic or f"{row.type}?",
        "channel": channel,
    }
    if row.topic:
        structure = f"{BACKPORT}StructureDefinition"
        body["meta"] = {"profile": [f"{structure}/backport-subscription"]}
        channel["payload"] = "application/fhir+json"
        content = {"url": f"{structure}/backport-payload-content", "valueCode": "id-only"}
        channel["_payload"] = {"extension": [content]}
        channel["extension"] = [{"url": f"{structure}/backport-heartbeat-period", "valueUnsignedInt": 300}]
    return body
