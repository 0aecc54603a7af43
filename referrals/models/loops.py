"""Loop and Handoff: the truth of who must do what by when. Only `referrals.workflow` writes them.

The laws that these rows must obey are in PostgreSQL (see the migration ``laws``): a loop is open if and only if it has
an open handoff, a loop never leaves its end, and closing needs the acknowledgement and the patient told.
"""

from typing import ClassVar, TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.models.people import Owner


class Priority(models.TextChoices):
    """FHIR request-priority, most urgent first; `RANK` is the order on every list."""

    STAT = "stat", _("stat")
    ASAP = "asap", _("as soon as possible")
    URGENT = "urgent", _("urgent")
    ROUTINE = "routine", _("routine")


RANK = {"stat": 0, "asap": 1, "urgent": 2, "routine": 3}

# Law 4: without one of these a loop around a request has no end.
_ACKNOWLEDGED = models.Q(acknowledged_at__isnull=False) | ~models.Q(acknowledged_reason="")
_TOLD = models.Q(told_at__isnull=False) | ~models.Q(told_reason="")
_HAS_REQUEST = models.Q(kind__in=["referral", "follow-up", "test-order"], answer_only=False)
# What its performer has never been sent: the payer hasn't agreed, or it ended before (it still stood on its placer's list).
UNSENT = models.Q(kind="fulfil", task_status="draft") | (
    models.Q(kind="fulfil", stage="cancelled", owner__internal=True) & ~models.Q(owner=models.F("list"))
)
_OPEN_STAGES = ["waiting-partner", "report-received", "plan-to-patient", "in-hand"]


