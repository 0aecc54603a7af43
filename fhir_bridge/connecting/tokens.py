"""Access tokens from a partner's authorisation server: asked for in time, kept encrypted, shared by all workers.

The server may be slow, lie or be somebody else's: one small answer is read from one pinned address, nothing is followed,
and only what has the form of a token is taken. Whatever goes wrong here, the FHIR request that wanted the token has
certainly not been sent: it is `Unreachable` (tried again), or `Unauthenticated` (a person has to do something).
Sources: RFC 6749 §4.4, §5; RFC 7523; https://hl7.org/fhir/smart-app-launch/backend-services.html.
"""

import math
import secrets as randomness
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus, urlencode

import requests
from django.db import connection
from django.utils.translation import gettext as _

from fhir_bridge.connecting import addresses, credentials, keys, secrets, wire
from fhir_bridge.connecting.retries import Unreachable
from fhir_bridge.models import Partner, Token
from records import clock, errors

WHO = "The authorisation server"
TIME_OUTS = (5.0, 10.0)
ASSERTION_SECONDS = 240  # at most 300 (SMART)
SHORTEST_SECONDS, USUAL_SECONDS, LONGEST_SECONDS = 30.0, 300.0, 3600.0
RENEWED_AFTER = 0.8  # of its life
_LOCKS = 0x746F6B65  # the first half of these advisory locks, so that they meet nobody else's
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 6749 §5.2; other words of a server are not shown
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


@dataclass(frozen=True, slots=True)
class Granted:
    """A token as it was granted; ``seconds`` is how long we use it."""

    value: str
    seconds: float
    scope: str

    def __repr__(self) -> str:
        return "Granted(…)"


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """The header of a partner whose authorisation server gives out tokens."""

    partner: Partner
    is_renewable: bool = True

    def header(self, refused: str = "") -> str:
        """``Bearer`` with the kept token; with a new one when that is about to end, or is the ``refused`` one."""
        row = Token.objects.filter(partner=self.partner).first()
        kept = "" if row is None or row.ends_at <= clock.now() else f"Bearer {secrets.opened(row.secret)}"
        if row is not None and kept not in {"", refused} and clock.now() < row.renew_at:
            return kept
        usable = "" if kept == refused else kept
        with _first(self.partner) as is_first:
            if usable and not is_first:  # somebody else is renewing it
                return usable
            return self._renewed(usable)

    def _renewed(self, usable: str) -> str:
        try:
            granted = fetch(self.partner)
        except errors.BatonError:
            if usable:
                return usable
            raise
        keep(self.partner, granted)
        return f"Bearer {granted.value}"


@contextmanager
def _first(partner: Partner) -> Iterator[bool]:
    """Whether we are the first of all workers to renew it; no transaction is held, and the lock ends with the session."""
    key = [_LOCKS, partner.pk]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        is_ours: bool = cursor.fetchone()[0]
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def keep(partner: Partner, granted: Granted) -> None:
    """Keep it for all workers, encrypted."""
    now = clock.now()
    told = {
        "secret": secrets.sealed(granted.value),
        "scope": granted.scope,
        "renew_at": now + timedelta(seconds=granted.seconds * RENEWED_AFTER),
        "ends_at": now + timedelta(seconds=granted.seconds),
    }
    Token.objects.update_or_create(partner=partner, defaults=told)


def forget(partner: Partner) -> None:
    """Drop the kept token, as its credentials are other ones now."""
    Token.objects.filter(partner=partner).delete()


def endpoint(partner: Partner) -> str:
    """The only address that our proof goes to. `Unauthenticated` says what to do when there is none."""
    if partner.token_url:
        return partner.token_url
    told = partner.can().smart.token_endpoint
    advice = _("Register it: manage.py partner set “%(name)s” --token-url URL.") % {"name": partner.name}
    if not told:
        raise errors.Unauthenticated(_("Nothing says where this partner's tokens are to be had.") + " " + advice)
    try:
        normal = addresses.endpoint_of(told)
    except errors.Incorrect as error:
        raise errors.Unauthenticated(f"{error.message} {advice}") from error
    if wire.origin(normal) != wire.origin(partner.base_url):
        words = _("The partner names a token endpoint on another server, %(url)s, which nobody has registered.")
        raise errors.Unauthenticated(words % {"url": normal} + " " + advice)
    return normal


