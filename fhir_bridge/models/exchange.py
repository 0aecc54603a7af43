"""Link, Inbox, Watermark, Reconciliation: the truth of what is to be sent, what has come, and how far we have read.

A Celery message only wakes somebody up; every line of work is a row here (law 8).
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from fhir_bridge.models.partners import Partner


class Link(models.Model):
    """A local resource and the partner's copy of it, one row per (partner, resource).

    ``wanted_version`` is the local version that the partner should have, ``sent_version`` the one it has.
    ``remote_version`` is the partner's ``meta.versionId``, ``base`` the partner's body at the last sync, character by
    character, and ``remote_hash`` its content's hash. ``applied_last_updated`` is the partner's time of the newest
    version that we have applied here: an older one that comes late changes nothing (law 7). ``origin`` says whose resource it is: what a partner made is
    never overwritten there, but for the elements that we own (PATHWAYS §1). ``follows``: our resource is a
    copy that was made from theirs and follows it. ``rank`` orders a partner's queue so that
    a referred resource is sent before the one that refers to it. ``fence`` counts the claims: a worker whose lease was
    taken over can't settle any more. ``mend_loop`` is the open upkeep loop in which a person looks at it. ``decisions``
    are a person's, of what both sides changed: element → [whose holds, fingerprint of the value of theirs that was seen, our value as JSON if that is to hold].
    """

    class State(models.TextChoices):
        CLEAN = "clean", _("in step")
        WANTED = "wanted", _("to be sent")
        INFLIGHT = "inflight", _("being sent")
        UNKNOWN = "unknown", _("outcome unknown")
        STUCK = "stuck", _("refused")
        CONFLICT = "conflict", _("conflict")
        GONE = "gone", _("deleted there")
        HELD = "held", _("held back by a consent")

    class Origin(models.TextChoices):
        OURS = "ours", _("ours")
        THEIRS = "theirs", _("theirs")

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="links")
    type = models.CharField(max_length=64)
    local_id = models.TextField(db_collation="C")
    remote_id = models.TextField(null=True, db_collation="C")
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.OURS)
    follows = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=State, default=State.CLEAN)
    rank = models.PositiveSmallIntegerField(default=0)
    wanted_version = models.PositiveIntegerField(default=0)
    sent_version = models.PositiveIntegerField(default=0)
    remote_version = models.TextField(blank=True, default="")
    remote_last_updated = models.DateTimeField(null=True)
    remote_hash = models.TextField(blank=True, default="")
    applied_last_updated = models.DateTimeField(null=True)
    base = models.TextField(blank=True, default="")
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    first_failed_at = models.DateTimeField(null=True)
    error_category = models.CharField(max_length=32, blank=True, default="")
    error_text = models.TextField(blank=True, default="")
    mend_loop = models.TextField(blank=True, default="")
    decisions = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["partner", "type", "local_id"], name="link_once_local"),
            # a partner's resource is one of ours at most; inbound translation relies on it
            models.UniqueConstraint(fields=["partner", "type", "remote_id"], name="link_once_remote"),
        ]
        indexes = [
            models.Index(
                fields=["partner", "rank", "due_at", "id"],
                name="link_due",
                condition=models.Q(state__in=["wanted", "unknown", "inflight"]),
            ),
            models.Index(
                fields=["partner", "state"],
                name="link_work",
                condition=~models.Q(state="clean"),
            ),
            models.Index(fields=["type", "local_id"], name="link_local"),
            # each write frees those that waited for it (`pushing.release`), however many others are still to be sent
            models.Index(
                fields=["partner"],
                name="link_waiting",
                condition=models.Q(state="wanted", error_category="waiting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type}/{self.local_id} at {self.partner_id}"

    @property
    def is_only_recognised(self) -> bool:
        """Whether it is the partner's own that we know and nothing else: it is left there as it is (docs/decisions/0132)."""
        return self.origin == self.Origin.THEIRS and not self.follows and self.type != "Task"


