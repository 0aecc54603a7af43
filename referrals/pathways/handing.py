"""How work changes hands: one handoff to a colleague, or the whole loop to another clinician or pool. PATHWAYS §7, §8.4.

Every kind of handoff has both. The clock and the due time stay as they are (law 2).
"""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.handoffs import HANDOFFS
from referrals.pathways.parts import NOTE
from referrals.vocabulary import Field, Role, Transition

OVERSIGHT: frozenset[Role] = frozenset({"coordinator", "supervisor", "system"})


def _both(handoff: str) -> tuple[Transition, Transition]:
    return (
        Transition(
            "reassign",
            handoff,
            _("Hand over to a colleague"),
            "",
            frozenset({"holder"}),
            fields=(Field("owner", "colleague", _("New owner")), NOTE),
            sets=frozenset({"owner"}),
        ),
        Transition(
            "transfer",
            handoff,
            _("Transfer the whole loop"),
            "",
            OVERSIGHT,
            fields=(
                Field("responsible", "colleague", _("Responsible clinician"), required=False),
                Field("pool", "colleague", _("Accountable pool"), required=False),
                NOTE,
            ),
            sets=frozenset({"loop-owners"}),
        ),
    )


HANDING = tuple(transition for kind in HANDOFFS for transition in _both(kind))
