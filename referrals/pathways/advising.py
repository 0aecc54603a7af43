"""Advice only: the performer answers, or proposes a full referral, which the referrer confirms or not. PATHWAYS §5."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import DEPENDENTS, NOTE, PERFORMERS, RECIPIENT, REFERRER, propose
from referrals.pathways.stages import REFERRAL
from referrals.vocabulary import Field, Move, Opening, Transition

_REFERRALS = frozenset({REFERRAL})
_PROPOSED = frozenset({"proposal-to-decide"})

ADVISING = (
    Transition(
        "propose-referral",
        "fulfil",
        _("Propose a full referral"),
        "referral-proposed",
        RECIPIENT,
        sources=frozenset({"sent", "in-triage", "awaiting-booking", "in-progress"}),
        loop_kinds=_REFERRALS,
        fields=(Field("proposal", "text", _("Why the patient should be seen")),),
        opens=(Opening("decide-next-step", "referrer", stage="proposal-to-decide"),),
        needs=("advice-only",),
    ),
    Transition(
        "convert",
        "decide-next-step",
        _("Turn it into a full referral"),
        "converted",
        REFERRER,
        sources=_PROPOSED,
        loop_kinds=_REFERRALS,
        fields=(replace(PERFORMERS, required=False, help=_("Left empty: whoever proposed it.")), NOTE),
        opens=(Opening("fulfil", "chosen"), propose("in-full-proposed")),
        closes=("fulfil", *DEPENDENTS),
        because="converted",
        sets=frozenset({"performer", "replaced", "in-full"}),
        is_primary=True,
    ),
    Transition(
        "decline-proposal",
        "decide-next-step",
        _("Decline the proposal: advice is enough"),
        "proposal-declined",
        REFERRER,
        sources=_PROPOSED,
        loop_kinds=_REFERRALS,
        fields=(Field("answer", "text", _("Answer")),),
        moves=(Move("fulfil", frozenset({"referral-proposed"})),),
    ),
)
