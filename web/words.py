"""Words for what the rows hold as codes. What `referrals.pathways` already labels is taken from there."""

from referrals.models.loops import Loop, Priority
from referrals.pathways import HANDOFFS
from referrals.people import ROLES as PEOPLES_ROLES
from referrals.vocabulary import Words
from referrals.worklists import LoopView

ROLES: dict[str, Words] = dict(PEOPLES_ROLES)
KINDS: dict[str, Words] = dict(Loop.Kind.choices)
PRIORITIES: dict[str, Words] = dict(Priority.choices)
PRIORITY_TONES = {"stat": "danger", "asap": "danger", "urgent": "warn"}


def title(kind: str, title: str, handoff: str = "") -> str:
    """What a loop is called: what was asked for; without a request what has to be done (a kind of handoff), and of what."""
    if kind in (Loop.Kind.UNSOLICITED, Loop.Kind.UPKEEP) and handoff:
        return ": ".join(part for part in (str(HANDOFFS[handoff].label), title) if part)
    return title or str(KINDS.get(kind, kind))


def title_of(view: LoopView) -> str:
    """What the loop that a page is about is called."""
    first = next(iter(view.handoffs), None)
    return title(view.row.kind, view.row.title, first.row.kind if first else "")
