"""Subscription, Hint: what a partner was asked to tell us of, and what it has told us to look at."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from fhir_bridge.models.partners import Partner


class Subscription(models.Model):
    """A Subscription of ours at a partner, for changes of a ``type`` or of a ``topic`` (the other one is empty).

    ``key`` is the last part of the address that it notifies, ``secret`` (encrypted) what a notification must prove to
    know. ``last_event`` is the highest number of an event that we have heard of.
    """

    class State(models.TextChoices):
        WANTED = "wanted", _("to be asked for")
        REQUESTED = "requested", _("asked for")
        ACTIVE = "active", _("active")
        ERROR = "error", _("failed there")
        OFF = "off", _("switched off there")

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="subscriptions")
    type = models.CharField(max_length=64, blank=True, default="")
    topic = models.TextField(blank=True, default="")
    key = models.CharField(max_length=64, unique=True)
    secret = models.TextField()
    remote_id = models.TextField(null=True, db_collation="C")
    state = models.CharField(max_length=16, choices=State, default=State.WANTED)
    error_text = models.TextField(blank=True, default="")
    last_event = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True)
    heard_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "type", "topic"], name="subscription_once")]

    def __str__(self) -> str:
        return f"{self.type or self.topic} of {self.partner_id}"


class Hint(models.Model):
    """Something to look at: one resource; without ``remote_id`` all changes of a type; without ``type`` all changes."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="hints")
    type = models.CharField(max_length=64, blank=True, default="")
    remote_id = models.TextField(blank=True, default="", db_collation="C")
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "type", "remote_id"], name="hint_once")]

    def __str__(self) -> str:
        return f"{self.type} at {self.partner_id}"
