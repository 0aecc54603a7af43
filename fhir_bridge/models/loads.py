"""Load, Refusal: how far a first load is, and what of it was not taken in."""

from django.db import models

from fhir_bridge.models.partners import Partner


class Load(models.Model):
    """The load of one source for an organisation, or of a partner's resources.

    ``done`` is, per part, how many resources were settled; ``counts`` what became of them (written, unchanged,
    recognised, queued, refused). It is gone on with as long as ``finished_at`` is None.
    """

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, null=True, related_name="loads")
    organization = models.TextField()
    source = models.TextField()
    done = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    mend_loop = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "organization", "source"],
                name="load_at_a_time",
                condition=models.Q(finished_at=None),
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"load {self.pk}"


class Refusal(models.Model):
    """A resource of a load that was not taken in: its exact text, where it stood, and why. Tried again at the end.

    ``is_entry``: ``body`` is a Bundle's entry with the resource in it.
    """

    load = models.ForeignKey(Load, on_delete=models.CASCADE, related_name="refusals")
    part = models.TextField()
    position = models.PositiveIntegerField()
    type = models.CharField(max_length=64, blank=True, default="")
    remote_id = models.TextField(blank=True, default="")
    is_entry = models.BooleanField(default=False)
    body = models.TextField()
    error_category = models.CharField(max_length=32)
    error_text = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["load", "part", "position"], name="refusal_once")]
        ordering = ["load", "part", "position"]

    def __str__(self) -> str:
        return f"{self.part}:{self.position}"
