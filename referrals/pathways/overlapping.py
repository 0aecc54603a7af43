"""A performer that goes on with what has ended here: it is asked to stop, or the referrer decides. PATHWAYS §1-§3, §6.

Whoever ended it (its performer, the placer, a rival who took it, a death) and whether the loop is still open: two may be
at work, so it is never only noted. Where the referrer is to decide what comes after that end anyway, the decision says
what becomes of it; in an ended loop `workflow` opens a new one for it.
"""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import DECIDE, SLOT
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER, UNFULFILLED
from referrals.vocabulary import Field, Opening, Transition, Words

_WITH_REQUEST = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})


def _anyway(action: str, label: Words, opening: Opening, *fields: Field) -> Transition:
    return Transition(
        action,
        "fulfil",
        label,
        "",
        frozenset({"partner", "system"}),
        sources=UNFULFILLED,
        loop_kinds=_WITH_REQUEST,
        fields=fields,
        opens=(opening,),
        sets=frozenset({"resumed"}),
    )


OVERLAPPING = (
    _anyway(
        "start-anyway",
        _("Goes on although it has ended here"),
        Opening("request-cancellation", "same", unless=("cancellation-open", "end-to-decide")),
        # By them a visit that was moved since is told from one that is known.
        *(replace(one, required=False) for one in SLOT if one.kind == "datetime"),
    ),
    _anyway(
        "done-anyway",
        _("Performed although it had ended here"),
        replace(DECIDE, unless=("deciding-here",)),
    ),
)
