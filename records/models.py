"""All rows of this room: the types, their versions, the string index, audiences and tenants."""

from django.db import models
from django.db.models.functions import Cast

from records.types import TYPES, OtherResource


class CurrentTransaction(models.Func):
    """The number of this transaction, 64 bits, never used twice."""

    function = "pg_current_xact_id"
    template = "%(function)s()"
    output_field = models.TextField()


class Version(models.Model):
    """One version of one resource, append-only (a trigger refuses UPDATE, DELETE and TRUNCATE).

    ``body`` is empty for a deletion. ``organization`` is the root Organization that the actor wrote it for; that of
    version 1 is the resource's author (empty: unknown). ``transaction`` lets a change feed serve only what is below
    ``pg_snapshot_xmin``, so that a late commit is never missed.
    """

    type = models.TextField(db_collation="C")
    resource_id = models.TextField(db_collation="C")
    version = models.PositiveIntegerField()
    at = models.DateTimeField()
    actor = models.TextField()
    organization = models.TextField(default="", db_default="", db_collation="C")
    deleted = models.BooleanField(default=False)
    body = models.TextField()
    transaction = models.BigIntegerField(
        db_default=Cast(Cast(CurrentTransaction(), models.TextField()), models.BigIntegerField())
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["type", "resource_id", "version"], name="version_once"),
        ]
        indexes = [models.Index(fields=["type", "at", "id"]), models.Index(fields=["transaction", "id"])]

    def __str__(self) -> str:
        return f"{self.type}/{self.resource_id}/_history/{self.version}"


class StringIndex(models.Model):
    """One text that a resource is found by: folded for prefixes, and as written for ``:exact``."""

    type = models.TextField(db_collation="C")
    parameter = models.TextField(db_collation="C")
    value = models.TextField(db_collation="C")
    written = models.TextField()
    row = models.TextField(db_collation="C")

    class Meta:
        indexes = [
            models.Index(fields=["type", "parameter", "value", "row"]),
            models.Index(fields=["type", "row"]),
        ]


class Audience(models.Model):
    """That an organisation may see a resource; ``last_updated`` is the resource's, so that its newest are read first.

    Written only by `records.store`.
    """

    pk = models.CompositePrimaryKey("type", "row", "organization")
    type = models.TextField(db_collation="C")
    row = models.TextField(db_collation="C")
    organization = models.TextField(db_collation="C")
    last_updated = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["organization", "type", "last_updated", "row"])]


class Tenant(models.Model):
    """An Organization (the root of its departments) that works in this installation."""

    organization = models.TextField(primary_key=True, db_collation="C")
    name = models.TextField()

    def __str__(self) -> str:
        return self.name


__all__ = ["TYPES", "Audience", "OtherResource", "StringIndex", "Tenant", "Version"]
