"""Bodies that come in: exactly the fields that are declared, or a 422 that names each one that is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request

from records.errors import Incorrect, Issue


def read(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The checked body; raise `Incorrect` naming the fields that are unknown, missing or wrong."""
    body = kind(data=request.data)
    issues = [Issue(_("There is no such field."), name[:60]) for name in request.data if name not in body.fields]
    if not body.is_valid():
        issues += _issues(body.errors)
    if issues:
        names = ", ".join(issue.expression for issue in issues)
        raise Incorrect(_("Please look again at: %(fields)s.") % {"fields": names}, *issues)
    checked: dict[str, Any] = body.validated_data
    return checked


def _issues(errors: Mapping[str, Any], path: str = "") -> Iterator[Issue]:
    for name, found in errors.items():
        if isinstance(found, Mapping):
            yield from _issues(found, f"{path}{name}.")
        else:
            yield Issue(str(found[0]), f"{path}{name}")
