"""The append-only journal and the escalations. PostgreSQL refuses UPDATE and DELETE of an event."""

from django.db import models

from referrals.models.loops import Handoff, Loop
from referrals.models.people import Owner, User


class Event(models.Model):
    """One line of a loop's journal.

    ``at`` is when it happened (limited to between the order and our receipt), ``recorded_at`` when we wrote it.
    ``details`` holds what the action carried (codes, dates, channel; see ``Transition.fields``); ``evidence`` is the
    reference of the resource that proved it; ``attested`` marks a recollection entered for somebody else.
    """

    loop = models.ForeignKey(Loop, on_delete=models.PROTECT, related_name="events")
    handoff = models.ForeignKey(Handoff, on_delete=models.PROTECT, related_name="events", null=True)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    actor_id = models.TextField()
    actor_kind = models.CharField(max_length=16)
    actor_display = models.TextField()
    action = models.CharField(max_length=32)
    from_stage = models.CharField(max_length=32, blank=True, default="")
    to_stage = models.CharField(max_length=32, blank=True, default="")
    reason_code = models.TextField(blank=True, default="")
    reason_text = models.TextField(blank=True, default="")
    details = models.JSONField(default=dict)
    evidence = models.TextField(blank=True, default="")
    attested = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["loop", "id"], name="event_by_loop"),
            # whether a report was applied already, and to which loops
            models.Index(fields=["evidence"], name="event_by_evidence", condition=~models.Q(evidence="")),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"


class Escalation(models.Model):
    """That a level (1 owner, 2 pool, 3 supervisor) heard of a handoff past this due time; once per level.

    ``delivered_at`` is when it was displayed in the app or taken by the mail server.
    """

    handoff = models.ForeignKey(Handoff, on_delete=models.PROTECT, related_name="escalations")
    due_at = models.DateTimeField()
    level = models.PositiveSmallIntegerField()
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="escalations")
    recorded_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    channel = models.CharField(max_length=16, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["handoff", "due_at", "level"], name="escalation_once_per_level")]
        indexes = [models.Index(fields=["recorded_at"], name="escalation_by_time")]


class Delivery(models.Model):
    """That a mail server has taken a message to this person which counts this escalation; see `referrals.mailing`."""

    escalation = models.ForeignKey(Escalation, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="deliveries")
    accepted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["escalation", "user"], name="delivered_once")]


class Mailbox(models.Model):
    """How sending to one person stands. What is to be sent are the escalations on their lists without a `Delivery`.

    ``leased_until``: a worker is sending. ``attempts`` have failed since the last success, and nothing is sent before
    ``not_before_at``. ``refused_address`` is one that the mail server refuses for good: nothing more goes there.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="mailbox")
    attempts = models.PositiveIntegerField(default=0)
    not_before_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=64, blank=True, default="")
    refused_address = models.EmailField(blank=True, default="")
