"""Who we are at a partner: what is kept, how it is checked, and the ``Authorization`` header that comes of it.

======================  =====================================================================
none                    no header
bearer                  a token that was given to us once and for all
basic                   user name (``client_id``) and password (RFC 7617)
client-credentials      a token from the authorisation server for id and secret (RFC 6749 §4.4)
smart-backend           a token for a JWT that one of our keys has signed (SMART App Launch 2)
======================  =====================================================================

The secret goes to the partner's registered origin alone, and with OAuth to one token endpoint: the registered one, or
one on the partner's own origin (`fhir_bridge.connecting.tokens`).
"""

import base64
import re
from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext as _

from fhir_bridge.connecting import addresses, secrets
from fhir_bridge.models import Partner
from records.errors import Incorrect

Auth = Partner.Auth
BY_TOKEN = frozenset({Auth.CLIENT_CREDENTIALS, Auth.SMART_BACKEND})
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]{8,8192}=*", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,2000}", re.ASCII)
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]{1,2000}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*", re.ASCII)
SMART_SCOPE = "system/*.cruds"


class Signer(Protocol):
    """Whoever knows the ``Authorization`` header of a partner's requests."""

    @property
    def is_renewable(self) -> bool:
        """Whether there may be another one when one is refused."""

    def header(self, refused: str = "") -> str:
        """The header's value, "" for none; another one than ``refused`` if there can be one."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A header that never changes."""

    value: str = ""
    is_renewable: bool = False

    def header(self, refused: str = "") -> str:
        """The value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an administrator registers; ``secret`` is in clear here and nowhere else."""

    auth: str = Auth.NONE
    secret: str = ""
    client_id: str = ""
    scope: str = ""
    token_url: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.auth})"

    def checked(self, base_url: str) -> "Credentials":
        """In normal form, or `Incorrect` saying what is missing or can't be."""
        if self.auth not in Auth.values:
            raise Incorrect(_("The kinds of credentials are %(names)s.") % {"names": ", ".join(Auth.values)})
        if self.auth == Auth.NONE:
            return Credentials()
        if not addresses.is_private(base_url):
            raise Incorrect(_("Credentials are sent over https only."))
        for is_wrong, why in self._wrong():
            if is_wrong:
                raise Incorrect(why)
        url = addresses.endpoint_of(self.token_url) if self.token_url and self.auth in BY_TOKEN else ""
        scope = self.scope or (SMART_SCOPE if self.auth == Auth.SMART_BACKEND else "")
        return Credentials(self.auth, self.secret, self.client_id, scope, url)

    def _wrong(self) -> tuple[tuple[bool, str], ...]:
        needs_id = self.auth != Auth.BEARER
        needs_password = self.auth in {Auth.BASIC, Auth.CLIENT_CREDENTIALS}
        return (
            (
                self.auth == Auth.BEARER and not _BEARER.fullmatch(self.secret),
                _("A bearer token is needed, of at least 8 characters that RFC 6750 allows."),
            ),
            (
                needs_id and not _VISIBLE.fullmatch(self.client_id),
                _("The id under which the partner knows us is needed (--client-id), without spaces."),
            ),
            (
                self.auth == Auth.BASIC and ":" in self.client_id,
                _("A user name can't have a colon in it (RFC 7617)."),
            ),
            (
                needs_password and not _PASSWORD.fullmatch(self.secret),
                _("A secret is needed, of 1 to 2,000 characters without control characters."),
            ),
            (
                bool(self.scope) and not _SCOPE.fullmatch(self.scope),
                _("Scopes are words with one space between them, such as system/Task.cruds system/Patient.rs."),
            ),
        )


def put(partner: Partner, credentials: Credentials) -> None:
    """Put checked credentials into the row, the secret encrypted; the caller saves it."""
    partner.auth, partner.secret = credentials.auth, secrets.sealed(credentials.secret)
    partner.client_id, partner.scope = credentials.client_id, credentials.scope
    partner.token_url = credentials.token_url


def fixed(partner: Partner) -> Fixed:
    """The header of a partner whose credentials are sent as they are."""
    secret = secrets.opened(partner.secret) if partner.auth in {Auth.BEARER, Auth.BASIC} else ""
    if partner.auth == Auth.BEARER:
        return Fixed(f"Bearer {secret}")
    if partner.auth == Auth.BASIC:
        return Fixed(basic(partner.client_id, secret))
    return Fixed()


def basic(user: str, password: str) -> str:
    """The header of RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def is_bearer(token: object) -> bool:
    """Whether this can be sent as a bearer token (RFC 6750 §2.1), however short."""
    return isinstance(token, str) and bool(re.fullmatch(r"[A-Za-z0-9._~+/-]{1,8192}=*", token, re.ASCII))
