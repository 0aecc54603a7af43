"""The shapes that the tables of `referrals.pathways` are made of, and that forms, the API and the docs are built from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.utils.functional import Promise

Role = Literal["requester", "performer", "patient", "coordinator", "supervisor", "partner", "system", "holder"]
FieldKind = Literal[
    "text", "code", "datetime", "date", "reference", "boolean", "owner", "owners", "colleague", "second-person"
]
Words = str | Promise


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an action needs to know. ``codes`` (code, label) for kind code; ``types`` for a reference.

    An ``owner`` is one reference (or Owner number) of who may perform, ``owners`` several of them, a ``colleague`` whoever
    of the own house may take over. A ``second-person`` is a reference to another person who works in the actor's
    organisation and agrees; one of the two has one of the ``roles`` (of `people.ROLES`). ``required_if`` names a condition of `referrals.conditions` under which an optional
    field is required.
    """

    name: str
    kind: FieldKind
    label: Words
    required: bool = True
    codes: tuple[tuple[str, Words], ...] = ()
    types: tuple[str, ...] = ()
    help: Words = ""
    required_if: str = ""
    roles: tuple[str, ...] = ()


class AgreedElsewhere(str):
    """Stands for the second person of what another system has written, whose own rules decide who has to agree.

    A type of its own, so that nobody can type it.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """A coded reason. ``groups`` are the lists that offer it; ``loop_end`` the end of a loop that it ends.

    ``patient_knows``: the reason itself stands for telling the patient (law 4), as when the patient said no.
    """

    code: str
    label: Words
    groups: frozenset[str]
    loop_end: str = "cancelled"
    patient_knows: bool = False


@dataclass(frozen=True, slots=True)
class LoopStage:
    """Where a loop stands as a whole; computed from its handoffs, never set by hand."""

    code: str
    label: Words
    task_status: str
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a handoff of one kind stands. ``task_status`` is what core writes; ``reads`` what it takes from partners.

    ``task_status_after_acceptance`` differs where an end reads otherwise once the performer had accepted.
    """

    code: str
    handoff: str
    label: Words
    task_status: str
    reads: frozenset[str] = frozenset()
    is_end: bool = False
    is_first: bool = False
    loop_kinds: frozenset[str] = frozenset()
    task_status_after_acceptance: str = ""


@dataclass(frozen=True, slots=True)
class HandoffKind:
    """One kind of responsibility: who holds it, what opens and ends it, by when (words for people and docs).

    ``overtaken`` is the stage in which another action ends it; ``of_placer``: in a loop of which we only are the
    performer it is the placer's business and doesn't open here; ``task_system`` empty = our CodeSystem.
    """

    code: str
    label: Words
    owner: Words
    opened_by: Words
    ended_by: Words
    due: Words
    overtaken: str = "overtaken"
    of_placer: bool = False
    task_system: str = ""
    task_code: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """A handoff that a transition opens: its kind and who owns it.

    ``stage`` empty = the kind's first stage; ``unless`` names conditions (`referrals.conditions`), any of which
    keeps it from opening. ``each``: once for every "fulfil" that goes on at a performer elsewhere, or for every
    "appointment" booked with it, or for the ended one that the decision is about and whose performer has "returned" to
    it, unless just that performer is chosen; that `fulfil` then counts as the opener. For the owner "chosen" one opens for each
    whom the action names. ``beside``: what opened the present handoff counts as having opened this one too, so that
    neither hangs on the other. ``severity``: its clock and rank
    are those of that severity, whatever the action says.
    """

    handoff: str
    owner: Literal["accountable", "referrer", "performer", "same", "chosen", "reviewer", "discharger", "placer"]
    unless: tuple[str, ...] = ()
    stage: str = ""
    each: Literal["", "fulfil", "appointment", "returned"] = ""
    beside: bool = False
    severity: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Another open handoff that a transition takes along: the nearest of a kind, from one stage to another.

    ``target`` empty = the stage that the performer's last status stands for (`pathways.RESUMES`). ``by_placer``: it
    doesn't move what its performer elsewhere has started, which only the performer can end (PATHWAYS §1).
    """

    handoff: str
    sources: frozenset[str]
    target: str = ""
    by_placer: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the lifecycle: an action takes a handoff of a kind from a stage to another.

    ``loop_kinds`` empty = all. ``sources`` empty = every open stage of that handoff kind. ``target`` empty = the stage
    stays. ``who`` are the roles that may; ``is_placers``: it is the placer's word, which others only enter for a placer elsewhere; ``needs`` the conditions without which it isn't possible. ``closes`` are
    kinds of which the related open handoffs end with it, a `fulfil` for the reason ``because``; of the kinds ``hurries`` what is open
    is due no later than if it opened now. ``sets`` names what it
    records on the loop: "acknowledged", "told", "ended" (with the reason's end), "performer" (the first one chosen), "replaced" (a
    request of ours takes the place of the last), "in-full" (no longer advice alone), "carried-out" (what was
    reported is enough, once nobody performs any more), "died" (all ends but what outlives the patient), "lives"
    (it was not so: what it has asked performers to cancel is taken back), "reviewer" (another clinician reads what is reported), "goes-on" (what it was
    asked to stop goes on, without the reason for which it was to stop), "returned" (what waited goes on, for the reason that the action gives); on the handoff: "attempt", "confirmed" (what
    was entered for its performer), "authorised", "claimed", "given-back" and "owner" (it gets another owner),
    "loop-owners" (so does the whole loop: `referrals.holding`); and of a report: "received", "withdrawn"
    (`referrals.receipts`), "contradicted" (its performer says that there is none, or another of what was entered); or of what had
    ended: "resumed" (its performer goes on with it all the same).
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
    moves: tuple[Move, ...] = ()
    closes: tuple[str, ...] = ()
    hurries: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    sets: frozenset[str] = frozenset()
    because: str = ""
    is_primary: bool = False
    is_placers: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """An action that this actor may take now on this handoff, with the form for it.

    ``attested``: it is somebody else's, and may be entered for them when they have told of it (`perform(attested=True)`).
    """

    action: str
    label: Words
    fields: tuple[Field, ...]
    is_primary: bool = False
    attested: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a composer step has to say of a resource; ``error`` stops the sending, ``warning`` asks to confirm."""

    severity: Literal["error", "warning", "information"]
    code: str
    text: Words
    expression: str = ""


Data = dict[str, Any]
Clock = Callable[[], datetime]
