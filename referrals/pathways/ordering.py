"""What the placer's side does: send, cancel, decide, review, tell the patient; and the upkeep. PATHWAYS §2, §4."""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.parts import (
    CHANNEL,
    CLINICIAN,
    DECIDE,
    DEPENDENTS,
    IN_QUESTION,
    NOTE,
    OVERRIDE,
    RECALL,
    RECIPIENT,
    REFERRER,
    REVOKE,
    RIGHT_RESULT,
    SECOND_PERSON,
    SECOND_PERSON_ALWAYS,
    SLOT,
    STAFF,
    TELL,
    TELL_TODAY,
    propose,
    reason,
)
from referrals.pathways.sending import DISPATCH, REDIRECTING, SPLITTING, UNHOLD
from referrals.pathways.stages import REFERRAL
from referrals.vocabulary import Field, Move, Opening, Transition

# What may have been started before its performer asked for information, or proposed more than advice.
_WAITING = "awaiting-information"
_PROPOSED = "referral-proposed"
_STARTED = (
    "scheduled in-progress no-show appointment-cancelled seen-awaiting-report interim-report completed-no-report"
    " specimen-collected in-lab preliminary"
)

CANCELLING = (
    *(
        Transition(
            "cancel",
            "fulfil",
            _("Cancel the request"),
            "cancelled",
            REFERRER,
            sources=frozenset(sources.split()),
            fields=(*reason("withdraw"), SECOND_PERSON),
            loop_kinds=frozenset({REFERRAL}) if needs else frozenset(),
            needs=needs,
            opens=(TELL_TODAY, REVOKE),
            closes=(*DEPENDENTS, *answered),
            sets=frozenset({"ended"}),
        )
        for sources, needs, answered in (
            ("authorisation-pending sent in-triage awaiting-booking ordered collection-booked planned booked", (), ()),
            (_WAITING, ("not-begun",), ()),
            (_PROPOSED, ("not-begun",), ("decide-next-step",)),
        )
    ),
    *(
        Transition(
            "request-cancellation",
            "fulfil",
            _("Ask the performer to cancel"),
            "",
            REFERRER,
            sources=frozenset(sources.split()),
            fields=(*reason("withdraw"), SECOND_PERSON),
            loop_kinds=frozenset({REFERRAL}) if needs else frozenset(),
            needs=needs,
            opens=(Opening("request-cancellation", "same", unless=("cancellation-open",)),),
        )
        for sources, needs in (
            (_STARTED, ()),
            (f"{_WAITING} {_PROPOSED}", ("begun",)),
        )
    ),
    Transition(
        "enter-in-error",
        "fulfil",
        _("Entered in error"),
        "entered-in-error",
        CLINICIAN,
        fields=(*reason("void"), SECOND_PERSON_ALWAYS),
        needs=("untouched",),
        sets=frozenset({"ended", "told"}),
    ),
)

RESUME = propose("resumption-proposed")

DECISIONS = (
    *REDIRECTING,
    Transition(
        "keep",
        "decide-next-step",
        _("Keep it as it is"),
        "kept",
        REFERRER,
        sources=frozenset({"to-decide"}),
        fields=(NOTE,),
        opens=(RESUME,),
        moves=(UNHOLD,),
        needs=("going-on",),
        sets=frozenset({"carried-out"}),
    ),
    *(
        Transition(
            "keep",
            "decide-next-step",
            _("Keep it as it is"),
            "kept",
            REFERRER,
            sources=frozenset({source}),
            fields=(NOTE,),
            needs=needs,
            opens=(RESUME,),
            moves=(UNHOLD,),
        )
        for source, needs in (("in-question", ()), ("right-result", ("going-on",)))
    ),
    Transition(
        "close",
        "decide-next-step",
        _("End it"),
        "given-up",
        REFERRER,
        fields=(*reason("close"), SECOND_PERSON),
        opens=(
            Opening(
                "notify-patient",
                "accountable",
                unless=("cancellation-needed", "telling-open", "patient-told", "patient-knows"),
            ),
            RECALL,
            REVOKE,
        ),
        needs=("nothing-started",),
        sets=frozenset({"ended"}),
    ),
)

INFORMATION = (
    Transition(
        "answer",
        "provide-information",
        _("Answer"),
        "answered",
        REFERRER,
        fields=(
            Field("answer", "text", _("Answer")),
            Field("document", "reference", _("Document"), required=False, types=("DocumentReference", "Binary")),
        ),
        moves=(Move("fulfil", frozenset({"awaiting-information"})),),
        is_primary=True,
        is_placers=True,
    ),
    # The performer goes on without it, and is told why.
    Transition(
        "leave-unanswered",
        "provide-information",
        _("It can't be answered"),
        "unanswered",
        REFERRER,
        fields=reason("unanswered"),
        moves=(Move("fulfil", frozenset({"awaiting-information"})),),
        sets=frozenset({"returned"}),
        is_placers=True,
    ),
)

REVIEWING = (
    Transition(
        "acknowledge",
        "review-report",
        _("Acknowledge"),
        "acknowledged",
        CLINICIAN,
        fields=(
            Field("plan", "text", _("Plan")),
            Field("question_answered", "boolean", _("The clinical question is answered")),
            Field("patient_has_to_act", "boolean", _("The patient has to do something about it"), required=False),
        ),
        opens=(TELL,),
        hurries=("notify-patient",),
        sets=frozenset({"acknowledged"}),
        is_primary=True,
    ),
    # At any time, also after it was acknowledged or the loop has ended (PATHWAYS §4).
    *(
        Transition(
            "void",
            "review-report",
            _("Wrong patient or entered in error"),
            target,
            CLINICIAN | {"system"},
            sources=frozenset({source}),
            fields=reason("void"),
            needs=("stands",),
            opens=RIGHT_RESULT,
            sets=frozenset({"withdrawn"}),
        )
        for source, target in (("to-review", "voided"), ("acknowledged", ""))
    ),
)

