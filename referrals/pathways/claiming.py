"""Taking what stands on a pool's list, and giving it back: the only way in which a performer writes an owner. PATHWAYS §1."""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.handoffs import HANDOFFS
from referrals.pathways.parts import NOTE, STAFF
from referrals.vocabulary import Field, Role, Transition

_PERFORMERS: frozenset[Role] = frozenset({"performer", "partner"})
_WHO = dict.fromkeys(("fulfil", "request-cancellation", "recollect"), _PERFORMERS)

CLAIMING = tuple(
    transition
    for kind in HANDOFFS
    for transition in (
        Transition(
            "claim",
            kind,
            _("Take it over"),
            "",
            _WHO.get(kind, STAFF),
            fields=(
                Field(
                    "claimant",
                    "reference",
                    _("Who takes it"),
                    required=False,
                    types=("Practitioner", "PractitionerRole", "Organization"),
                ),
            ),
            needs=("unclaimed",),
            sets=frozenset({"claimed"}),
        ),
        Transition(
            "give-back",
            kind,
            _("Give it back to the pool"),
            "",
            _WHO.get(kind, STAFF),
            fields=(NOTE,),
            needs=("claimed",),
            sets=frozenset({"given-back"}),
        ),
    )
)
