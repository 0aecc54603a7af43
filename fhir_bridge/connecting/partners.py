"""Partners: registering one safely, its secret at rest, and who it is when it acts.

A partner's base URL is registered by an administrator and is the only place that its secret is ever sent to, so the
URL is checked strictly: what a reader of the screen sees is what is connected to.
"""

import re
from dataclasses import replace
from datetime import timedelta

from django.utils.translation import gettext as _

from fhir_bridge.capabilities.abilities import Abilities
from fhir_bridge.connecting import discovery, limits, registration
from fhir_bridge.connecting.addresses import base_of
from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.credentials import BY_TOKEN, Credentials, fixed, put
from fhir_bridge.connecting.tokens import TokenSigner
from fhir_bridge.models import Partner
from records import access, clock
from records.access import Actor
from records.errors import Conflict, Incorrect, NotFound
from referrals.models import Owner
from referrals.people import owner_for
from referrals.upheavals import silence

__all__ = ["Partner", "actor", "add", "base_of", "by_name", "connect", "discover"]

NO_CREDENTIALS = Credentials()


def actor(partner: Partner) -> Actor:
    """The partner as somebody who acts, by the name that people know its organisation by; a department for its house."""
    name = owner_for(Owner.Kind.ORGANISATION, partner.organization).name
    house = access.root(partner.organization)
    return Actor(id=f"partner:{partner.pk}", kind="partner", display=name, organization=house)


def connect(partner: Partner) -> Server:
    """A client for this partner's base URL with its credentials."""
    signer = TokenSigner(partner) if partner.auth in BY_TOKEN else fixed(partner)
    return Server(partner.base_url, signer, gate=limits.gate(partner))


def discover(partner: Partner) -> Abilities:
    """Ask the partner what it can do, and keep it in its row with the time. Raise the category of what fails."""
    told = discovery.ask(Server(partner.base_url), partner.can())
    _keep(partner, told if told.source else replace(partner.can(), smart=told.smart))  # where tokens are to be had
    seen = discovery.complete(told, connect(partner))
    _keep(partner, seen)
    Partner.objects.filter(pk=partner.pk).update(abilities_seen_at=partner.abilities_seen_at)
    return seen


def _keep(partner: Partner, abilities: Abilities) -> None:
    partner.abilities, partner.abilities_seen_at = abilities.stored(), clock.now()
    Partner.objects.filter(pk=partner.pk).update(abilities=partner.abilities, last_success_at=clock.now())


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
    credentials: Credentials = NO_CREDENTIALS,
    is_directory: bool = False,
) -> Partner:
    """Register a partner that performs as the local Organization ``organization``; see `Partner.is_directory`.

    ``steward_pool`` is a pool's id, or a tenant's for its default pool; without one it is the default pool of
    ``tenant``, or of the only tenant. Raise `Incorrect` for a URL that hides where it leads to, `NotFound` for an unknown organisation,
    `Conflict` for a name or URL that is taken.
    """
    if not re.fullmatch(r"[\w][\w .-]{0,99}", name):
        raise Incorrect(_("A partner's name is letters, digits, spaces, dots and hyphens, at most 100."))
    url = base_of(base_url)
    checked = credentials.checked(url)
    for reference in filter(None, (organization, tenant)):
        registration.check_organization(reference)
    if Partner.objects.filter(name=name).exists():
        raise Conflict(_("There is a partner named “%(name)s” already.") % {"name": name})
    registration.check_free(url)
    partner = Partner(
        name=name,
        base_url=url,
        organization=organization,
        tenant=tenant,
        steward_pool=registration.steward(steward_pool, tenant),
        is_directory=is_directory,
        created_at=clock.now(),
    )
    put(partner, checked)
    partner.save()
    _expect(partner)
    return partner


def _expect(partner: Partner) -> None:
    """From now on its silence is an alarm, also if it never says a word."""
    window = timedelta(seconds=partner.silence_seconds)
    now, pool = partner.created_at, partner.steward_pool
    silence.heard(str(partner.pk), partner.organization, now, silent_after=window, pool=pool, name=partner.name)
