"""Partner: an EHR's FHIR server that we exchange with."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.models import Owner


class Partner(models.Model):
    """One external FHIR R4 server.

    ``base_url`` has no slash at its end; its scheme, host and port are the only origin that ever hears of ``secret``
    (see `fhir_bridge.client`). ``organization`` is the local Organization that performs at this partner; ``tenant``
    is set when the server is a tenant's own EHR. ``takes_if_match`` and ``takes_if_none_exist`` are what its
    CapabilityStatement promises; without a promise we read or search immediately before each write (law 10).
    ``skew_seconds`` is the partner's clock minus ours.
    """

    class Auth(models.TextChoices):
        NONE = "none", _("none")
        BEARER = "bearer", _("bearer token")

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")

    class TaskHost(models.TextChoices):
        OURS = "ours", _("ours")
        THEIRS = "theirs", _("theirs")

    name = models.TextField(unique=True)
    base_url = models.TextField(unique=True)
    organization = models.TextField(db_index=True)
    tenant = models.TextField(blank=True, default="")
    steward_pool = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="stewarded_partners")
    auth = models.CharField(max_length=16, choices=Auth, default=Auth.NONE)
    secret = models.TextField(blank=True, default="")
    profile = models.CharField(max_length=16, default="core")
    task_host = models.CharField(max_length=8, choices=TaskHost, default=TaskHost.THEIRS)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True, default="")
    takes_if_match = models.BooleanField(default=False)
    takes_if_none_exist = models.BooleanField(default=False)
    overlap_seconds = models.PositiveIntegerField(default=600)
    lag_seconds = models.FloatField(default=1.0)
    silence_seconds = models.PositiveIntegerField(default=3600)
    skew_seconds = models.FloatField(null=True)
    not_before_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")
    poll_lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        """Whether we may exchange with it now."""
        return self.state == self.State.ACTIVE
