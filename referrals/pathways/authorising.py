"""When the payer must agree first: its answer, what follows a refusal, and a renewal before it expires. PATHWAYS §3, §7."""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import DECIDE, DEPENDENTS, REFERRER, TELL_TODAY, reason_and_words
from referrals.pathways.stages import REFERRAL
from referrals.vocabulary import Field, Role, Transition

_PAYERS_WORD: frozenset[Role] = REFERRER | {"system"}
_REFERRALS = frozenset({REFERRAL})
_AUTHORISATION = (
    Field("authorisation", "text", _("Number of the authorisation")),
    Field("valid_until", "date", _("Valid until"), required=False),
)

AUTHORISING = (
    Transition(
        "authorise",
        "fulfil",
        _("The payer agrees"),
        "sent",
        _PAYERS_WORD,
        sources=frozenset({"authorisation-pending"}),
        loop_kinds=_REFERRALS,
        fields=_AUTHORISATION,
        sets=frozenset({"authorised"}),
        is_primary=True,
    ),
    Transition(
        "refuse-authorisation",
        "fulfil",
        _("The payer refuses"),
        "cancelled",
        _PAYERS_WORD,
        sources=frozenset({"authorisation-pending"}),
        loop_kinds=_REFERRALS,
        fields=reason_and_words("authorisation"),
        opens=(DECIDE, TELL_TODAY),
        closes=DEPENDENTS,
    ),
    Transition(
        "renew-authorisation",
        "fulfil",
        _("The payer has agreed again"),
        "",
        _PAYERS_WORD,
        sources=frozenset(
            (
                *("sent", "in-triage", "awaiting-information", "awaiting-booking", "scheduled"),
                *("no-show", "appointment-cancelled", "in-progress"),
            )
        ),
        loop_kinds=_REFERRALS,
        fields=_AUTHORISATION,
        sets=frozenset({"authorised"}),
    ),
)
