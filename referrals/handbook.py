"""The pathways as a text for people: diagrams and tables made from the tables that the code itself works by.

`manage.py pathways > docs/pathways.md` writes it; a test says when the committed file is no longer what the tables say.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from django.utils.translation import override

from referrals.calendars import Span
from referrals.clocks import APPOINTED, NEEDED, STOPPED
from referrals.conditions import UNMET
from referrals.deadlines import DEADLINES, Rules
from referrals.evidence.table import EVIDENCE
from referrals.pathways import HANDOFFS, LOOP_STAGES, REASONS, STAGES, TRANSITIONS, stages_of
from referrals.vocabulary import Opening, Stage, Transition

LOOPS = {"referral": "Referral", "follow-up": "Follow-up", "test-order": "Test order"}
ROLES = {
    "requester": "referrer",
    "performer": "performer",
    "patient": "patient",
    "coordinator": "coordinator",
    "supervisor": "supervisor",
    "partner": "performer's EHR",
    "system": "Baton, on proof",
    "holder": "whoever holds it",
}
# Roles that mostly go together, so that the tables can be read.
SIDES = {
    "performing side": frozenset({"performer", "partner", "system"}),
    "placing side": frozenset({"requester", "coordinator", "supervisor"}),
}
OWNERS = {
    "accountable": "the accountable pool",
    "referrer": "the referrer",
    "reviewer": "the ordering clinician",
    "performer": "the performer",
    "chosen": "the chosen performer",
    "same": "the same performer",
    "discharger": "the discharging clinician",
    "placer": "the EHR that placed the request, if one did",
}
LEVELS = {"": "routine", "own": "own organisation", "action": "where the patient has to act"}
FEW = 2  # arrows that lead to the same box; more are one arrow from the frame, or a note
EVERYWHERE = 5  # an action that as many kinds of handoff share is told once

INTRODUCTION = """\
# The pathways

<!-- Written by `python manage.py pathways > docs/pathways.md` from the tables in `referrals/`. Do not edit it by hand. -->

Baton follows every referral, follow-up visit and test order from the order until the outcome has been read and the patient
has been told. This is called a **loop**. Inside a loop there is always at least one **handoff**: somebody who has to do
something by a certain time. Each handoff stands on exactly one list. What is overdue stays there, and is told to its owner,
then to the pool, then to the supervisor; nothing ends, changes hands or disappears because time has passed.

A decline, a cancellation, a failure or lost contact is never an end: it always comes back to the referrer as a decision.
A loop ends when a clinician has acknowledged the report and the patient has been told, or when somebody has said, with a
reason, why not. Whatever comes later, such as a corrected result, opens a new loop that is based on the old one.

## How to read this

- A **box** in a diagram is where a handoff stands; an **arrow** is something that somebody does. ● is where it begins. An arrow
  that starts at the frame may be taken from several of the boxes inside, one with a * also from others: the table below the
  diagram says from which. **Bold** in the table is what is usually done next.
- **Who may**: the *performing side* is the performer, the performer's EHR, or Baton where an appointment, a visit, a specimen or a
  report proves the step; for a performer without such a system, staff may enter what they were told, and by whom. The *placing
  side* is the referrer, a coordinator or a supervisor.
