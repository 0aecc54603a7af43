"""Orders that came with an import, and that nobody follows yet."""

from django.db import models

from referrals.models.loops import Loop


class Adoptable(models.Model):
    """An imported order of ours that has no loop: for a coordinator of ``organization`` to adopt or to dismiss.

    ``request_id`` is the ServiceRequest; the other columns say what it said when it came, so that a list costs no
    look into the records. Whether it is still active and without an outcome is asked when the list is read.
    ``loop`` is the loop that adopted it.
    """

    request_id = models.TextField(primary_key=True, db_collation="C")
    organization = models.TextField()
    placer = models.TextField(blank=True)
    performer = models.TextField(blank=True)
    kind = models.CharField(max_length=16, choices=Loop.Kind)
    patient_id = models.TextField(blank=True)
    title = models.TextField(blank=True)
    priority = models.CharField(max_length=8)
    ordered_at = models.DateTimeField()
    needed_by = models.DateTimeField(null=True)
    listed_at = models.DateTimeField()
    loop = models.OneToOneField(Loop, on_delete=models.PROTECT, related_name="adopted", null=True)
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.TextField(blank=True, default="")
    reason_code = models.TextField(blank=True, default="")
    reason_text = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["organization", "ordered_at", "request_id"],
                name="adoptable_to_adopt",
                condition=models.Q(loop__isnull=True),
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="dismissed_with_reason_and_person",
                condition=models.Q(dismissed_at__isnull=True)
                | (models.Q(loop__isnull=True) & ~models.Q(reason_code="") & ~models.Q(dismissed_by="")),
            )
        ]
