"""A partner as it is registered and as it was seen, for a screen, a terminal or JSON; without anything secret."""

from typing import Any

from fhir_bridge.connecting import tokens
from fhir_bridge.connecting.credentials import BY_TOKEN
from fhir_bridge.models import Partner, Token
from records import errors

ABOUT = ("Task", "ServiceRequest", "Patient", "DiagnosticReport", "DocumentReference", "Appointment")
"""Types whose ways are shown."""


def describe(partner: Partner) -> dict[str, Any]:
    """Plain values: texts, numbers, None, aware instants (UTC), and ``ways`` by type and aspect."""
    seen = partner.can()
    return {
        "tenant": partner.tenant,
        "steward_pool": partner.steward_pool.name,
        "profile": partner.profile,
        "task_host": partner.task_host,
        **_login(partner),
        "requests_per_minute": partner.requests_per_minute,
        "concurrency": partner.concurrency,
        "silence_seconds": partner.silence_seconds,
        "skew_seconds": partner.skew_seconds,
        "abilities_seen_at": partner.abilities_seen_at,
        "known_by": seen.source,
        "software": seen.software,
        "fhir_version": seen.fhir_version,
        "offers_subscriptions": seen.subscriptions,
        "exports": sorted(seen.exports),
        "chosen": partner.chosen,
        "ways": {type_: _ways(partner, type_) for type_ in ABOUT},
    }


def _login(partner: Partner) -> dict[str, Any]:
    token = Token.objects.filter(partner=partner).only("scope", "ends_at").first()
    try:
        endpoint = tokens.endpoint(partner) if partner.auth in BY_TOKEN else ""
    except errors.Unauthenticated:
        endpoint = ""
    return {
        "auth": partner.auth,
        "client_id": partner.client_id,
        "scope": partner.scope,
        "token_endpoint": endpoint,
        "has_secret": bool(partner.secret),
        "granted_scope": token.scope if token else "",
        "token_ends_at": token.ends_at if token else None,
    }


def _ways(partner: Partner, type_: str) -> dict[str, dict[str, Any]]:
    ways = partner.ways(type_)
    chosen = {aspect: getattr(ways, aspect) for aspect in ways.__slots__}
    return {aspect: {"way": each.way, "reason": each.reason, "is_set": each.is_set} for aspect, each in chosen.items()}
