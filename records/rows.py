"""The row that every FHIR type is kept in, and the metaclass that turns search parameters into columns.

Declarations are expanded *before* Django's own metaclass runs, because an index that is added later (in
``contribute_to_class``) never reaches a migration.
"""

from functools import cache
from typing import Any, ClassVar, cast

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.base import ModelBase

from records.joins import ToAudience
from records.json import Resource
from records.params import Compartment, Date, Param, Reference, String, Token, Tokens, list_field


class RowMeta(ModelBase):
    """Expands `Param` declarations into fields and ``Meta.indexes``."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any) -> "RowMeta":
        """Build the model; ``search_params`` collects what the bases and this class declare, by FHIR name."""
        declared = [value.named(key) for key, value in attrs.items() if isinstance(value, Param)]
        attrs = {key: value for key, value in attrs.items() if not isinstance(value, Param)}
        inherited = [param for base in bases for param in getattr(base, "search_params", {}).values()]
        params = {param.name: param for param in (*inherited, *declared) if param.name not in attrs.get("lacks", ())}
        attrs["search_params"] = params
        for param in declared:
            attrs |= param.fields()
        if not getattr(attrs.get("Meta"), "abstract", False):
            attrs["Meta"] = type("Meta", (), {"indexes": _indexes(params, attrs.get("key_prefix", ()))})
        return cast("RowMeta", super().__new__(mcs, name, bases, attrs, **kwargs))


def _indexes(params: dict[str, Param], prefix: tuple[str, ...]) -> list[models.Index]:
    # One GIN over all lists: PostgreSQL keeps (column, word) together, so it answers each column as its own index would.
    btrees = [("last_updated", "id"), ("patient", "last_updated", "id")]
    btrees += [fields for param in params.values() for fields in param.btrees()]
    lists = [column for param in params.values() for column in param.lists()]
    return [
        *(models.Index(fields=[*prefix, *fields]) for fields in btrees),
        GinIndex(fields=[*lists, "reference_identifiers"]),
    ]


class ResourceRow(models.Model, metaclass=RowMeta):
    """One resource at rest. ``body`` is its JSON text as we hand it out; the columns beside it only serve the search.

    ``hash`` is of the content without ``meta.versionId`` and ``meta.lastUpdated``; ``patient`` the id of the Patient
    in whose compartment it is, ``''`` if none. ``lacks`` names the parameters of all types that a type has no element
    for, ``key_prefix`` what every index begins with.
    """

    search_params: ClassVar[dict[str, Param]] = {}
    key_prefix: ClassVar[tuple[str, ...]] = ()
    lacks: ClassVar[tuple[str, ...]] = ()
    fhir_type: ClassVar[str] = ""

    id = models.TextField(primary_key=True, db_collation="C")
    version = models.PositiveIntegerField()
    last_updated = models.DateTimeField()
    deleted = models.BooleanField(default=False)
    hash = models.BinaryField()
    patient: Any = models.TextField(default="", db_collation="C")  # Any: a type declares its `Compartment` by this name
    body = models.TextField()
    reference_identifiers = list_field()
    audience = ToAudience()

    id_ = Token("id", name="_id", is_built_in=True)
    last_updated_ = Date("meta.lastUpdated", name="_lastUpdated", is_built_in=True)
    tag = Tokens("meta.tag", name="_tag")
    profile = Tokens("meta.profile", name="_profile")
    security = Tokens("meta.security", name="_security")
    identifier = Tokens("identifier")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.fhir_type}/{self.pk}"

    @classmethod
    def rows(cls, type_name: str) -> "models.QuerySet[Any]":  # noqa: ARG003 (`OtherResource` needs it)
        """The rows of a type that this model keeps, deleted ones included."""
        return cls._default_manager.all()

    @classmethod
    def patient_of(cls, body: Resource) -> str:
        """The id of the Patient in whose compartment a body is, or ``''``."""
        compartment = cls.search_params.get("patient")
        return str(compartment.extract(body)["patient"]) if isinstance(compartment, Compartment) else ""

    @classmethod
    def columns_of(cls, body: Resource) -> dict[str, Any]:
        """The value of every column that the search parameters fill from this body."""
        columns = cls._columns_of_nothing().copy()
        told = [param for param in cls.search_params.values() if not param.roots.isdisjoint(body)]
        for param in told:
            columns |= param.extract(body)
        words = [word for param in told if isinstance(param, Reference) for word in param.identifiers(body)]
        columns["reference_identifiers"] = list(dict.fromkeys(words)) or None
        return columns

    @classmethod
    @cache
    def _columns_of_nothing(cls) -> dict[str, Any]:
        """What most columns of a body hold: a type has dozens of parameters, and a resource few elements."""
        columns: dict[str, Any] = {"patient": ""}
        for param in cls.search_params.values():
            columns |= param.extract({})
        return columns

    @classmethod
    def strings_of(cls, body: Resource) -> set[tuple[str, str, str]]:
        """(parameter, folded, as written): the rows of `StringIndex` for this body."""
        strings = (param for param in cls.search_params.values() if isinstance(param, String))
        return {entry for param in strings for entry in param.entries(body)}
