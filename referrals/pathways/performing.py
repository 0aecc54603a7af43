"""What the performer's side does with `fulfil`: referral, test order and follow-up. PATHWAYS §3 and §5."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from referrals.pathways.hearsay import HEARSAY
from referrals.pathways.holding import HOLDING
from referrals.pathways.overlapping import OVERLAPPING
from referrals.pathways.parts import (
    CONTACT,
    DECIDE,
    DEPENDENTS,
    IF_UNAUTHORISED,
    NOTE,
    OVERRIDE,
    RECIPIENT,
    REPORT,
    REVIEW,
    REVOKE,
    SEVERITY,
    SLOT,
    STAFF,
    TELL_TODAY,
    WITH_PATIENT,
    reason,
    reason_and_words,
)
from referrals.pathways.recollecting import RECOLLECTION
from referrals.pathways.reporting import AFTERWARDS, CANCELLED_BY_THE_LABORATORY
from referrals.pathways.stages import FOLLOW_UP, REFERRAL, TEST_ORDER
from referrals.vocabulary import Field, Move, Opening, Role, Transition, Words


def _fulfil(  # noqa: PLR0913 (the columns of the table)
    kinds: str,
    action: str,
    label: Words,
    sources: str,
    target: str,
    *fields: Field,
    who: frozenset[Role] = RECIPIENT,
    opens: tuple[Opening, ...] = (),
    closes: tuple[str, ...] = (),
    primary: bool = False,
    sets: str = "",
) -> Transition:
    """A transition of `fulfil`; ``kinds`` and ``sources`` are words separated by spaces (no sources: every open one)."""
    return Transition(
        action,
        "fulfil",
        label,
        target,
        who,
        sources=frozenset(sources.split()),
        loop_kinds=frozenset(kinds.split()),
        fields=fields,
        opens=opens,
        closes=closes,
        is_primary=primary,
        sets=frozenset(sets.split()),
    )


_UNBOOKED = "sent in-triage awaiting-information awaiting-booking in-progress"
_BOOKED = "scheduled no-show appointment-cancelled"
_ALL = f"{REFERRAL} {FOLLOW_UP} {TEST_ORDER}"

REFERRAL_TRANSITIONS = (
    _fulfil(REFERRAL, "receive", _("Take into triage"), "sent", "in-triage", primary=True),
    _fulfil(
        REFERRAL,
        "accept",
        _("Accept"),
        "sent in-triage awaiting-information",
        "awaiting-booking",
        NOTE,
        closes=("provide-information",),
        primary=True,
    ),
    _fulfil(
        REFERRAL,
        "ask-information",
        _("Ask the referrer for information"),
        "sent in-triage awaiting-booking in-progress",
        "awaiting-information",
        Field("question", "text", _("Question")),
        opens=(Opening("provide-information", "referrer"),),
    ),
    _fulfil(
        REFERRAL,
        "book",
        _("Book an appointment"),
        _UNBOOKED,
        "scheduled",
        *SLOT,
        OVERRIDE,
        opens=(IF_UNAUTHORISED,),
        closes=("provide-information", "contact-patient"),
        primary=True,
    ),
    _fulfil(
        REFERRAL,
        "rebook",
        _("Book another appointment"),
        _BOOKED,
        "scheduled",
        *SLOT,
        OVERRIDE,
        opens=(IF_UNAUTHORISED,),
        closes=("contact-patient",),
    ),
    _fulfil(REFERRAL, "start", _("Start"), f"{_UNBOOKED} {_BOOKED}".replace(" in-progress", ""), "in-progress"),
    _fulfil(
        f"{REFERRAL} {FOLLOW_UP}",
        "no-show",
        _("The patient did not attend"),
        "scheduled in-progress booked seen-awaiting-report",
        "no-show",
        NOTE,
        opens=(CONTACT,),
    ),
    _fulfil(
        REFERRAL,
        "cancel-appointment",
        _("Cancel the appointment"),
        "scheduled",
        "appointment-cancelled",
        *reason("appointment"),
        who=WITH_PATIENT,
        opens=(TELL_TODAY,),
    ),
    _fulfil(
        REFERRAL,
        "seen",
        _("The patient was seen"),
        f"{_UNBOOKED} {_BOOKED}",
        "seen-awaiting-report",
        NOTE,
        closes=DEPENDENTS,
        primary=True,
    ),
    _fulfil(
        REFERRAL,
        "interim-report",
        _("Send an interim report"),
        "scheduled in-progress seen-awaiting-report interim-report completed-no-report",
        "interim-report",
        REPORT,
    ),
    _fulfil(
        REFERRAL,
        "report",
        _("Send the report"),
        "",
        "report-sent",
        REPORT,
        SEVERITY,
        opens=(REVIEW,),
        closes=DEPENDENTS,
        primary=True,
        sets="received",
    ),
    _fulfil(
        REFERRAL,
        "complete-without-report",
        _("Complete without a report"),
        f"{_UNBOOKED} {_BOOKED} seen-awaiting-report interim-report",
        "completed-no-report",
        closes=DEPENDENTS,
    ),
)

TEST_ORDER_TRANSITIONS = (
    _fulfil(
        TEST_ORDER,
        "book-collection",
        _("Book the collection"),
        "ordered collection-booked",
        "collection-booked",
        *SLOT,
        primary=True,
    ),
    _fulfil(
        TEST_ORDER,
        "collect",
        _("Specimen collected"),
        "ordered collection-booked",
        "specimen-collected",
        NOTE,
        primary=True,
    ),
    _fulfil(
        TEST_ORDER,
        "receive-specimen",
        _("Specimen received in the laboratory"),
        "ordered collection-booked specimen-collected",
        "in-lab",
        primary=True,
    ),
    _fulfil(TEST_ORDER, "preliminary-result", _("Send a preliminary result"), "", "preliminary", REPORT, SEVERITY),
    _fulfil(
        TEST_ORDER,
        "result",
        _("Send the final result"),
        "",
        "final",
        REPORT,
        SEVERITY,
        opens=(REVIEW,),
        closes=DEPENDENTS,
        primary=True,
    ),
    _fulfil(
        TEST_ORDER,
        "reject-specimen",
        _("The specimen is unsatisfactory"),
        "specimen-collected in-lab preliminary",
        "failed",
        *reason("specimen"),
        opens=(Opening("recollect", "same"), DECIDE),
        closes=DEPENDENTS,
    ),
)

FOLLOW_UP_TRANSITIONS = (
    _fulfil(
        FOLLOW_UP,
        "book",
        _("Book the visit"),
        "planned booked no-show",
        "booked",
        *SLOT,
        who=RECIPIENT | STAFF,
        closes=("contact-patient",),
        primary=True,
    ),
    _fulfil(
        FOLLOW_UP,
        "complete",
        _("The visit has taken place"),
        "",
        "done",
        Field("report", "reference", _("Visit note"), required=False, types=REPORT.types),
        who=RECIPIENT | STAFF,
        opens=(REVIEW,),
        closes=DEPENDENTS,
        primary=True,
    ),
    _fulfil(
        FOLLOW_UP,
        "supersede",
        _("Superseded by another event"),
        "",
        "superseded",
        *reason("supersede"),
        who=RECIPIENT | STAFF,
        opens=(DECIDE,),
        closes=DEPENDENTS,
    ),
)

# Law 5: whatever ends it without an outcome opens the referrer's decision, and the patient hears of it today.
WITHOUT_OUTCOME = (
    _fulfil(
        _ALL,
        "decline",
        _("Decline"),
        "",
        "declined",
        *reason_and_words("decline"),
        opens=(DECIDE, TELL_TODAY),
        closes=DEPENDENTS,
    ),
    _fulfil(
        _ALL,
        "fail",
        _("Unable to complete it"),
        "",
        "failed",
        *reason("fail"),
        opens=(DECIDE, TELL_TODAY),
        closes=DEPENDENTS,
    ),
    _fulfil(
        _ALL,
        "call-off",
        _("Cancelled by the performer"),
        "",
        "cancelled",
        *reason("call-off"),
        opens=(DECIDE, TELL_TODAY),
        closes=DEPENDENTS,
    ),
)

# The request to cancel was taken back, and its performer's own system stopped all the same, the two messages having crossed.
CROSSING = (
    Transition(
        "stop-anyway",
        "request-cancellation",
        _("Stopped although the request to cancel was taken back"),
        "",
        frozenset({"partner", "system"}),
        sources=frozenset({"overtaken"}),
        moves=(Move("fulfil", frozenset(), "cancelled"),),
        opens=(Opening("decide-next-step", "referrer", unless=("deciding-here",)), TELL_TODAY),
        closes=("provide-information", "contact-patient"),
        needs=("about-the-task", "still-performed"),
    ),
)

CANCELLATION_ANSWERS = (
    Transition(
        "release-appointment",
        "request-cancellation",
        _("The appointment is cancelled"),
        "cancellation-accepted",
        RECIPIENT,
        needs=("about-a-visit",),
        is_primary=True,
    ),
    Transition(
        "accept-cancellation",
        "request-cancellation",
        _("Accept the cancellation"),
        "cancellation-accepted",
        RECIPIENT,
        needs=("about-the-task",),
        moves=(Move("fulfil", frozenset(), "cancelled"),),
        opens=(TELL_TODAY, REVOKE),
        closes=("provide-information", "contact-patient"),
        sets=frozenset({"ended"}),
        is_primary=True,
    ),
    Transition(
        "refuse-cancellation",
        "request-cancellation",
        _("Refuse: it goes on"),
        "cancellation-refused",
        RECIPIENT,
        fields=reason("keep-going"),
        # What had ended here goes on there: nobody else decides about it.
        opens=(replace(DECIDE, unless=("still-performed", "deciding-here")),),
        sets=frozenset({"goes-on"}),
    ),
)

PERFORMING = (
    *REFERRAL_TRANSITIONS,
    *TEST_ORDER_TRANSITIONS,
    *FOLLOW_UP_TRANSITIONS,
    *WITHOUT_OUTCOME,
    *HOLDING,
    *AFTERWARDS,
    *OVERLAPPING,
    *CANCELLED_BY_THE_LABORATORY,
    *HEARSAY,
    *CANCELLATION_ANSWERS,
    *CROSSING,
    *RECOLLECTION,
)
