"""The shapes that the tables of `referrals.pathways` are made of, and that forms, the API and the docs are built from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.utils.functional import Promise

Role = Literal["requester", "performer", "patient", "coordinator", "supervisor", "partner", "system"]
FieldKind = Literal["text", "code", "datetime", "date", "reference", "boolean", "owner"]
Words = str | Promise


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an action needs to know. ``codes`` (code, label) for kind code; ``types`` for a reference."""

    name: str
    kind: FieldKind
    label: Words
    required: bool = True
    codes: tuple[tuple[str, Words], ...] = ()
    types: tuple[str, ...] = ()
    help: Words = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a handoff of one kind stands. ``task_status`` is what core writes; ``reads`` what it takes from partners."""

    code: str
    handoff: str
    label: Words
    task_status: str
    reads: frozenset[str] = frozenset()
    is_end: bool = False
    loop_kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Opening:
    """A handoff that a transition opens: its kind, who owns it, and (by name) when that applies."""

    handoff: str
    owner: Literal["accountable", "referrer", "performer", "same", "chosen", "reviewer"]
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the lifecycle: an action takes a handoff of a kind from a stage to another.

    ``loop_kinds`` empty = all. ``sources`` empty = every open stage of that handoff kind. ``target`` empty = the stage
    stays. ``who`` are the roles that may; ``sets`` names what it records on the loop ("acknowledged", "told", "closed").
    """

    action: str
    handoff: str
    label: Words
    target: str
    who: frozenset[Role]
    sources: frozenset[str] = frozenset()
    loop_kinds: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = ()
    opens: tuple[Opening, ...] = ()
    closes: tuple[str, ...] = ()
    sets: frozenset[str] = frozenset()
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """An action that this actor may take now on this handoff, with the form for it."""

    action: str
    label: Words
    fields: tuple[Field, ...]
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a composer step has to say of a resource; ``error`` stops the sending, ``warning`` asks to confirm."""

    severity: Literal["error", "warning", "information"]
    code: str
    text: Words
    expression: str = ""


Data = dict[str, Any]
Clock = Callable[[], datetime]
