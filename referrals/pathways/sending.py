"""Whom a request is sent to: at first, besides, or instead; and that it isn't sent at all. PATHWAYS §2-§4."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import (
    AUTHORISATION_NEEDED,
    BIDDING,
    DEPENDENTS,
    NOTE,
    PERFORMERS,
    RECALL,
    REFERRER,
    REVOKE,
    SECOND_PERSON,
    propose,
    reason,
)
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Move, Opening, Transition

_PERFORM = Opening("fulfil", "chosen", unless=("payer-decides",))
_WAIT_FOR_PAYER = Opening("fulfil", "chosen", unless=("payer-agrees",), stage="authorisation-pending")
# Whether it is to be held is decided now.
UNHOLD = Move("propose-change", frozenset({"hold-proposed"}), "overtaken")
_REFERRALS, _OTHERS = frozenset({REFERRAL}), frozenset({FOLLOW_UP, TEST_ORDER})


def _each_way(row: Transition) -> tuple[Transition, Transition]:
    """How it is sent: of a referral, the payer may have to agree first."""
    in_question = (*row.fields[:2], AUTHORISATION_NEEDED, *row.fields[2:])
    return (
        replace(row, loop_kinds=_REFERRALS, fields=in_question, opens=(_PERFORM, _WAIT_FOR_PAYER, *row.opens[1:])),
        replace(row, loop_kinds=_OTHERS),
    )


DISPATCH = (
    *_each_way(
        Transition(
            "send",
            "dispatch",
            _("Send to the performer"),
            "dispatched",
            REFERRER | {"system"},
            fields=(
                replace(PERFORMERS, required=False, required_if="no-performer"),
                BIDDING,
                Field("task", "reference", _("Task that stands for it"), required=False, types=("Task",)),
            ),
            opens=(_PERFORM,),
            closes=("decide-next-step",),
            sets=frozenset({"performer"}),
            is_primary=True,
        )
    ),
    Transition(
        "withdraw",
        "dispatch",
        _("Withdraw the request"),
        "withdrawn",
        REFERRER,
        fields=(*reason("withdraw"), SECOND_PERSON),
        opens=(REVOKE,),
        sets=frozenset({"ended", "told"}),
    ),
)

SPLITTING = (
    Transition(
        "add-performer",
        "fulfil",
        _("Ask another performer as well"),
        "",
        REFERRER,
        fields=(PERFORMERS, BIDDING, NOTE),
        opens=(
            Opening("fulfil", "chosen", beside=True, unless=("payer-awaited",)),
            Opening("fulfil", "chosen", beside=True, unless=("payer-not-awaited",), stage="authorisation-pending"),
        ),
        loop_kinds=frozenset({REFERRAL, TEST_ORDER}),
        needs=("placed-here",),
    ),
)

REDIRECTING = (
    *_each_way(
        Transition(
            "redirect",
            "decide-next-step",
            _("Send to another performer"),
            "redirected",
            REFERRER,
            fields=(
                PERFORMERS,
                BIDDING,
                Field("request", "reference", _("New request"), required=False, types=("ServiceRequest",)),
                NOTE,
            ),
            opens=(_PERFORM, RECALL, propose("performer-proposed")),
            moves=(Move("dispatch", frozenset(), "dispatched"), UNHOLD),
            closes=("fulfil", "recollect", *DEPENDENTS),
            needs=("nothing-started-here",),
            sets=frozenset({"performer", "replaced"}),
            is_primary=True,
        )
    ),
)
