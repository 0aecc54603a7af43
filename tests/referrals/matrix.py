"""The whole of `decide`, observed from outside: every (stage × action × role) of every handoff in every kind of loop.

Nothing here reads which transitions there are: each action is tried by each role at each stage, alone and beside all
other kinds of handoff, and what happens is written down. `matrix.txt` is what was agreed; `test_matrix.py` compares.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from records.errors import BatonError, Forbidden, Incorrect
from referrals.lifecycle import Ask, Decision, decide
from referrals.models import Handoff, Loop, Owner
from referrals.pathways import HANDOFFS, RESUMES, STAGES, TRANSITIONS, first_stage
from tests.referrals.samples import filled
from tests.referrals.ward import MONDAY

REQUESTED = ("referral", "follow-up", "test-order")
# The kinds of loop that a kind of handoff stands in, where these aren't all three with a request.
HELD_IN = {
    "dispatch": ("referral", "test-order"),
    "recollect": ("test-order",),
    "match-evidence": ("unsolicited",),
    "mend-exchange": ("upkeep",),
    "confirm-death": ("upkeep",),
}
LETTERS = {
    "requester": "R",
    "performer": "P",
    "patient": "T",
    "coordinator": "C",
    "supervisor": "S",
    "partner": "E",
    "system": "B",
    "holder": "H",
}
WHO_MAY_ATTEST = ("requester", "coordinator", "supervisor")
ATTESTED = {"channel": "phone", "spoken_to": "Ms Ray"}
ACTIONS = tuple(sorted({one.action for one in TRANSITIONS}))
CONTEXTS = ("alone", "read", "beside", "started")
Place = tuple[str, str, str]  # kind of loop, kind of handoff, stage


@dataclass(frozen=True, slots=True)
class Row:
    """What one action is at one place: who may (letters), what it asks for, and what it does in each context."""

    who: str
    asks: str
    effects: tuple[str, ...]

    def is_for(self, roles: Iterable[str]) -> bool:
        """Whether somebody with one of these roles may, in their own name."""
        return any(LETTERS[role] in self.who for role in roles)

    def is_possible(self, context: str) -> bool:
        """Whether it is offered: what would end the loop too early is, and says so when it is tried."""
        words = self.effect(context)
        return not words.startswith("refused") or WOULD_END in words

    def effect(self, context: str) -> str:
        """What it does in that context, or why it is refused."""
        return self.effects[CONTEXTS.index(context)]


Matrix = dict[Place, dict[str, Row]]


def places() -> Iterator[Place]:
    """Every stage of every kind of handoff in every kind of loop that may hold it."""
    for (kind, code), stage in STAGES.items():
        for loop_kind in sorted(stage.loop_kinds) or HELD_IN.get(kind, REQUESTED):
            yield loop_kind, kind, code


def setting(place: Place, context: str) -> tuple[Loop, list[Handoff]]:
    """A loop with the handoff in question first: untried and alone, or one that others of every kind have come from."""
    loop_kind, kind, stage = place
    loop = Loop(id="loop", kind=loop_kind, stage="waiting-partner", priority="urgent", ordered_at=MONDAY)
    fresh, lonely = context == "beside", context in ("alone", "read")
    if context == "read":
        loop.acknowledged_by, loop.acknowledged_at = "Dr Ruiz", MONDAY
    this = _handoff(loop, kind, stage, "this", version=1 if fresh else 2, attempts=0 if lonely else 3)
    this.owner = this.list = (
        Owner(pk=1, kind="pool", internal=True) if lonely else Owner(pk=2, kind="person", internal=True)
    )
    this.reason_code = "withdrawn" if kind == "request-cancellation" else ""
    return loop, [this] if lonely else [this, *_others(loop, kind, is_started=not fresh)]


def _others(loop: Loop, besides: str, *, is_started: bool) -> Iterator[Handoff]:
    for kind in HANDOFFS:
        if kind == besides or loop.kind not in HELD_IN.get(kind, REQUESTED):
            continue
        begun = kind == "fulfil" and is_started
        stage = RESUMES[loop.kind]["in-progress"] if begun else first_stage(kind, loop.kind)
        yield _handoff(loop, kind, stage, kind, opened_by_id="this")


def _handoff(loop: Loop, kind: str, stage: str, key: str, **more: Any) -> Handoff:
    status = STAGES[kind, stage].task_status or "received"
    pool = Owner(pk=1, kind="pool", internal=True)
    return Handoff(id=key, loop=loop, kind=kind, stage=stage, task_status=status, owner=pool, list=pool, **more)


def tried(place: Place, context: str, ask: Ask) -> Decision | BatonError:
    """What `decide` says; what is attested is so of somebody who works elsewhere."""
    loop, handoffs = setting(place, context)
    handoffs[0].owner.internal = not ask.attested
    try:
        return decide(loop, [one for one in handoffs if not STAGES[one.kind, one.stage].is_end], handoffs[0], ask)
    except BatonError as refusal:
        return refusal


def ask(action: str, roles: Iterable[str], data: Mapping[str, Any], *, attested: bool = False) -> Ask:
    more = ATTESTED if attested else {}
    return Ask(action, frozenset(roles), "Somebody", MONDAY, {**data, **more}, attested=attested)


def forms(place: Place, action: str) -> dict[str, Any]:
    """What has to be filled in for the action, if there is one here at all; what may be is left out."""
    return _form(place[0], place[1], action)


@cache
def _form(loop_kind: str, kind: str, action: str) -> dict[str, Any]:
    for one in TRANSITIONS:
        if (one.handoff, one.action) == (kind, action) and (not one.loop_kinds or loop_kind in one.loop_kinds):
            asked = {field.name for field in one.fields if field.required or field.required_if}
            return {name: value for name, value in filled(one).items() if name in asked}
    return {}


def is_unknown(outcome: Decision | BatonError) -> bool:
    """Whether the refusal is that the action doesn't exist at this place, whoever asks."""
    return isinstance(outcome, Incorrect) and "is not possible" in str(outcome) and "”. Possible now" in str(outcome)