class Loop(models.Model):
    """The tracking of one care request from order to closure; the parent Task has the same id.

    ``request_id`` is the ServiceRequest; kinds `unsolicited` and `upkeep` have none and say in ``about`` (a
    FHIR reference or "Link/7") what they are for. ``placer`` and ``performer`` are root Organization ids.
    ``performer_owner`` is whoever it is sent to. ``answer_only``: our organisation is only the performer, so the loop
    ends when its outcome has reached the placer. ``is_advice``: only advice is asked for, no visit. A loop that opens because a report came after the end of an earlier one
    is ``based_on`` that; it has no ``request_id`` of its own and names the request in ``about``.
    """

    class Kind(models.TextChoices):
        REFERRAL = "referral", _("referral")
        FOLLOW_UP = "follow-up", _("follow-up")
        TEST_ORDER = "test-order", _("test order")
        UNSOLICITED = "unsolicited", _("unsolicited result")
        UPKEEP = "upkeep", _("upkeep")

    id = models.TextField(primary_key=True, db_collation="C")
    kind = models.CharField(max_length=16, choices=Kind)
    stage = models.CharField(max_length=32)
    version = models.PositiveIntegerField(default=1)
    request_id = models.TextField(null=True, unique=True, db_collation="C")
    about = models.TextField(blank=True, default="")
    patient_id = models.TextField(blank=True, default="", db_index=True)
    placer = models.TextField(blank=True, default="")
    performer = models.TextField(blank=True, default="")
    service_id = models.TextField(blank=True, default="")
    requester = models.TextField(blank=True, default="")
    title = models.TextField(blank=True, default="")
    priority = models.CharField(max_length=8, choices=Priority, default=Priority.ROUTINE)
    accountable = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="accountable_loops")
    responsible = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="responsible_loops", null=True)
    performer_owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="performed_loops", null=True)
    answer_only = models.BooleanField(default=False)
    is_advice = models.BooleanField(default=False)
    based_on = models.ForeignKey("self", on_delete=models.PROTECT, related_name="followed_by", null=True)
    ordered_at = models.DateTimeField()
    window_start_at = models.DateTimeField(null=True)
    needed_by = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.TextField(blank=True, default="")
    acknowledged_reason = models.TextField(blank=True, default="")
    told_at = models.DateTimeField(null=True)
    told_by = models.TextField(blank=True, default="")
    told_reason = models.TextField(blank=True, default="")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.TextField(blank=True, default="")
    end_reason = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["placer", "opened_at", "id"], name="loop_by_placer"),
            # what was ordered of whom in a period (`referrals.metrics`)
            models.Index(fields=["placer", "ordered_at"], name="loop_ordered_by"),
            models.Index(fields=["performer", "ordered_at"], name="loop_ordered_of"),
            models.Index(fields=["about"], name="loop_by_about", condition=~models.Q(about="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="law_4_acknowledged_and_told",
                condition=models.Q(closed_at__isnull=True)
                | ~_HAS_REQUEST
                | (_ACKNOWLEDGED & ~models.Q(acknowledged_by="") & _TOLD & ~models.Q(told_by="")),
            ),
            models.CheckConstraint(
                name="law_4_end_has_reason_and_person",
                condition=models.Q(closed_at__isnull=True)
                | (~models.Q(closed_by="") & (models.Q(stage="closed") | ~_HAS_REQUEST | ~models.Q(end_reason=""))),
            ),
            models.CheckConstraint(
                name="loop_stage_says_whether_open",
                condition=models.Q(closed_at__isnull=True, stage__in=_OPEN_STAGES)
                | (models.Q(closed_at__isnull=False) & ~models.Q(stage__in=_OPEN_STAGES)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def request_reference(self) -> str:
        """The ServiceRequest that it is about, as a reference; empty without one."""
        if self.request_id:
            return f"ServiceRequest/{self.request_id}"
        return self.about if self.about.startswith("ServiceRequest/") else ""


AnyLoop = TypeVar("AnyLoop", bound=Loop)


class OfKind(models.Manager[AnyLoop]):
    """The loops of one kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def get_queryset(self) -> models.QuerySet[AnyLoop]:
        """Only this kind."""
        return super().get_queryset().filter(kind=self.kind)


class Referral(Loop):
    """A loop around a request for another's care."""

    objects: ClassVar[OfKind[Loop]] = OfKind("referral")  # type: ignore[assignment]  # a proxy narrows its base

    class Meta:
        proxy = True


class FollowUp(Loop):
    """A loop around a visit or call that must still happen."""

    objects: ClassVar[OfKind[Loop]] = OfKind("follow-up")  # type: ignore[assignment]  # a proxy narrows its base

    class Meta:
        proxy = True


class TestOrder(Loop):
    """A loop around a laboratory, imaging or other diagnostic order."""

    objects: ClassVar[OfKind[Loop]] = OfKind("test-order")  # type: ignore[assignment]  # a proxy narrows its base
    __test__ = False

    class Meta:
        proxy = True


class Unsolicited(Loop):
    """A loop that holds evidence which names no order of ours."""

    objects: ClassVar[OfKind[Loop]] = OfKind("unsolicited")  # type: ignore[assignment]  # a proxy narrows its base

    class Meta:
        proxy = True


class Upkeep(Loop):
    """A loop that holds one thing to mend: an exchange, a contradiction, a death to confirm."""

    objects: ClassVar[OfKind[Loop]] = OfKind("upkeep")  # type: ignore[assignment]  # a proxy narrows its base

    class Meta:
        proxy = True


class Handoff(models.Model):
    """One responsibility: who must do what by when; the child Task has the same id.

    ``owner`` may be outside; ``list`` is the one internal list it stands on (the owner's own, else the accountable
    pool's), ``accountable`` the pool that sees it as waiting for others or to be chased while it stands elsewhere;
    ``pool`` is the one behind that list in the list's own organisation (a pool's list stands behind itself), which reads
    it when its readers are away or late; ``is_outside`` says that its owner belongs to another organisation than that pool.
    ``due_at`` is the stage's clock, ``half_due_at`` the middle of it, ``needed_by`` the date set once for
    ``restriction.period.end``. ``task_status`` and ``remote_lasted_at`` are the performer's last word and its time.
    ``paused_seconds`` is what was left of the clock when it stopped to wait for information; ``paused_stage`` is where
    it goes on after that, or after a declined proposal. ``escalate_at`` is when the next level is to hear of it (NULL:
    all have), ``escalation_level`` the last that has. ``is_offer``: one of several bids, none of which has been taken. ``slot_start_at`` (NULL: not known) and ``slot_end_at`` are those of the appointment that the stage is about.
    ``reconfirm_at`` is when what somebody entered for the performer has to be confirmed once more; ``contradiction`` is
    the stage that the performer's own Task names although its status doesn't allow it. ``authorisation`` is the payer's number, good until the end of that day.
    """

    id = models.TextField(primary_key=True, db_collation="C")
    loop = models.ForeignKey(Loop, on_delete=models.PROTECT, related_name="handoffs")
    kind = models.CharField(max_length=32)
    stage = models.CharField(max_length=32)
    version = models.PositiveIntegerField(default=1)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="handoffs")
    list = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="listed_handoffs")
    accountable = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="watched_handoffs")
    pool = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="backed_handoffs")
    is_outside = models.BooleanField()
    priority_rank = models.PositiveSmallIntegerField()
    opened_at = models.DateTimeField()
    stage_since = models.DateTimeField()
    due_at = models.DateTimeField()
    half_due_at = models.DateTimeField()
    needed_by = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    task_status = models.CharField(max_length=32)
    remote_lasted_at = models.DateTimeField(null=True)
    focus = models.TextField(blank=True, default="")
    opened_by = models.ForeignKey("self", on_delete=models.PROTECT, related_name="opened", null=True)
    reason_code = models.TextField(blank=True, default="")
    reason_text = models.TextField(blank=True, default="")
    paused_seconds = models.PositiveIntegerField(null=True)
    paused_stage = models.CharField(max_length=32, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    escalate_at = models.DateTimeField(null=True)
    escalation_level = models.PositiveSmallIntegerField(default=0)
    is_offer = models.BooleanField(default=False)
    authorisation = models.TextField(blank=True, default="")
    authorised_until = models.DateField(null=True)
    slot_start_at = models.DateTimeField(null=True)
    slot_end_at = models.DateTimeField(null=True)
    reconfirm_at = models.DateTimeField(null=True)
    contradiction = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        indexes = [
            # the loop that a later request belongs to, and a partner's Task by what it asks to cancel
            models.Index(fields=["focus"], name="handoff_by_focus", condition=~models.Q(focus="")),
            models.Index(
                fields=["accountable", "priority_rank", "due_at", "id"],
                name="handoff_watched",
                condition=models.Q(closed_at__isnull=True, is_outside=True) & ~models.Q(list=models.F("accountable")),
            ),
            models.Index(
                fields=["accountable", "kind", "priority_rank", "due_at", "id"],
                name="handoff_watched_of_kind",
                condition=models.Q(closed_at__isnull=True, is_outside=True) & ~models.Q(list=models.F("accountable")),
            ),
            models.Index(
                fields=["pool", "priority_rank", "due_at", "id"],
                name="handoff_behind",
                condition=models.Q(closed_at__isnull=True) & ~models.Q(list=models.F("pool")),
            ),
            models.Index(
                fields=["list", "kind", "priority_rank", "due_at", "id"],
                name="handoff_worklist_of_kind",
                condition=models.Q(closed_at__isnull=True),
            ),
            models.Index(
                fields=["escalate_at"], name="handoff_to_escalate", condition=models.Q(closed_at__isnull=True)
            ),
            models.Index(
                fields=["list", "priority_rank", "due_at", "id"],
                name="handoff_worklist",
                condition=models.Q(closed_at__isnull=True),
            ),
            models.Index(fields=["due_at"], name="handoff_due", condition=models.Q(closed_at__isnull=True)),
            models.Index(fields=["owner", "due_at"], name="handoff_owner", condition=models.Q(closed_at__isnull=True)),
        ]
        constraints = [
            models.CheckConstraint(
                name="handoff_clock_in_order", condition=models.Q(half_due_at__lte=models.F("due_at"))
            ),
            models.CheckConstraint(name="handoff_priority_in_order", condition=models.Q(priority_rank__lte=3)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something."""
        return self.closed_at is None

    @property
    def is_unsent(self) -> bool:
        """Whether its performer has never been sent it; see `UNSENT`."""
        if self.kind != "fulfil":
            return False
        is_given_up = self.stage == "cancelled" and self.list_id != self.owner_id and self.owner.internal
        return self.task_status == "draft" or is_given_up
