"""SMART App Launch v2 scopes: ``system/Patient.rs`` (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html).

A scope is taken exactly as it is written or refused; nothing is normalised into more than was asked for.
"""

import re

from django.utils.translation import gettext as _

from records.errors import Incorrect, Unsupported
from records.types import row_class

_SYSTEM_SCOPE = re.compile(r"system/(?P<type>\*|[A-Z][A-Za-z]+)\.(?P<actions>(?=[cruds])c?r?u?d?s?)")


def parse(text: str) -> frozenset[str]:
    """Read a space-separated list of ``system`` scopes; raise `Incorrect` naming the first that is none."""
    scopes = text.split(" ")
    for scope in scopes:
        match = _SYSTEM_SCOPE.fullmatch(scope)
        if match is None or not _is_known(match["type"]):
            raise Incorrect(
                _("“%(scope)s” is no scope; write for example system/Task.rs or system/*.cruds.") % {"scope": scope}
            )
    return frozenset(scopes)


def _is_known(resource_type: str) -> bool:
    if resource_type == "*":
        return True
    try:
        row_class(resource_type)
    except Unsupported:
        return False
    return True
