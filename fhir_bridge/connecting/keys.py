"""Our key pairs: they sign who we are at an authorisation server, which reads their public halves at our JWKS URL.

A new key is published before it signs (whoever holds a copy of our key set has it by then), and the one before it stays
published until it has not signed for long. Source: SMART App Launch 2, backend services
(https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html); RFC 7517, RFC 7638.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_bridge.connecting import secrets
from fhir_bridge.models import SigningKey
from records import clock, json
from records.errors import Incorrect

OVERLAP = timedelta(hours=24)
"""† How long a key is published before it signs, and after it has signed last."""
CACHED_SECONDS = 3600
"""How long a reader may keep our key set; much less than `OVERLAP`."""
RSA_BITS = 3072
_LOCK = 0x7369676E

Key = RSAKey | ECKey
_MADE: Mapping[str, Callable[[dict[str, Any]], Key]] = {
    "RS384": lambda told: RSAKey.generate_key(RSA_BITS, told, auto_kid=True),  # type: ignore[arg-type]
    "ES384": lambda told: ECKey.generate_key("P-384", told, auto_kid=True),  # type: ignore[arg-type]
}
_KINDS: Mapping[str, type[Key]] = {"RS384": RSAKey, "ES384": ECKey}
ALGS = tuple(_MADE)


def sign(claims: Mapping[str, Any], alg: str) -> str:
    """A signed JWT of these claims, by our present key of that algorithm (made now if there was none)."""
    row = _signing(alg) or _first(alg)
    key = _KINDS[alg].import_key(json.loads(secrets.opened(row.private)))
    SigningKey.objects.filter(pk=row.pk).update(last_used_at=clock.now())
    return jwt.encode({"alg": alg, "kid": row.kid, "typ": "JWT"}, dict(claims), key, algorithms=[alg])


@transaction.atomic
def rotate(alg: str) -> SigningKey:
    """Make a new key, which signs after `OVERLAP` (at once when it is the first), or give the one that waits to.

    Raise `Incorrect` for another algorithm.
    """
    if alg not in _MADE:
        raise Incorrect(_("The algorithms are %(names)s.") % {"names": ", ".join(ALGS)})
    _lock()
    now, newest = clock.now(), _newest(alg)
    if newest is not None and newest.signs_from > now:
        return newest
    return _make(alg, now + OVERLAP if newest else now)


@transaction.atomic
def _first(alg: str) -> SigningKey:
    """Of two who find no key one makes it."""
    _lock()
    return _newest(alg) or _make(alg, clock.now())


def _make(alg: str, signs_from: datetime) -> SigningKey:
    key = _MADE[alg]({"use": "sig", "alg": alg})
    private = secrets.sealed(json.dumps(key.as_dict(private=True)))
    return SigningKey.objects.create(
        kid=str(key.kid), alg=alg, private=private, created_at=clock.now(), signs_from=signs_from
    )


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _newest(alg: str) -> SigningKey | None:
    return SigningKey.objects.filter(alg=alg).order_by("signs_from").last()


def published() -> list[dict[str, Any]]:
    """The public halves, as JWKs, of what signs now, will sign, or may have signed what is still being read."""
    return [_public(row) for row in _kept(clock.now())]


def kept() -> list[SigningKey]:
    """What is published, oldest first."""
    return list(_kept(clock.now()))


def tend(now: datetime) -> int:
    """Delete the keys that have not signed for long since a newer one does; give how many."""
    return SigningKey.objects.exclude(pk__in=[row.pk for row in _kept(now)]).delete()[0]


def _signing(alg: str) -> SigningKey | None:
    return SigningKey.objects.filter(alg=alg, signs_from__lte=clock.now()).order_by("signs_from").last()


def _kept(now: datetime) -> Iterator[SigningKey]:
    by_alg = groupby(SigningKey.objects.order_by("alg", "signs_from"), key=lambda row: row.alg)
    for _alg, group in by_alg:
        rows = list(group)
        for row, newer in zip(rows, [*rows[1:], None], strict=True):
            used_until = max(filter(None, (row.last_used_at, newer.signs_from if newer else None)), default=now)
            if newer is None or used_until + OVERLAP > now:
                yield row


def _public(row: SigningKey) -> dict[str, Any]:
    key = _KINDS[row.alg].import_key(json.loads(secrets.opened(row.private)))
    told: dict[str, Any] = dict(key.as_dict(private=False))
    return {**told, "kid": row.kid, "use": "sig", "alg": row.alg, "key_ops": ["verify"]}
