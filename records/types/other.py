"""Every R4 type that we declare nothing for: kept whole, found by id, time, identifier and patient."""

from typing import Any

from django.db import models

from records.params import Compartment
from records.rows import ResourceRow


class OtherResource(ResourceRow):
    """One table for all of them; the type is part of the key, since two types may use the same id."""

    key_prefix = ("type",)
    pk = models.CompositePrimaryKey("type", "id")
    type = models.TextField(db_collation="C")
    id = models.TextField(db_collation="C")

    patient = Compartment("patient", "subject", "beneficiary", "individual", "for", "suspect")

    @classmethod
    def rows(cls, type_name: str) -> "models.QuerySet[Any]":
        """The rows of this type among all."""
        return cls.objects.filter(type=type_name)