def observe(place: Place, action: str) -> Row | None:
    """The row of the matrix; None where nobody may ever do it."""
    data = forms(place, action)
    if is_unknown(tried(place, "alone", ask(action, {"performer"}, data))):
        return None  # nobody may, as `test_matrix` tries with every role
    by_role = {role: tried(place, "alone", ask(action, {role}, data)) for role in LETTERS}
    may = [role for role, outcome in by_role.items() if not isinstance(outcome, Forbidden)]
    attest = [role for role in WHO_MAY_ATTEST if role not in may and _may_attest(place, action, role, data)]
    letters = "".join(
        letter if role in may else letter.lower() if role in attest else "." for role, letter in LETTERS.items()
    )
    alone, read, *beside = (
        effect(place, context, tried(place, context, ask(action, may[:1], data))) for context in CONTEXTS
    )
    is_awaited = WOULD_END in alone and WOULD_END not in read
    return Row(letters, _asks(place, action, may[0]), (alone, read if is_awaited else alone, *beside))


WOULD_END = "The loop would end"  # although nobody has read the report, or told the patient


def _may_attest(place: Place, action: str, role: str, data: Mapping[str, Any]) -> bool:
    return not isinstance(tried(place, "alone", ask(action, {role}, data, attested=True)), Forbidden)


def _asks(place: Place, action: str, role: str) -> str:
    """The fields without which it is refused, in the first context in which it is possible."""
    for context in CONTEXTS:
        outcome = tried(place, context, ask(action, {role}, {}))
        names = [issue.expression for issue in outcome.issues] if isinstance(outcome, BatonError) else []
        if any(names):
            return " ".join(names)
    return "nothing"


def effect(place: Place, context: str, outcome: Decision | BatonError) -> str:
    """What a decision does, in words; the refusal's reason where it is one."""
    if isinstance(outcome, BatonError):
        return f"refused: {_why(str(outcome))}"
    stage = outcome.stages["this"]
    parts = ["stays" if stage == place[2] else f"becomes {stage}"]
    parts += [f"opens {one.handoff}{'/' * bool(one.stage)}{one.stage} for {one.owner}" for one in outcome.opens]
    parts += _taken_along(place, {key: to for key, to in sorted(outcome.stages.items()) if key != "this"})
    parts += _recorded(outcome.loop)
    if context in ("alone", "read"):
        parts.append(f"loop {outcome.loop['stage']}")
    return "; ".join(parts)


def _why(text: str) -> str:
    return text.partition("(")[2].partition(")")[0] or text


def _taken_along(place: Place, stages: Mapping[str, str]) -> Iterator[str]:
    """What becomes of the others; their usual end goes without saying, and so does the list of all of them."""
    ended = {kind for kind, stage in stages.items() if STAGES[kind, stage].is_end}
    kept = {kind for kind in HANDOFFS if place[0] in HELD_IN.get(kind, REQUESTED)} - {place[1]} - ended
    if len(ended) > len(kept):
        yield f"ends all others{' but ' * bool(kept)}{' '.join(sorted(kept))}"
    for kind, stage in stages.items():
        unusual = f" ({stage})" * (stage != HANDOFFS[kind].overtaken)
        if kind not in ended:
            yield f"moves {kind} ({stage})"
        elif len(ended) <= len(kept) or unusual:
            yield f"ends {kind}{unusual}"


