"""On hold: the loop stays open and its clock runs, and the referrer decides, also before it was sent. PATHWAYS §1."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import IN_QUESTION, NOTE, RECIPIENT, STAFF, propose
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER
from referrals.vocabulary import Role, Transition

_HOLD = propose("hold-proposed", "hold-open", "answering")
_WITH_REQUEST = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})


def _hold(handoff: str, who: frozenset[Role], *sources: str) -> Transition:
    return Transition(
        "hold",
        handoff,
        _("Put on hold"),
        "",
        who,
        sources=frozenset(sources),
        loop_kinds=_WITH_REQUEST,
        fields=(NOTE,),
        # Where that is what the referrer has to decide anyway, the journal says so and nothing else is asked.
        opens=(_HOLD,) if handoff == "decide-next-step" else (replace(IN_QUESTION, unless=("deciding-here",)), _HOLD),
    )


HOLDING = (
    _hold("fulfil", RECIPIENT | STAFF),
    _hold("fulfil", STAFF, "authorisation-pending"),
    _hold("dispatch", STAFF),
    _hold("recollect", RECIPIENT | STAFF),
    _hold("decide-next-step", STAFF),
)