class Inbox(models.Model):
    """One version of a partner's resource as it came, in full, and what became of it.

    ``body`` is the exact text (law 9); ``waiting`` = needs something that has not come yet; ``quarantined`` = could
    not be applied, a person looks at it. Without a versionId at the partner ``version_id`` is its lastUpdated: a content may come back. The content of
    the newest one is no new version then, whatever its instant.
    Of what can't be read it is the name alone, ``last_updated`` then the instant from which what names it is read again, and
    ``due_at`` when it is asked for next; None for at once.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("to be applied")
        APPLIED = "applied", _("applied")
        WAITING = "waiting", _("waiting for another")
        QUARANTINED = "quarantined", _("quarantined")
        DISCARDED = "discarded", _("discarded")

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="inbox")
    type = models.CharField(max_length=64)
    remote_id = models.TextField(db_collation="C")
    version_id = models.TextField(blank=True, default="")
    content_hash = models.CharField(max_length=64)
    last_updated = models.DateTimeField(null=True)
    body = models.TextField()
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    received_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error_category = models.CharField(max_length=32, blank=True, default="")
    error_text = models.TextField(blank=True, default="")
    mend_loop = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "type", "remote_id", "version_id", "content_hash"], name="inbox_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["partner", "last_updated", "id"],
                name="inbox_due",
                condition=models.Q(state__in=["pending", "waiting"]),
            ),
            models.Index(
                fields=["partner", "state"],
                name="inbox_work",
                condition=models.Q(state__in=["pending", "waiting", "quarantined"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type}/{self.remote_id} of {self.partner_id}"


class Inquiry(models.Model):
    """Something of a partner's of which nothing came so far, and that is asked for again (`fhir_bridge.inbound.inquiries`).

    An addressee is whom orders name and who is none of ours: by (``type``, ``remote_id``), or by an identifier alone, then
    ``type`` is empty. ``since`` (the partner's clock) is the instant from which the orders are read again should it be ours after all, and ``names``
    are its identifiers as it was seen last, as ``system|value``. A value is one that a report here lists and that we were refused.
    ``due_at`` is when it is looked at next; None for when something that it depends on is changed here.
    """

    class Reason(models.TextChoices):
        ADDRESSEE = "addressee", _("addressee")
        VALUE = "value", _("value of a report")

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="inquiries")
    reason = models.CharField(max_length=16, choices=Reason)
    type = models.CharField(max_length=64, blank=True)
    remote_id = models.TextField(db_collation="C")
    since = models.DateTimeField(null=True)
    names = ArrayField(models.TextField(), default=list)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "type", "remote_id"], name="inquiry_once")]
        indexes = [models.Index(fields=["partner", "due_at"], name="inquiry_due")]

    def __str__(self) -> str:
        return f"{self.type}/{self.remote_id} of {self.partner_id}"


class Watermark(models.Model):
    """How far a type has been read at a partner, all instants by the partner's clock, and who reads it now.

    Everything that was changed before ``until`` has been stored. While a window is read, ``reached`` is how far; whoever
    takes a dead reader's lease over goes on there, up to ``upper``. ``deep_until`` is the ``until`` of the last reading that went
    back by the partner's whole overlap. ``read_at`` (our clock) is when a window was last read to its end, or the partner
    said that it doesn't offer the type.
    ``is_linked``: its pages have been seen to give ``next`` links. ``fence`` counts the leases. ``failing_since`` is when it could
    not be read for the first time since it was, and ``error_text`` what was said the last time (`fhir_bridge.inbound.unread`).
    """

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="watermarks")
    type = models.CharField(max_length=64)
    until = models.DateTimeField()
    reached = models.DateTimeField(null=True)
    upper = models.DateTimeField(null=True)
    deep_until = models.DateTimeField(null=True)
    is_deep = models.BooleanField(default=False)
    is_linked = models.BooleanField(default=False)
    read_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    error_text = models.TextField(blank=True, default="", db_default="")
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "type"], name="watermark_once")]

    def __str__(self) -> str:
        return f"{self.type} of {self.partner_id}"


class Reconciliation(models.Model):
    """One reading of what is linked, by id: of the open work (hourly), of everything (nightly), or after a rewind.

    ``reached`` is the last link that was read; whoever takes a dead reader's lease over goes on there. ``read`` counts what was
    read, ``changed`` versions that no poll had brought, ``missing`` what is not there any more, ``differing`` what a rewound
    partner has otherwise than we last saw it, ``unreadable`` what could not be read, and will be tried by the next one.
    """

    class Scope(models.TextChoices):
        OPEN = "open", _("open work")
        ALL = "all", _("everything linked")
        REWOUND = "rewound", _("everything, after a restore")

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="reconciliations")
    scope = models.CharField(max_length=8, choices=Scope)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    reached = models.BigIntegerField(default=0)
    read = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    differing = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0, db_default=0)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "scope"], name="reconciliation_at_a_time", condition=models.Q(finished_at=None)
            )
        ]
        indexes = [models.Index(fields=["partner", "scope", "started_at"], name="reconciliation_latest")]

    def __str__(self) -> str:
        return f"{self.scope} of {self.partner_id}"
