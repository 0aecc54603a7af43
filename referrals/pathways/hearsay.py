"""What was entered for a performer, and what a performer's own record says against it. PATHWAYS §3, Attested, Reading."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import CHANNEL, IN_QUESTION, NOTE, REFERRER, REPORT, REVIEW
from referrals.pathways.stages import FOLLOW_UP, FULFIL, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Transition

_WITH_REQUEST = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})
_ENDS = frozenset(stage.code for stage in FULFIL if stage.is_end)


def _contradict(sources: frozenset[str]) -> Transition:
    """It moves nothing and completes nothing: the referrer decides, and a report that came with it is read.

    In an ended loop `workflow` opens a new one for it.
    """
    return Transition(
        "contradict",
        "fulfil",
        _("The performer's own record says something else"),
        "",
        frozenset({"partner", "system"}),
        sources=sources,
        loop_kinds=_WITH_REQUEST,
        fields=(replace(REPORT, required=False), NOTE),
        opens=(replace(IN_QUESTION, unless=("deciding",)), replace(REVIEW, unless=("no-report",))),
        sets=frozenset({"contradicted"}),
    )


HEARSAY = (
    _contradict(frozenset()),
    _contradict(_ENDS),
    Transition(
        "reconfirm",
        "fulfil",
        _("Confirmed once more"),
        "",
        REFERRER,
        loop_kinds=_WITH_REQUEST,
        fields=(CHANNEL, Field("spoken_to", "text", _("Person spoken to")), NOTE),
        needs=("attested",),
        sets=frozenset({"confirmed"}),
    ),
)
