"""What becomes of a report after `fulfil` has ended, and of one that says that there will be none. PATHWAYS §4, §5."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import (
    DECIDE,
    DEPENDENTS,
    RECIPIENT,
    REPORT,
    REPORT_STATE,
    REVIEW,
    RIGHT_RESULT,
    SEVERITY,
    TELL_TODAY,
    reason,
)
from referrals.pathways.stages import FOLLOW_UP, FULFIL, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Move, Transition

_ENDS = frozenset(stage.code for stage in FULFIL if stage.is_end)
_WITH_REQUEST = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})
_REPLACED = Field("replaces", "reference", _("Report that it replaces"), required=False, types=REPORT.types)


def _amend(loop_kinds: frozenset[str], *moves: Move) -> Transition:
    return Transition(
        "amend",
        "fulfil",
        _("A new, corrected or cancelled report"),
        "",
        RECIPIENT,
        sources=_ENDS,
        loop_kinds=loop_kinds,
        fields=(REPORT, REPORT_STATE, SEVERITY, _REPLACED),
        opens=(REVIEW,),
        moves=moves,
        closes=("review-report",),
        sets=frozenset({"received"}),
    )


# A report that comes, or comes again, once `fulfil` has ended. In an ended loop `workflow` opens a new one for it.
AFTERWARDS = (
    _amend(frozenset({REFERRAL, FOLLOW_UP})),
    # A result after all: nothing has to be collected again.
    _amend(frozenset({TEST_ORDER}), Move("recollect", frozenset({"to-recollect"}), "overtaken")),
    Transition(
        "withdraw-report",
        "fulfil",
        _("The report was entered in error"),
        "",
        RECIPIENT,
        sources=_ENDS,
        loop_kinds=_WITH_REQUEST,
        fields=(REPORT, *reason("void")),
        needs=("was-reported", "stands"),
        opens=RIGHT_RESULT,
        moves=(Move("review-report", frozenset({"to-review"}), "voided"),),
        sets=frozenset({"withdrawn"}),
    ),
)

# Rejected before it had started, failed after; its cancelled report, if there is one, is read like any other.
CANCELLED_BY_THE_LABORATORY = tuple(
    Transition(
        "cancel-test",
        "fulfil",
        _("Cancelled by the laboratory"),
        target,
        RECIPIENT,
        sources=frozenset(sources.split()),
        loop_kinds=frozenset({TEST_ORDER}),
        fields=(replace(REPORT, required=False), *reason("call-off")),
        opens=(DECIDE, replace(REVIEW, unless=("no-report",)), TELL_TODAY),
        closes=DEPENDENTS,
    )
    for sources, target in (
        ("ordered collection-booked", "declined"),
        ("specimen-collected in-lab preliminary", "failed"),
    )
)
