"""A visit or collection that was booked and doesn't take place: it is to be booked again. PATHWAYS §5, §6."""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import CONTACT, NOTE, RECIPIENT, STAFF, TELL_TODAY, WITH_PATIENT, reason
from referrals.pathways.stages import FOLLOW_UP, TEST_ORDER
from referrals.vocabulary import Role, Transition

_STAFF_TOO: frozenset[Role] = WITH_PATIENT | STAFF

VISITS = (
    Transition(
        "cancel-appointment",
        "fulfil",
        _("Cancel the visit"),
        "planned",
        _STAFF_TOO,
        sources=frozenset({"booked"}),
        loop_kinds=frozenset({FOLLOW_UP}),
        fields=reason("appointment"),
        opens=(CONTACT, TELL_TODAY),
    ),
    Transition(
        "cancel-appointment",
        "fulfil",
        _("Cancel the collection"),
        "ordered",
        _STAFF_TOO,
        sources=frozenset({"collection-booked"}),
        loop_kinds=frozenset({TEST_ORDER}),
        fields=reason("appointment"),
        opens=(TELL_TODAY,),
    ),
    Transition(
        "no-show",
        "fulfil",
        _("The patient did not attend"),
        "ordered",
        RECIPIENT,
        sources=frozenset({"collection-booked"}),
        loop_kinds=frozenset({TEST_ORDER}),
        fields=(NOTE,),
        opens=(CONTACT,),
    ),
)
