"""What was entered for a performer, what a performer asks beside its own work, and what its own record says against it.

PATHWAYS §3, Attested, Reading.
"""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import CHANNEL, IN_QUESTION, NOTE, REFERRER, REPORT, REVIEW
from referrals.pathways.stages import FOLLOW_UP, FULFIL, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Opening, Transition

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
        opens=(replace(IN_QUESTION, unless=("deciding-here",)), replace(REVIEW, unless=("no-report",))),
        sets=frozenset({"contradicted"}),
    )


HEARSAY = (
    # What a performer elsewhere asks is somebody's to answer, wherever it stands and whatever else has been asked.
    Transition(
        "ask",
        "fulfil",
        _("Ask the referrer, and go on meanwhile"),
        "",
        frozenset({"partner", "system"}),
        loop_kinds=_WITH_REQUEST,
        fields=(Field("question", "text", _("Question")),),
        opens=(Opening("provide-information", "referrer"),),
    ),
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
