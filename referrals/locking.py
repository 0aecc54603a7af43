"""Loops under lock, and the handoffs in them.

There is one order for everybody: what has no request first (whoever answers a question goes on to the loops that the answer
is about), then the others, both by their ids; locks on patients come after them (`referrals.mortality`).
Every action reads these, so the SQL is made once from the models' columns: compiling a queryset anew costs more than
PostgreSQL takes to answer it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Model, Q

from records import statements
from referrals.models import Handoff, Loop, Owner

T = TypeVar("T")

_OWNERS = ("accountable", "responsible", "performer_owner")
_BY_ID = "loop.id = ANY(%s)"
_ORDER = "ORDER BY loop.kind NOT IN ('unsolicited', 'upkeep'), loop.id"
_HAS_REQUEST = ExpressionWrapper(~Q(kind__in=("unsolicited", "upkeep")), BooleanField())
_OF_PATIENT = f'SELECT id FROM "{Loop._meta.db_table}" AS loop WHERE patient_id = %s {_ORDER} FOR UPDATE'  # noqa: S608
_OF_HANDOFFS = f'loop.id IN (SELECT loop_id FROM "{Handoff._meta.db_table}" WHERE id = ANY(%s))'  # noqa: S608


def loops_of(handoff_ids: Sequence[str]) -> list[Loop]:
    """The loops of these handoffs, locked in everybody's order, with their owners."""
    return _loops(_OF_HANDOFFS, handoff_ids)


def loops(loop_ids: Sequence[str]) -> list[Loop]:
    """These loops, locked in everybody's order, with their owners."""
    return _loops(_BY_ID, loop_ids)


def settled(find: Callable[[], Sequence[T]], loop_of: Callable[[T], Loop]) -> Sequence[T]:
    """What ``find`` finds once the loops in it are locked, and those that follow them: what others were doing is done.

    Loops come before all other rows: whoever writes a resource that may move a loop calls this before it
    (docs/decisions/0124).
    """
    held: set[str] = set()
    found = find()
    while found and (lines := _lines([loop_of(one) for one in found])) - held:
        held |= lines
        found = find()
    return found


def _lines(loops: Sequence[Loop]) -> set[str]:
    """Lock these loops and all that are about the same requests, in everybody's order; gives the ids."""
    named = {loop.request_reference for loop in loops} - {""}
    firsts = [reference.removeprefix("ServiceRequest/") for reference in named]
    wanted = Q(pk__in=[loop.id for loop in loops]) | Q(request_id__in=firsts) | Q(about__in=named)
    return set(
        Loop.objects.select_for_update().filter(wanted).order_by(_HAS_REQUEST, "id").values_list("id", flat=True)
    )


def hold_names(*, outputs: Iterable[str] = (), requests: Iterable[str] = (), patients: Iterable[str] = ()) -> None:
    """Let those come one after the other who would each look for what the other is about to write (references).

    Whoever writes a resource, and whoever's Task or report names it as output or result; whoever writes what names a request, and whoever
    opens its loop; whoever writes a Patient, and who says that another is replaced by it. It comes before the loops
    (docs/decisions/0124).
    """
    kinds = {"output": outputs, "named": requests, "replaces": patients}
    words = [f"{one}?{kind}" for kind, references in kinds.items() for one in references]
    if words:
        statements.hold(words)


def hold_loops_of(patient_id: str) -> list[str]:
    """Lock all loops of exactly that patient, ended ones too, in everybody's order; gives their ids."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_PATIENT, [patient_id])
        return [row[0] for row in cursor.fetchall()]


def handoffs(loops: Iterable[Loop], besides: Sequence[str]) -> list[Handoff]:
    """All that is open in these loops, and of what has ended the handoffs ``besides``, with their owners."""
    by_id = {loop.id: loop for loop in loops}
    found = []
    for handoff, owner in _rows(_handoffs(), [list(by_id), list(besides)], Handoff, Owner):
        handoff.owner, handoff.loop = owner, by_id[handoff.loop_id]
        found.append(handoff)
    return found


def _loops(condition: str, ids: Sequence[str]) -> list[Loop]:
    found = []
    for loop, *owners in _rows(_locked(condition), [list(ids)], Loop, *[Owner] * len(_OWNERS)):
        for name, owner in zip(_OWNERS, owners, strict=True):
            setattr(loop, name, owner)
        found.append(loop)
    return found


@cache
def _locked(condition: str) -> str:
    columns = ", ".join([_columns(Loop, "loop"), *(_columns(Owner, name) for name in _OWNERS)])
    joins = " ".join(f'LEFT JOIN "{Owner._meta.db_table}" AS {name} ON {name}.id = loop.{name}_id' for name in _OWNERS)
    table = f'"{Loop._meta.db_table}" AS loop {joins}'
    return f"SELECT {columns} FROM {table} WHERE {condition} {_ORDER} FOR UPDATE OF loop"  # noqa: S608


@cache
def _handoffs() -> str:
    columns = f"{_columns(Handoff, 'handoff')}, {_columns(Owner, 'owner')}"
    table = (
        f'"{Handoff._meta.db_table}" AS handoff JOIN "{Owner._meta.db_table}" AS owner ON owner.id = handoff.owner_id'
    )
    condition = "handoff.loop_id = ANY(%s) AND (handoff.closed_at IS NULL OR handoff.id = ANY(%s))"
    return f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY handoff.id"  # noqa: S608


def _columns(model: type[Model], alias: str) -> str:
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


def _rows(sql: str, parameters: list[Any], *models: type[Model]) -> list[list[Any]]:
    """One list of instances per row, None where an outer join found nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [_instances(row, models) for row in cursor.fetchall()]


def _instances(row: Sequence[Any], models: Iterable[type[Model]]) -> list[Any]:
    found: list[Any] = []
    start = 0
    for model in models:
        fields = model._meta.concrete_fields
        values = row[start : start + len(fields)]
        start += len(fields)
        is_there = values[0] is not None
        found.append(model.from_db(connection.alias, [each.attname for each in fields], values) if is_there else None)
    return found
