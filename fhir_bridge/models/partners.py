"""Partner: an EHR's FHIR server that we exchange with."""

import json
from functools import lru_cache

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from fhir_bridge.capabilities import choices
from fhir_bridge.capabilities.abilities import Abilities
from fhir_bridge.capabilities.choices import Ways
from records.json import dumps
from referrals.models import Owner


class Partner(models.Model):
    """One external FHIR R4 server.

    ``base_url`` has no slash at its end; its scheme, host and port are the only origin that ever hears of ``secret``
    (see `fhir_bridge.connecting.client`). ``organization`` is the local Organization that performs at this partner; ``tenant``
    is set when the server is a tenant's own EHR. ``abilities`` is what the server was seen to be able to do, at
    ``abilities_seen_at`` (see `fhir_bridge.connecting`), ``chosen`` what an administrator has set otherwise (aspect →
    way); `ways` puts both together. Of one that ``is_directory`` all people, places and services are kept here too. ``skew_seconds`` is the partner's clock minus ours.

    Who we are there: ``client_id``, ``scope`` and ``secret`` (encrypted). ``token_url`` is the authorisation server's
    token endpoint as registered by an administrator; without one it may only be on the partner's own origin.

    ``requests_per_minute`` and ``concurrency`` bound what all workers together ask of it, None for no bound of ours.
    ``failures`` counts exchanges in a row that did not arrive, the first ``failing_since``; from a number on nothing is asked before ``not_before_at``, and
    then by one worker alone, who has it until ``probe_until`` (`fhir_bridge.connecting.circuit`).
    """

    class Auth(models.TextChoices):
        NONE = "none", _("none")
        BEARER = "bearer", _("bearer token")
        BASIC = "basic", _("user name and password")
        CLIENT_CREDENTIALS = "client-credentials", _("OAuth 2 client credentials")
        SMART_BACKEND = "smart-backend", _("SMART Backend Services")

    class Profile(models.TextChoices):
        CORE = "core", _("FHIR R4 alone")
        GRAVITY = "gravity", _("Gravity SDOH Clinical Care")
        COW = "cow", _("Clinical Order Workflows")
        BSER = "bser", _("Bidirectional Services eReferral")
        AU = "au", _("AU eRequesting")

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        REWOUND = "rewound", _("restored from a backup")

    class TaskHost(models.TextChoices):
        OURS = "ours", _("ours")
        THEIRS = "theirs", _("theirs")

    name = models.TextField(unique=True)
    base_url = models.TextField(unique=True)
    organization = models.TextField(db_index=True)
    tenant = models.TextField(blank=True, default="")
    steward_pool = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="stewarded_partners")
    auth = models.CharField(max_length=32, choices=Auth, default=Auth.NONE)
    client_id = models.TextField(blank=True, default="", db_default="")
    scope = models.TextField(blank=True, default="", db_default="")
    token_url = models.TextField(blank=True, default="", db_default="")
    secret = models.TextField(blank=True, default="")
    profile = models.CharField(max_length=16, choices=Profile, default=Profile.CORE)
    is_directory = models.BooleanField(default=False, db_default=False)
    task_host = models.CharField(max_length=8, choices=TaskHost, default=TaskHost.THEIRS)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True, default="")
    abilities = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    abilities_seen_at = models.DateTimeField(null=True)
    chosen = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    requests_per_minute = models.PositiveIntegerField(null=True)
    concurrency = models.PositiveSmallIntegerField(null=True)
    overlap_seconds = models.PositiveIntegerField(default=600)
    lag_seconds = models.FloatField(default=1.0)
    silence_seconds = models.PositiveIntegerField(default=3600)
    skew_seconds = models.FloatField(null=True)
    not_before_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, db_default=0)
    failing_since = models.DateTimeField(null=True)
    probe_until = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        """Whether we may exchange with it now."""
        return self.state == self.State.ACTIVE

    def can(self) -> Abilities:
        """What its server was seen to be able to do."""
        return _abilities(dumps(self.abilities))

    def ways(self, type_: str = "Task") -> Ways:
        """How we write and read a type there, each way with its reason."""
        return _ways(dumps(self.abilities), dumps(self.chosen), type_, get_language())


# Each is asked several times for every resource that is sent; what an administrator or a discovery changes is another text.
@lru_cache(maxsize=100)
def _abilities(stored: str) -> Abilities:
    return Abilities.restored(json.loads(stored))


@lru_cache(maxsize=1000)
def _ways(abilities: str, chosen: str, type_: str, _language: str) -> Ways:
    """The reasons are in the language."""
    return choices.choose(_abilities(abilities), json.loads(chosen), type_)


class Token(models.Model):
    """The access token that a partner's authorisation server gave us last, encrypted; ``scope`` is what it grants.

    It is used until ``ends_at``; from ``renew_at`` on whoever needs it gets a new one first.
    """

    partner = models.OneToOneField(Partner, on_delete=models.CASCADE, primary_key=True, related_name="token")
    secret = models.TextField()
    scope = models.TextField(blank=True, default="")
    renew_at = models.DateTimeField()
    ends_at = models.DateTimeField()


class SigningKey(models.Model):
    """A key pair of ours; ``private`` is its JWK, encrypted. ``kid`` is its thumbprint (RFC 7638).

    It is published from ``created_at`` on, signs from ``signs_from`` on until a newer one of its algorithm does, and is
    published until it has not been used for long (`fhir_bridge.connecting.keys`).
    """

    kid = models.CharField(max_length=64, primary_key=True)
    alg = models.CharField(max_length=8)
    private = models.TextField()
    created_at = models.DateTimeField()
    signs_from = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "kid"]


class Pace(models.Model):
    """Until when the requests of all workers have used up what a partner's rate allows (GCRA's arrival time)."""

    partner = models.OneToOneField(Partner, on_delete=models.CASCADE, primary_key=True, related_name="pace")
    used_until = models.DateTimeField()
