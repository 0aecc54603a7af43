"""What is remembered of senders, systems and people: the last word on a resource, the last sign of life, a merge."""

from django.db import models

from referrals.models.people import Owner


class LastWord(models.Model):
    """When a partner last changed one of its resources, by its own clock: what it said before is late (law 7)."""

    sender = models.TextField()
    reference = models.TextField(db_collation="C")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reference", "sender"], name="last_word_once")]


class SignOfLife(models.Model):
    """When we last heard of one system of a root Organization; beyond ``silent_after`` it is silent.

    Whoever talks with it names it and writes the row; that it is silent is derived from the clock. ``pool`` is told of it.
    """

    system = models.TextField(primary_key=True, db_collation="C")
    organization = models.TextField(db_collation="C", db_index=True)
    name = models.TextField()
    pool = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+")
    heard_at = models.DateTimeField()
    silent_after = models.DurationField()


class Merge(models.Model):
    """That the records of the Patient ``source`` are those of ``target``; ``moved`` says what followed, to be undone.

    ``moved`` holds (type, id) of resources, and ("Loop", id).
    """

    source = models.TextField(db_collation="C")
    target = models.TextField(db_collation="C", db_index=True)
    moved = models.JSONField(default=list)
    merged_at = models.DateTimeField()
    merged_by = models.TextField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=models.Q(undone_at__isnull=True), name="patient_merged_once"
            ),
            models.CheckConstraint(name="merged_into_another", condition=~models.Q(source=models.F("target"))),
        ]


class PossibleDuplicate(models.Model):
    """That two Patients may be one person; ``reasons`` are codes of `referrals.upheavals.duplicates.REASONS`.

    Whether they are one now says `Merge`. Once somebody has parted them they are never asked about again.
    """

    first = models.TextField(db_collation="C")
    second = models.TextField(db_collation="C", db_index=True)
    reasons = models.JSONField(default=list)
    found_at = models.DateTimeField()
    parted_at = models.DateTimeField(null=True)
    parted_by = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="possible_duplicate_once"),
            models.CheckConstraint(
                name="possible_duplicate_in_order", condition=models.Q(first__lt=models.F("second"))
            ),
        ]
        indexes = [
            models.Index(fields=["-found_at", "-id"], name="duplicate_to_answer", condition=models.Q(parted_at=None))
        ]
