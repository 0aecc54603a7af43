"""The join from a resource to the audience index, so that the newest that an organisation may see come first.

``rows.filter(audience__type=…, audience__organization=…).order_by("-audience__last_updated")`` walks the index
(organization, type, last_updated, row). Asked by EXISTS and ordered by the resource's own column, PostgreSQL walks all
newer resources of everybody else first: 500 ms instead of 0.3 for an organisation with few old rows among 60,000.
"""

from typing import Any

from django.core.checks import CheckMessage
from django.db import models


class ToAudience(models.ForeignObject):  # type: ignore[type-arg]
    """A join without a column or a constraint; whoever follows it names type and organisation, which make it unique."""

    def __init__(self) -> None:
        super().__init__(
            "records.Audience", on_delete=models.DO_NOTHING, from_fields=["id"], to_fields=["row"], related_name="+"
        )

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = True, **kwargs: Any) -> None:
        """Always private: neither a column nor a migration."""
        super().contribute_to_class(cls, name, private_only=private_only, **kwargs)

    def check(self, **_kwargs: Any) -> list[CheckMessage]:
        """Django would ask for ``row`` alone to be unique."""
        return []
