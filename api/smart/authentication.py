"""How a request to a machine interface says who it is: ``Authorization: Bearer …`` and nothing else."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api.smart import tokens
from records.access import Actor


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a token, in the place where Django REST framework expects a user."""

    actor: Actor
    is_authenticated: bool = True
    is_active: bool = True


class BearerAuthentication(BaseAuthentication):
    """Turns a bearer token (RFC 6750 §2.1) into ``request.user`` = `Caller` and ``request.auth`` = `Actor`.

    Tokens in the query or in a form are not looked at. Unknown, expired and revoked are refused in one wording.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Actor] | None:
        """Return the caller; None without a bearer header; raise `AuthenticationFailed` for a token that is no good."""
        scheme, _space, value = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        actor = tokens.actor_of(value.decode("latin-1").strip())
        if actor is None:
            raise AuthenticationFailed(_("The access token is not valid."))
        return Caller(actor), actor

    def authenticate_header(self, _request: Request) -> str:
        """The challenge of a 401."""
        return 'Bearer realm="Baton"'
