"""What happens to people and systems in the midst of a pathway. Baton itself takes these steps; people decide (PATHWAYS §7).

A death ends what is ours to end, in one step per loop; `referrals.conditions.outlives` says what goes on. Everything
else opens the referrer's decision beside `fulfil`, which stays open: the visit may still happen.
"""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.handoffs import HANDOFFS
from referrals.pathways.parts import NOTE, RECALL, reason
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Opening, Role, Transition, Words

_BATON: frozenset[Role] = frozenset({"system"})
_LOOPS = frozenset({REFERRAL, FOLLOW_UP, TEST_ORDER})
UPKEEP = frozenset({"match-evidence", "mend-exchange", "confirm-death"})
OUTLIVING = ("fulfil", "review-report", "request-cancellation")


def _upheaval(
    action: str,
    handoff: str,
    label: Words,
    target: str,
    *fields: Field,
    opens: tuple[Opening, ...],
    sets: frozenset[str] = frozenset(),
    needs: tuple[str, ...] = (),
) -> Transition:
    return Transition(
        action, handoff, label, target, _BATON, loop_kinds=_LOOPS, fields=fields, opens=opens, needs=needs, sets=sets
    )


_CALL_OFF = (
    Opening("request-cancellation", "same", unless=("cancellation-open", "ends-with-patient"), each="fulfil"),
    Opening("request-cancellation", "same", unless=("cancellation-open", "ends-with-patient"), each="appointment"),
    RECALL,
)
_DECIDE = Opening("decide-next-step", "referrer", unless=("deciding",))
_HERE = replace(_DECIDE, unless=("deciding-here",))

DEATHS = (
    *(
        _upheaval(
            "patient-died",
            kind.code,
            _("The patient has died"),
            kind.overtaken,
            *reason("death"),
            opens=_CALL_OFF,
            sets=frozenset({"died"}),
        )
        for kind in HANDOFFS.values()
        if kind.code not in UPKEEP | {"review-report", "request-cancellation"}
    ),
    *(
        _upheaval(
            "note-death",
            kind,
            _("The patient has died"),
            "",
            *reason("death"),
            opens=_CALL_OFF,
            sets=frozenset({"died"}),
        )
        for kind in OUTLIVING
    ),
    *(
        _upheaval(
            "refute-death",
            kind,
            _("The patient lives"),
            "",
            opens=() if kind == "decide-next-step" else (_DECIDE,),
            needs=("patient-died",),
            sets=frozenset({"lives"}),
        )
        for kind in HANDOFFS
        if kind not in UPKEEP
    ),
)

BESIDE = (
    _upheaval("seen-elsewhere", "fulfil", _("The patient was seen elsewhere"), "", NOTE, opens=(_HERE,)),
    _upheaval("lose-endpoint", "fulfil", _("The performer can no longer be reached"), "", NOTE, opens=(_HERE,)),
    *(
        _upheaval(
            "patient-moves",
            kind,
            _("The patient has moved"),
            "",
            NOTE,
            opens=(Opening("decide-next-step", "accountable", unless=("deciding-here",)),),
        )
        for kind in HANDOFFS
        if kind not in UPKEEP | {"decide-next-step", "propose-change"}
    ),
)

PENDING = ("fulfil", "recollect", "dispatch")
"""What stands for a test that is still to be done, the one that has come furthest first."""

DISCHARGE = tuple(
    Transition(
        "discharge",
        kind,
        _("The patient was discharged before the result"),
        "",
        _BATON,
        loop_kinds=frozenset({TEST_ORDER}),
        fields=(
            Field("responsible", "owner", _("Who reads the result"), required=False),
            Field("holder", "owner", _("Who hands over"), required=False),
        ),
        opens=(Opening("confirm-handover", "discharger", unless=("handover-open",)),),
        sets=frozenset({"reviewer"}),
    )
    for kind in PENDING
)

MERGES = (
    Transition(
        "ask-once", "confirm-death", _("The same is asked about the record that counts now"), "overtaken", _BATON
    ),
)

UPHEAVALS = (*DEATHS, *BESIDE, *DISCHARGE, *MERGES)
