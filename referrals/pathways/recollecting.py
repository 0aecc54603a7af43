"""What becomes of a specimen that has to be collected again: it is, or somebody says that it won't be. PATHWAYS §2, §5."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import (
    DECIDE,
    NOTE,
    RECIPIENT,
    REFERRER,
    REVOKE,
    SECOND_PERSON,
    STAFF,
    TELL_TODAY,
    reason,
    reason_and_words,
)
from referrals.pathways.stages import TEST_ORDER
from referrals.vocabulary import Field, Opening, Role, Transition, Words

# The rejected specimen has asked the referrer already, unless that was decided since.
_ASK = replace(DECIDE, unless=(*DECIDE.unless, "to-decide-open"))


def _not_collected(
    action: str,
    label: Words,
    target: str,
    *fields: Field,
    who: frozenset[Role] = RECIPIENT,
    opens: tuple[Opening, ...] = (_ASK, TELL_TODAY),
) -> Transition:
    """Law 5: the order isn't forgotten with it, the referrer decides."""
    return Transition(
        action, "recollect", label, target, who, loop_kinds=frozenset({TEST_ORDER}), fields=fields, opens=opens
    )


RECOLLECTION = (
    Transition(
        "recollected",
        "recollect",
        _("Specimen collected again"),
        "recollected",
        RECIPIENT | STAFF,
        fields=(NOTE,),
        opens=(Opening("fulfil", "same", stage="specimen-collected"),),
        closes=("decide-next-step",),
        is_primary=True,
    ),
    Transition(
        "cancel",
        "recollect",
        _("Cancel the request"),
        "cancelled",
        REFERRER,
        loop_kinds=frozenset({TEST_ORDER}),
        fields=(*reason("withdraw"), SECOND_PERSON),
        opens=(TELL_TODAY, REVOKE),
        closes=("decide-next-step",),
        sets=frozenset({"ended"}),
    ),
    _not_collected("decline", _("Decline"), "declined", *reason_and_words("decline")),
    _not_collected("fail", _("Unable to complete it"), "failed", *reason("fail")),
    _not_collected(
        "patient-declines",
        _("The patient declines"),
        "refused-by-patient",
        NOTE,
        who=RECIPIENT | STAFF | {"patient"},
        opens=(_ASK,),
    ),
)