def _recorded(loop: Mapping[str, Any]) -> Iterator[str]:
    """What it puts on record in the loop."""
    for what in ("acknowledged", "told"):
        if loop.get(f"{what}_by"):
            yield what if loop[f"{what}_at"] else f"{what} by reason"
    if loop.get("acknowledged_by") == "":
        yield "unread again"
    if loop.get("end_reason"):
        yield "ends the loop by reason"


def observed() -> Matrix:
    """Everything, tried out."""
    matrix: Matrix = {}
    for place in places():
        rows = {action: observe(place, action) for action in ACTIONS}
        matrix[place] = {action: row for action, row in rows.items() if row is not None}
    return matrix


LEGEND = f"""\
What everybody may do at every stage, and what it does. Agreed in review against the pathways; to be read from the top.

    REGENERATE=1 python -m pytest -n0 tests/referrals/test_matrix.py    writes it anew; read the difference before you commit it

{"".join(LETTERS.values())}: {", ".join(f"{letter} {role}" for role, letter in LETTERS.items())}. A capital may, a small letter may enter what
the performer has told (attested), a dot may not. An action that isn't listed for a stage is refused there to everybody.
alone: nothing else is open, it stands on a pool's list, nobody has tried to reach the patient; read: the same, with every
report acknowledged (where it isn't there, as alone); beside: one of each other kind is open too, it is a person's, nothing has
happened yet, three attempts were made; started: the same, but the performer has begun (where it isn't there, as beside).
"""


def render(matrix: Matrix) -> str:
    """The golden file: the rows by kind of handoff, stages with the same row and loops with the same rows together."""
    text = LEGEND
    for kind in HANDOFFS:
        loops: dict[str, list[str]] = defaultdict(list)
        for loop_kind in HELD_IN.get(kind, REQUESTED):
            loops[_block(matrix, loop_kind, kind)].append(loop_kind)
        text += "".join(f"\n{kind} in {' '.join(kinds)}\n{block}" for block, kinds in loops.items())
    return text


def _block(matrix: Matrix, loop_kind: str, kind: str) -> str:
    """What can be done to one kind of handoff in one kind of loop."""
    stages: dict[tuple[str, Row], list[str]] = defaultdict(list)
    quiet = []
    for (of_loop, of_kind, stage), rows in matrix.items():
        if (of_loop, of_kind) == (loop_kind, kind):
            quiet += [] if rows else [stage]
            for action, row in rows.items():
                stages[action, row].append(stage)
    every = [stage for stage in _open_stages(loop_kind, kind) if matrix[loop_kind, kind, stage]]
    rows_ = "".join(
        _entry(action, row, [ALL] if at == every and len(at) > 1 else at) for (action, row), at in stages.items()
    )
    return f"{rows_}  nothing at {' '.join(quiet)}\n" if quiet else rows_


ALL = "every open stage"


def _open_stages(loop_kind: str, kind: str) -> list[str]:
    return [stage for *held, stage in places() if held == [loop_kind, kind] and not STAGES[kind, stage].is_end]


def _entry(action: str, row: Row, stages: Iterable[str]) -> str:
    alone, read, beside, started = row.effects
    shown = {"alone": alone, "read": read if read != alone else "", "beside": beside}
    shown["started"] = started if started != beside else ""
    effects = "".join(f"    {context}: {words}\n" for context, words in shown.items() if words)
    return f"  {row.who} {action} at {' '.join(stages)}, asks {row.asks}\n{effects}"


def parse(text: str) -> Matrix:
    """The golden file read back."""
    matrix: Matrix = {place: {} for place in places()}
    for title, body in _BLOCK.findall(text):
        kind, _in, loop_kinds = title.partition(" in ")
        for who, action, stages, asks, effects in _ROW.findall(body):
            row = Row(who, asks, _effects(effects))
            for loop_kind in loop_kinds.split():
                for stage in _open_stages(loop_kind, kind) if stages == ALL else stages.split():
                    matrix.setdefault((loop_kind, kind, stage), {})[action] = row
    return matrix


def _effects(lines: str) -> tuple[str, ...]:
    words: dict[str, str] = {}
    for line in lines.splitlines():
        context, _colon, told = line.strip().partition(": ")
        words[context] = told
    return (words["alone"], words.get("read", words["alone"]), words["beside"], words.get("started", words["beside"]))


_BLOCK = re.compile(r"^([\w-]+ in [\w -]+)\n((?:  .*\n)+)", re.MULTILINE)
_ROW = re.compile(r"^  ([A-Za-z.]+) ([\w-]+) at (.+), asks (.+)\n((?:    .*\n)+)", re.MULTILINE)
