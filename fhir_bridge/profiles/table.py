"""The columns of a dialect's table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_bridge.profiles.reasons import READS, WRITES, Coded
from records.json import Resource

NO_WORDS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Word:
    """One code of the dialect for `Task.businessStatus`, as it is written, and the `Task.status` that it goes with."""

    code: str
    display: str
    status: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One dialect. Stages are those of `fulfil` (PATHWAYS §3), statuses those of FHIR R4's Task.

    ``path`` is the forward way of `Task.status`, one version per step. ``turns`` are what is written next where the
    dialect has no step from the partner's status to the wanted one: (theirs, wanted) → next, theirs for none at all.
    With ``is_strict`` nothing goes back on the path or on from an end.

    ``system`` is the code system of its businessStatus, ``systems`` all spellings of it that are read. ``words`` are
    what is written for a stage; ``reads`` the stages that a code stands for, of each kind of loop at most those of it,
    of which the one counts that allows the status. ``statuses`` are written instead of ours: (stage, or empty for any;
    our status) → the dialect's.

    ``reasons`` are our reasons that a coded statusReason stands for, ``reason_codes`` what is written beside one of ours
    (`fhir_bridge.profiles.reasons`).

    ``explained`` are the statuses whose reason must be told in words; ``withheld`` the elements that never leave us,
    per type; ``meta`` is put into the Task that we create there.
    """

    name: str
    path: tuple[str, ...]
    turns: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_strict: bool = False
    system: str = ""
    systems: frozenset[str] = NO_WORDS
    words: Mapping[str, Word] = field(default_factory=dict)
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    statuses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    reasons: Mapping[Coded, tuple[str, ...]] = field(default_factory=lambda: READS)
    reason_codes: Mapping[str, tuple[str, str, str]] = field(default_factory=lambda: WRITES)
    explained: frozenset[str] = NO_WORDS
    withheld: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"Task": frozenset({"partOf"})})
    meta: Resource = field(default_factory=dict)