def fetch(partner: Partner) -> Granted:
    """Ask for a token now. Raise `Unreachable`, `Throttled` or `Unauthenticated`."""
    url = endpoint(partner)
    form = {"grant_type": "client_credentials", **({"scope": partner.scope} if partner.scope else {})}
    proof, headers = _proof(partner, url)
    told = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}
    limits = wire.Limits(TIME_OUTS, wire.SMALL_SECONDS, wire.SMALL_BYTES)
    try:
        answer = wire.send(wire.session(), "POST", url, urlencode({**form, **proof}).encode(), told, limits, WHO)
    except errors.Unavailable as error:
        raise Unreachable(error.message) from error
    return _granted(*answer, asked=partner.scope)


def _proof(partner: Partner, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields of the form and headers that say who we are."""
    if partner.auth == Partner.Auth.SMART_BACKEND:
        assertion = keys.sign(_claims(partner.client_id, url), algorithm(partner))
        return {"client_assertion_type": _JWT_BEARER, "client_assertion": assertion}, {}
    secret = secrets.opened(partner.secret)
    methods = partner.can().smart.auth_methods
    if "client_secret_post" in methods and "client_secret_basic" not in methods:
        return {"client_id": partner.client_id, "client_secret": secret}, {}
    header = credentials.basic(quote_plus(partner.client_id), quote_plus(secret))  # encoded first: RFC 6749 §2.3.1
    return {}, {"Authorization": header}


def algorithm(partner: Partner) -> str:
    """What we sign with there: the first of ours that it names, RS384 where it names none."""
    named = partner.can().smart.signing_algs
    return "ES384" if "ES384" in named else "RS384"


def _claims(client_id: str, url: str) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": url,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": randomness.token_urlsafe(24),
    }


def _granted(response: requests.Response, content: bytes, asked: str) -> Granted:
    """What the server grants, or the category of its refusal."""
    status = response.status_code
    told = wire.plain(content) or {}
    if status == HTTPStatus.OK:
        return _token(told, asked)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise errors.Throttled(f"{WHO} answered {status}.", retry_after=wire.retry_after(response) or 30.0)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        code = told.get("error")
        why = f": {code}" if isinstance(code, str) and code in _CODES else ""
        raise errors.Unauthenticated(f"{WHO} refused us ({status}{why}).")
    redirect = " with a redirect; it was not followed" if status < HTTPStatus.BAD_REQUEST else ""
    raise Unreachable(f"{WHO} answered {status}{redirect}.")


def _token(told: Mapping[str, Any], asked: str) -> Granted:
    value = told.get("access_token")
    if not credentials.is_bearer(value):
        raise Unreachable(f"{WHO} answered without a token.")
    if str(told.get("token_type", "")).lower() != "bearer":
        raise errors.Unauthenticated(f"{WHO} gave a token of a kind that we can't use.")
    scope = told.get("scope")
    is_told = isinstance(scope, str) and len(scope) <= len(asked) + 2000 and scope.isprintable()
    return Granted(str(value), _seconds(told.get("expires_in")), str(scope) if is_told else asked)


def _seconds(said: Any) -> float:
    """How long we use it: what was said within bounds, the usual where nothing was, the shortest where it makes no sense."""
    if said is None:
        return USUAL_SECONDS
    try:
        seconds = 0.0 if isinstance(said, bool) else float(said)
    except (TypeError, ValueError, OverflowError):
        return SHORTEST_SECONDS
    if not math.isfinite(seconds):
        return SHORTEST_SECONDS
    return min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)


def missing_scopes(partner: Partner, granted: str) -> list[str]:
    """What was asked for and not granted, as far as the words can be compared."""
    return sorted(set(partner.scope.split()) - set(granted.split()))
