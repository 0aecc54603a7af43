"""The FHIR types that we keep, each declared once with its search parameters."""

from records.errors import Unsupported
from records.rows import ResourceRow
from records.types import clinical, directory, documents, requests, visits
from records.types.names import R4_TYPES
from records.types.other import OtherResource

TYPES: dict[str, type[ResourceRow]] = {
    row.__name__: row
    for module in (requests, directory, visits, clinical, documents)
    for row in vars(module).values()
    if isinstance(row, type) and issubclass(row, ResourceRow) and row is not ResourceRow
}


def row_class(type_name: str) -> type[ResourceRow]:
    """The model that keeps a type: its own, or `OtherResource`; `Unsupported` for what R4 doesn't know."""
    if type_name in TYPES:
        return TYPES[type_name]
    if type_name in R4_TYPES:
        return OtherResource
    raise Unsupported("This is not a resource type of FHIR R4.")


__all__ = ["R4_TYPES", "TYPES", "OtherResource", "row_class"]
