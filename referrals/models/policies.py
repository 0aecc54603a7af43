"""What an organisation sets for itself: clocks and calendars. Without a row the tables of `referrals.deadlines` rule."""

from django.db import models


class Calendar(models.Model):
    """Working days of one root Organization: IANA time zone, country (and region) whose public holidays are free."""

    organization = models.TextField(primary_key=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    country = models.CharField(max_length=2, blank=True, default="")
    region = models.CharField(max_length=8, blank=True, default="")
    closed_on = models.JSONField(default=list)


class Policy(models.Model):
    """One organisation's own number for a clock; empty ``stage`` or ``priority`` stands for all."""

    class Unit(models.TextChoices):
        HOURS = "hours"
        DAYS = "days"
        BUSINESS_DAYS = "business-days"

    organization = models.TextField()
    loop_kind = models.CharField(max_length=16, blank=True, default="")
    handoff_kind = models.CharField(max_length=32)
    stage = models.CharField(max_length=32, blank=True, default="")
    priority = models.CharField(max_length=8, blank=True, default="")
    amount = models.PositiveSmallIntegerField()
    unit = models.CharField(max_length=16, choices=Unit)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "loop_kind", "handoff_kind", "stage", "priority"], name="policy_once"
            )
        ]