- **Asks for**: what has to be filled in; in brackets what may be.
- **Then**: what opens for whom, and what ends with it. *Today* means before the end of that day, a day off or not.
- **Due** are Baton's defaults; an organisation may set its own. Business days follow the owner's calendar.
"""


def text() -> str:
    """The whole of `docs/pathways.md`, in English."""
    with override("en"):
        parts = [INTRODUCTION, "\n## The three orders\n", *(_order(kind) for kind in LOOPS)]
        parts += [_handoffs(), *(_handoff(kind) for kind in HANDOFFS if kind != "fulfil"), _always()]
        parts += [_ends(), _evidence(), _reasons()]
        return "".join(parts)


def _order(loop_kind: str) -> str:
    return (
        f"\n### {LOOPS[loop_kind]}\n\n"
        + _diagram("fulfil", loop_kind)
        + _stages("fulfil", loop_kind)
        + _actions("fulfil", loop_kind)
    )


def _handoffs() -> str:
    rows = [(one.label, one.owner, one.opened_by, one.ended_by, one.due) for one in HANDOFFS.values()]
    words = "Besides the work itself, a loop may hold these. Each has one owner and one due time.\n\n"
    return "\n## The handoffs\n\n" + words + _table(("Handoff", "Held by", "Opened by", "Ended by", "Due"), rows)


def _handoff(kind: str) -> str:
    return f"\n### {HANDOFFS[kind].label}\n\n" + _diagram(kind, "") + _actions(kind, "")


def _always() -> str:
    """What may be done to any handoff, told once."""
    first = {one.action: one for one in reversed(_shared())}
    words = "\n### Whatever the handoff\n\nThese are possible at most kinds of handoff, beside what is said above.\n\n"
    rows = [_action(one, "") for one in first.values()]
    return words + _table(("What", "Who may", "Asks for", "Then"), [(row[0], row[1], row[4], row[5]) for row in rows])


def _ends() -> str:
    rows = [(one.label, "the end" if one.is_end else "open", one.task_status) for one in LOOP_STAGES.values()]
    words = "What a loop as a whole is said to be. It is computed from its handoffs and never set by hand.\n\n"
    return "\n## The loop and its ends\n\n" + words + _table(("Loop", "", "FHIR Task.status"), rows)


def _evidence() -> str:
    """Which resource proves which step; one row for the same steps in the same loops."""
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (type_, status, kind), rule in EVIDENCE.items():
        grouped[type_, kind, " or ".join(_label_of(action, kind, rule.handoff) for action in rule.actions)].append(
            status
        )
    rows = [(type_, ", ".join(states), LOOPS[kind], steps) for (type_, kind, steps), states in grouped.items()]
    words = (
        "Applied by itself only when it names our request or Task and its patient is the request's; else a person matches it. "
        "The first step that is possible is taken; what proves nothing new changes nothing.\n\n"
    )
    columns = ("Resource", "Status", "Loop", "Proves")
    return "\n## What proves a step\n\n" + words + _table(columns, rows)


def _reasons() -> str:
    rows = [
        (
            one.label,
            ", ".join(sorted(one.groups)).replace("-", " "),
            LOOP_STAGES[one.loop_end].label,
            "yes" if one.patient_knows else "",
        )
        for one in REASONS.values()
    ]
    columns = ("Reason", "Offered for", "A loop that it ends is", "The patient knows")
    return "\n## Reasons\n\n" + _table(columns, rows)


def _diagram(kind: str, loop_kind: str) -> str:
    """A state diagram in Mermaid: the open stages in a frame where there are several, the ends outside of it."""
    stages = stages_of(kind, loop_kind)
    opened, ends = [one for one in stages if not one.is_end], [one for one in stages if one.is_end]
    edges = _edges(kind, loop_kind, stages)
    inside = [_named(one) for one in opened]
    inside += [f"[*] --> {_id(one.code)}" for one in opened if one.is_first]
    inside += [line for source, target, line in edges if {source, target} <= {one.code for one in opened}]
    outside = [line for source, target, line in edges if not {source, target} <= {one.code for one in opened}]
    reached = {target for _source, target, _line in edges}
    framed = [f'state "open" as {_FRAME} {{', *(f"    {line}" for line in inside), "}"] if len(opened) > 1 else inside
    lines = ["stateDiagram-v2", *framed, *(_named(one) for one in ends if one.code in reached), *outside]
    return "```mermaid\n" + "\n    ".join(lines) + "\n```\n\n"


_FRAME = "open_stages"


def _edges(kind: str, loop_kind: str, stages: Sequence[Stage]) -> list[tuple[str, str, str]]:
    """(source, target, line of the diagram); several actions between the same two are one arrow."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    opened = [one.code for one in stages if not one.is_end]
    transitions = _transitions(kind, loop_kind)
    usual = {one.code for one in stages if one.is_first} | {one.target for one in transitions if one.is_primary}
    for one in transitions:
        sources = [code for code in opened if code in one.sources or not one.sources]
        drawn = _drawn(sources, one.target, opened, usual)
        also = " *" if drawn not in (sources, [_FRAME]) else ""
        for source in drawn:
            if one.target and one.target != source:
                labels[source, one.target].append(f"{one.label}{also}")
    return [
        (source, target, f"{_id(source)} --> {_id(target)}: {' / '.join(dict.fromkeys(words))}")
        for (source, target), words in labels.items()
    ]


def _drawn(sources: list[str], target: str, opened: list[str], usual: set[str]) -> list[str]:
    """Where the arrows of an action start: to an end from the frame, to an open box from the usual one before it."""
    if len(sources) <= 1:
        return sources
    if target not in opened:
        return [_FRAME] if len(opened) > 1 else sources
    before = [code for code in sources if opened.index(code) < opened.index(target)]
    on_the_way = [code for code in before if code in usual]
    return sources if len(sources) <= FEW else [(on_the_way or before or sources)[-1]]


def _named(stage: Stage) -> str:
    return f'state "{stage.label}" as {_id(stage.code)}'


