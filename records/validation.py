"""Whether a resource is valid FHIR R4 (4.0.1)."""

import re

from records.errors import Incorrect, Issue
from records.json import Resource
from records.types import row_class

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def check(body: Resource) -> None:
    """Raise `Incorrect` naming each element that is against FHIR R4."""
    row_class(str(body.get("resourceType")))
    if "id" in body and not (isinstance(body["id"], str) and _ID.fullmatch(body["id"])):
        raise Incorrect("The id is not valid.", Issue("Not a valid id.", f"{body['resourceType']}.id", "value"))
