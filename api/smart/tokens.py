"""Access tokens: issued once in clear, stored as a SHA-256 alone (RFC 9700 §4), looked up on every request."""

import hashlib
import secrets
from datetime import timedelta

from oauth2_provider.models import AccessToken, set_token_value

from api.models import Client
from records import clock
from records.access import Actor


def client_for(name: str, organization: str) -> Client:
    """The client of that name in that organisation, made on first use."""
    found: tuple[Client, bool] = Client.objects.get_or_create(
        name=name,
        organization=organization,
        defaults={
            "client_type": Client.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Client.GRANT_CLIENT_CREDENTIALS,
        },
    )
    return found[0]


def issue(client: Client, scopes: frozenset[str], lifetime: timedelta) -> str:
    """Store a new token of the client and return its value, which nothing can show again."""
    value = secrets.token_urlsafe(32)
    token = AccessToken(application=client, scope=" ".join(sorted(scopes)), expires=clock.now() + lifetime)
    set_token_value(token, value)
    token.save()
    return value


def actor_of(value: str) -> Actor | None:
    """Whom a token stands for; None when it is unknown, expired or revoked, or its client is switched off."""
    found = AccessToken.objects.filter(
        token_checksum=hashlib.sha256(value.encode()).hexdigest(),
        expires__gt=clock.now(),
        application__is_active=True,
        user=None,
    ).values_list("scope", "application__client_id", "application__name", "application__organization")
    for scope, client_id, name, organization in found:
        return Actor(
            id=f"client:{client_id}",
            kind="client",
            display=name,
            organization=organization,
            scopes=frozenset(scope.split()),
        )
    return None