def _id(code: str) -> str:
    return code.replace("-", "_")


def _stages(kind: str, loop_kind: str) -> str:
    rows = [
        (one.label, one.task_status or "as it was", "the end" if one.is_end else _due(kind, loop_kind, one.code))
        for one in stages_of(kind, loop_kind)
    ]
    return _table(("Where it stands", "FHIR Task.status", "Due"), rows) + "\n"


def _due(kind: str, loop_kind: str, stage: str) -> str:
    """The clock of a stage, with what differs by priority."""
    if stage == STOPPED:
        return "when the question is due, and the time that was left"
    levels = {
        level: None
        for of_kind, handoff, at, level in DEADLINES
        if _is_of((of_kind, handoff, at), loop_kind, kind, stage)
    }
    spans = {level: Rules().spans(loop_kind, kind, stage, (level,))[0] for level in levels}
    words = "; ".join(
        f"{LEVELS.get(level, level)}: {_span(span)}" if len(spans) > 1 else _span(span) for level, span in spans.items()
    )
    if stage in NEEDED:
        return f"by the date when it is needed, else {words}"
    return f"{words} after the appointment" if stage in APPOINTED else words


def _is_of(key: tuple[str, str, str], loop_kind: str, kind: str, stage: str) -> bool:
    return all(said in ("", wanted) for said, wanted in zip(key, (loop_kind, kind, stage), strict=True))


def _span(span: Span) -> str:
    if span.unit == "same-day":
        return "the same day"
    word = span.unit.replace("-", " ")
    return f"{span.amount} {word.removesuffix('s') if span.amount == 1 else word}"


def _actions(kind: str, loop_kind: str) -> str:
    rows = [_action(one, loop_kind) for one in _transitions(kind, loop_kind)]
    return _table(("What", "Who may", "From", "Leads to", "Asks for", "Then"), rows)


def _action(one: Transition, loop_kind: str) -> tuple[str, ...]:
    stages = stages_of(one.handoff, loop_kind)
    sources = [str(stage.label) for stage in stages if stage.code in one.sources]
    target = str(STAGES[one.handoff, one.target].label) if one.target else "stays"
    needed = [str(field.label) for field in one.fields if field.required]
    possible = [str(field.label) for field in one.fields if not field.required]
    asks = ", ".join([*needed, *([f"({', '.join(possible)})"] if possible else [])])
    label = f"**{one.label}**" if one.is_primary else str(one.label)
    return (label, ", ".join(_who(one)), _LIST.join(sources) or "every open one", target, asks, "; ".join(_then(one)))


_LIST = " · "


def _who(one: Transition) -> list[str]:
    sides = [name for name, roles in SIDES.items() if roles <= one.who]
    rest = set(one.who).difference(*(SIDES[name] for name in sides))
    return [*sides, *(words for role, words in ROLES.items() if role in rest)]


def _then(one: Transition) -> Iterator[str]:
    """What else happens, and when it isn't possible."""
    yield from dict.fromkeys(_opened(opening) for opening in one.opens)
    ended = [str(HANDOFFS[kind].label) for kind in one.closes]
    if ended:
        yield f"ends: {', '.join(ended)}"
    for move in one.moves:
        label = str(STAGES[move.handoff, move.target].label) if move.target else "where it stood"
        yield f"*{HANDOFFS[move.handoff].label}* becomes: {label}"
    for need in one.needs:
        yield f"not when {UNMET[need]}"


def _opened(opening: Opening) -> str:
    today = " today" if opening.stage == "to-tell-today" else ""
    return f"opens *{HANDOFFS[opening.handoff].label}*{today} for {OWNERS[opening.owner]}"


def _shared() -> list[Transition]:
    """The actions that many kinds of handoff have alike."""
    kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in TRANSITIONS:
        kinds[one.action, str(one.label)].add(one.handoff)
    return [one for one in TRANSITIONS if len(kinds[one.action, str(one.label)]) >= EVERYWHERE]


def _transitions(kind: str, loop_kind: str) -> list[Transition]:
    """The rows of one kind of handoff, without what all have."""
    shared = {one.action for one in _shared()}
    return [
        one
        for one in TRANSITIONS
        if one.handoff == kind
        and one.action not in shared
        and (not loop_kind or not one.loop_kinds or loop_kind in one.loop_kinds)
    ]


def _label_of(action: str, loop_kind: str, kind: str) -> str:
    return next(
        str(one.label)
        for one in TRANSITIONS
        if (one.action, one.handoff) == (action, kind) and (not one.loop_kinds or loop_kind in one.loop_kinds)
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n" for line in lines)
