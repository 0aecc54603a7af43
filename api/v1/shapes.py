"""From a dataclass to the serializer that describes it, so that OpenAPI says exactly what the code gives.

The answers themselves are written straight from the dataclasses (`api.v1.wire`); the serializers only describe them.
"""

import dataclasses
import types
from collections.abc import Hashable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from django.utils.functional import Promise
from rest_framework import serializers

AnyField: TypeAlias = "serializers.Field[Any, Any, Any, Any]"
PLAIN: Mapping[Any, type["AnyField"]] = {
    str: serializers.CharField,
    int: serializers.IntegerField,
    float: serializers.FloatField,
    bool: serializers.BooleanField,
    datetime: serializers.DateTimeField,
    date: serializers.DateField,
    Promise: serializers.CharField,
}


class ProblemIssue(serializers.Serializer[Any]):
    """One thing that is wrong, and where."""

    text = serializers.CharField()
    expression = serializers.CharField(allow_blank=True)


class Problem(serializers.Serializer[Any]):
    """Why something was refused (RFC 9457); see `api.v1.errors`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    category = serializers.CharField()
    detail = serializers.CharField()
    issues = ProblemIssue(many=True)


@cache
def of(shape: Any) -> type[serializers.Serializer[Any]]:
    """The serializer class that describes a dataclass, named after it."""
    hints = get_type_hints(shape)
    fields = {field.name: _field(hints[field.name]) for field in dataclasses.fields(shape)}
    return type(shape.__name__, (serializers.Serializer,), {**fields, "__doc__": shape.__doc__})


def _field(hint: Any, **options: Any) -> "AnyField":
    """The field for one annotation."""
    if hint in PLAIN:
        return PLAIN[hint](**options)
    if dataclasses.is_dataclass(hint):
        return of(cast("Hashable", hint))(**options)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments, options)
    if origin is Literal:
        return serializers.ChoiceField(choices=[*arguments], **options)
    return _collection(origin, arguments, options)


def _collection(origin: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> "AnyField":
    """The field for a mapping or a list; anything is allowed where nothing is said."""
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return serializers.DictField(**options)
    if isinstance(origin, type) and issubclass(origin, Sequence | frozenset | set):
        return serializers.ListField(child=_child(arguments), **options)
    return serializers.JSONField(**options)


def _union(arguments: tuple[Any, ...], options: dict[str, Any]) -> "AnyField":
    """``X | None`` is X that may be null; plain or translated words are words."""
    left = [one for one in arguments if one is not types.NoneType]
    nullable = {"allow_null": True} if len(left) < len(arguments) else {}
    return _field(str if set(left) == {str, Promise} else left[0], **options, **nullable)


def _child(arguments: tuple[Any, ...]) -> "AnyField":
    """The field for what a list holds; pairs of words, such as a code with its label, are lists of words."""
    kinds = [one for one in arguments if one is not Ellipsis]
    return _field(kinds[0]) if kinds else serializers.JSONField()
