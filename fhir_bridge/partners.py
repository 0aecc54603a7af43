"""Partners: registering one safely, its secret at rest, and who it is when it acts.

A partner's base URL is registered by an administrator and is the only place that its secret is ever sent to, so the
URL is checked strictly: what a reader of the screen sees is what is connected to.
"""

import base64
import hashlib
import ipaddress
import re
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext as _

from fhir_bridge.client import Server
from fhir_bridge.connecting import discovery
from fhir_bridge.connecting.abilities import Abilities
from fhir_bridge.models import Partner
from records import access, clock, store
from records.access import Actor
from records.errors import Conflict, Incorrect, NotFound, Unavailable
from records.models import Tenant
from referrals.models import Owner
from referrals.people import default_pool, owner_for

__all__ = ["Partner", "actor", "add", "base_of", "by_name", "connect", "discover", "secret_of", "set_secret"]

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


def actor(partner: Partner) -> Actor:
    """The partner as somebody who acts, by the name that people know its organisation by."""
    name = owner_for(Owner.Kind.ORGANISATION, partner.organization).name
    return Actor(id=f"partner:{partner.pk}", kind="partner", display=name, organization=partner.organization)


def connect(partner: Partner) -> Server:
    """A client for this partner's base URL with its credentials."""
    return Server(partner.base_url, secret_of(partner) if partner.auth == Partner.Auth.BEARER else "")


def discover(partner: Partner) -> Abilities:
    """Ask the partner what it can do, and keep it in its row with the time. Raise the category of what fails."""
    partner.abilities = discovery.ask(Server(partner.base_url), partner.can()).stored()
    seen = discovery.complete(partner.can(), connect(partner))
    partner.abilities, partner.abilities_seen_at = seen.stored(), clock.now()
    Partner.objects.filter(pk=partner.pk).update(
        abilities=partner.abilities, abilities_seen_at=partner.abilities_seen_at, last_success_at=clock.now()
    )
    return seen


def by_name(name: str) -> Partner:
    """The partner of this name, or `NotFound`."""
    partner = Partner.objects.filter(name=name).select_related("steward_pool").first()
    if partner is None:
        raise NotFound(_("There is no partner named “%(name)s”.") % {"name": name})
    return partner


def add(
    name: str,
    base_url: str,
    *,
    organization: str,
    tenant: str = "",
    steward_pool: str = "",
    auth: str = Partner.Auth.NONE,
    secret: str = "",
) -> Partner:
    """Register a partner that performs as the local Organization ``organization``.

    ``steward_pool`` is a pool's id, or a tenant's for its default pool; without one it is the default pool of
    ``tenant``, or of the only tenant. Raise `Incorrect` for a URL that hides where it leads to, `NotFound` for an unknown organisation,
    `Conflict` for a name or URL that is taken.
    """
    if not re.fullmatch(r"[\w][\w .-]{0,99}", name):
        raise Incorrect(_("A partner's name is letters, digits, spaces, dots and hyphens, at most 100."))
    url = base_of(base_url)
    if auth == Partner.Auth.BEARER:
        _check_bearer(url, secret)
    for reference in filter(None, (organization, tenant)):
        _check_organization(reference)
    if Partner.objects.filter(name=name).exists():
        raise Conflict(_("There is a partner named “%(name)s” already.") % {"name": name})
    if Partner.objects.filter(base_url=url).exists():
        raise Conflict(_("There is a partner with this address already."))
    partner = Partner(
        name=name,
        base_url=url,
        organization=organization,
        tenant=tenant,
        steward_pool=_steward(steward_pool, tenant),
        auth=auth,
        created_at=clock.now(),
    )
    set_secret(partner, secret)
    partner.save()
    return partner


def base_of(url: str) -> str:
    """The normal form of a base URL (no slash at the end), or `Incorrect` saying what is wrong with it."""
    parts = urlsplit(url.rstrip("/"))
    host = (parts.hostname or "").lower()
    try:
        port = parts.port
    except ValueError:
        port = 0
    wrong = (
        (parts.scheme not in {"http", "https"}, _("It must begin with http:// or https://.")),
        ("@" in parts.netloc, _("It must not contain credentials.")),
        ("?" in url or "#" in url, _("It must not contain a query or a fragment.")),
        (port == 0, _("Its port is not a number from 1 to 65535.")),
        (not _is_plain_host(host), _("Its host must be a plain name or address.")),
        (not _PATH.fullmatch(parts.path) or ".." in parts.path, _("Its path has characters that don't belong there.")),
    )
    for is_wrong, why in wrong:
        if is_wrong:
            raise Incorrect(_("This is not a base URL that can be used. %(why)s") % {"why": why})
    shown = f"[{host}]" if ":" in host else host
    is_default = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{shown}{'' if is_default else f':{port}'}{parts.path}"


def _is_plain_host(host: str) -> bool:
    """Whether a host is a DNS name, or an address in its one normal spelling, that may be a server of an EHR."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # "2130706433", "0x7f.1" and "127.1" are addresses to a resolver, and names to a reader
        last = host.rsplit(".", 1)[-1]
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last)
    is_odd = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    return address.is_loopback or not is_odd


def _check_bearer(url: str, secret: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]{8,4096}=*", secret):
        raise Incorrect(_("A bearer token is needed, of at least 8 characters that RFC 6750 allows."))
    host = urlsplit(url).hostname or ""
    if url.startswith("http:") and host not in {"127.0.0.1", "::1", "localhost"}:
        raise Incorrect(_("A bearer token is sent over https only."))


def _check_organization(organization: str) -> None:
    try:
        store.read("Organization", organization)
    except NotFound as error:
        raise NotFound(_("There is no Organization “%(id)s” here.") % {"id": organization}) from error


def _steward(pool: str, tenant: str) -> Owner:
    """The owner of everything that has to be mended in the exchange with this partner."""
    if pool:
        owner = Owner.objects.filter(kind=Owner.Kind.POOL, key=pool).first()
        if owner is None and not access.is_tenant(pool):
            raise NotFound(_("There is no pool “%(id)s” here.") % {"id": pool})
        return owner or default_pool(pool)
    if tenant:
        return default_pool(tenant)
    tenants = list(Tenant.objects.order_by("organization").values_list("organization", flat=True))
    if len(tenants) == 1:
        return default_pool(tenants[0])
    raise Incorrect(
        _("Say with --steward-pool who mends the exchange with this partner, by a pool's id or one of these: %(ids)s.")
        % {"ids": ", ".join(tenants) or "–"}
    )


def set_secret(partner: Partner, secret: str) -> None:
    """Put a secret into the row, encrypted; the caller saves it."""
    partner.secret = _cipher().encrypt(secret.encode()).decode() if secret else ""


def secret_of(partner: Partner) -> str:
    """The secret in clear, for the one request that needs it; `Unavailable` when the key is another one now."""
    if not partner.secret:
        return ""
    try:
        return _cipher().decrypt(partner.secret.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(_("The partner's secret can't be read with this installation's key.")) from error


def _cipher() -> MultiFernet:
    """Fernet (AES-128-CBC, HMAC-SHA256); the installation's first key encrypts, all of them decrypt."""
    keys = (hashlib.sha256(key.encode()).digest() for key in settings.FIELD_ENCRYPTION_KEYS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
