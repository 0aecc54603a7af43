"""What comes of a change that was proposed to the EHR which placed the request: only its placer writes it. PATHWAYS §1."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import IN_QUESTION, NOTE, REFERRER, reason
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER
from referrals.vocabulary import Role, Transition

_WITH_REQUEST = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})
_PLACER: frozenset[Role] = REFERRER | {"partner", "system"}

PROPOSING = (
    Transition(
        "make-change",
        "propose-change",
        _("The request says so now"),
        "change-made",
        _PLACER,
        loop_kinds=_WITH_REQUEST,
        fields=(NOTE,),
        is_primary=True,
    ),
    # The request goes on saying something else than what was decided: a person looks at it.
    Transition(
        "refuse-change",
        "propose-change",
        _("The request stays as it is"),
        "change-refused",
        _PLACER,
        loop_kinds=_WITH_REQUEST,
        fields=reason("proposal"),
        opens=(replace(IN_QUESTION, unless=("deciding-here",)),),
    ),
    Transition(
        "drop-proposal",
        "propose-change",
        _("Drop the proposal"),
        "proposal-dropped",
        REFERRER,
        loop_kinds=_WITH_REQUEST,
        fields=reason("proposal"),
    ),
)