_ATTEMPT_FIELDS = (CHANNEL, NOTE)

TELLING = (
    Transition(
        "tell",
        "notify-patient",
        _("The patient was told"),
        "told",
        STAFF,
        fields=_ATTEMPT_FIELDS,
        sets=frozenset({"told"}),
        is_primary=True,
    ),
    Transition(
        "attempt",
        "notify-patient",
        _("Tried without success"),
        "",
        STAFF,
        fields=_ATTEMPT_FIELDS,
        sets=frozenset({"attempt"}),
    ),
    Transition(
        "not-reached",
        "notify-patient",
        _("Not reached"),
        "not-reached",
        STAFF,
        fields=(*reason("not-reached"), SECOND_PERSON),
        needs=("attempts-made",),
        sets=frozenset({"told"}),
    ),
)

CONTACTING = (
    Transition(
        "reached",
        "contact-patient",
        _("The patient was reached"),
        "reached",
        STAFF,
        fields=_ATTEMPT_FIELDS,
        is_primary=True,
    ),
    Transition(
        "attempt",
        "contact-patient",
        _("Tried without success"),
        "",
        STAFF,
        fields=_ATTEMPT_FIELDS,
        sets=frozenset({"attempt"}),
    ),
    Transition(
        "book",
        "contact-patient",
        _("Visit booked with the patient"),
        "visit-booked",
        STAFF,
        fields=SLOT,
        loop_kinds=frozenset({"follow-up"}),
        moves=(Move("fulfil", frozenset({"planned", "no-show", "booked"}), "booked"),),
        is_primary=True,
    ),
    Transition(
        "book",
        "contact-patient",
        _("Visit booked with the patient"),
        "visit-booked",
        STAFF,
        fields=(*SLOT, OVERRIDE),
        loop_kinds=frozenset({REFERRAL}),
        moves=(Move("fulfil", frozenset({"awaiting-booking", "no-show", "appointment-cancelled"}), "scheduled"),),
        is_primary=True,
    ),
    # Law 5: the referrer decides. A follow-up visit ends with it; a referral waits at its performer for the decision.
    Transition(
        "give-up",
        "contact-patient",
        _("Not reached after every attempt"),
        "not-reached",
        STAFF,
        loop_kinds=frozenset({"follow-up"}),
        fields=reason("not-reached"),
        opens=(DECIDE,),
        moves=(Move("fulfil", frozenset(), "lost-after-attempts", by_placer=True),),
        needs=("attempts-made",),
    ),
    Transition(
        "give-up",
        "contact-patient",
        _("Not reached after every attempt"),
        "not-reached",
        STAFF,
        loop_kinds=frozenset({REFERRAL, "test-order"}),
        fields=reason("not-reached"),
        opens=(IN_QUESTION,),
        needs=("attempts-made",),
    ),
    Transition(
        "patient-declines",
        "contact-patient",
        _("The patient declines"),
        "refused-by-patient",
        STAFF | {"patient"},
        loop_kinds=frozenset({"follow-up"}),
        fields=(NOTE,),
        opens=(DECIDE,),
        moves=(Move("fulfil", frozenset(), "patient-declined", by_placer=True),),
    ),
    Transition(
        "patient-declines",
        "contact-patient",
        _("The patient declines"),
        "refused-by-patient",
        STAFF | {"patient"},
        loop_kinds=frozenset({REFERRAL, "test-order"}),
        fields=(NOTE,),
        opens=(IN_QUESTION,),
    ),
)

WHOSE = Field(
    "done_by",
    "reference",
    _("Whose result it is"),
    required=False,
    types=("Organization",),
    help=_("Say it where several perform the order and the result names none of them."),
)

UPKEEP = (
    Transition(
        "match",
        "match-evidence",
        _("Match"),
        "matched",
        STAFF | {"system"},
        fields=(Field("request", "reference", _("Order"), types=("ServiceRequest",)), WHOSE, NOTE),
        is_primary=True,
    ),
    Transition("refuse", "match-evidence", _("Refuse"), "refused", STAFF, fields=reason("refuse")),
    Transition("mend", "mend-exchange", _("Mended"), "mended", STAFF | {"system"}, fields=(NOTE,), is_primary=True),
    Transition("discard", "mend-exchange", _("Discard"), "discarded", STAFF, fields=reason("discard")),
    Transition(
        "confirm",
        "confirm-handover",
        _("Confirm"),
        "handover-confirmed",
        STAFF | RECIPIENT,
        fields=(NOTE,),
        is_primary=True,
    ),
    Transition(
        "waive-handover",
        "confirm-handover",
        _("There is nothing to hand over any more"),
        "handover-waived",
        STAFF | RECIPIENT,
        fields=reason("handover"),
    ),
    Transition("confirm", "confirm-death", _("Confirm"), "death-confirmed", STAFF, fields=(NOTE,), is_primary=True),
    Transition("refute", "confirm-death", _("Refute"), "death-refuted", STAFF | {"system"}, fields=(NOTE,)),
)

ORDERING = (
    *DISPATCH,
    *SPLITTING,
    *CANCELLING,
    *DECISIONS,
    *INFORMATION,
    *REVIEWING,
    *TELLING,
    *CONTACTING,
    *UPKEEP,
)
