"""Where a handoff can stand, and what a loop's own stages are.

Sources of the stages of `fulfil`: HL7 BSeR 2.0 (34 transitions), FHIR Clinical Order Workflows, IHE 360X; PATHWAYS §3
and §5. Our stage is canonical; ``reads`` and ``task_status`` are how it meets FHIR ``Task.status``.
"""

from django.utils.translation import gettext_lazy as _

from referrals.vocabulary import LoopStage, Stage, Words

REFERRAL, FOLLOW_UP, TEST_ORDER = "referral", "follow-up", "test-order"
_ANY_OPEN = "requested received accepted in-progress"


def _fulfil(
    kinds: str, code: str, label: Words, writes: str, reads: str, *, first: bool = False, end: bool = False
) -> Stage:
    """A stage of `fulfil`; ``kinds`` and ``reads`` are words separated by spaces."""
    return Stage(
        code,
        "fulfil",
        label,
        writes,
        frozenset(reads.split()),
        is_end=end,
        is_first=first,
        loop_kinds=frozenset(kinds.split()),
        task_status_after_acceptance="failed" if code == "declined" else "",
    )


def _first(handoff: str, code: str, label: Words) -> Stage:
    return Stage(code, handoff, label, "requested", is_first=True)


def _also(handoff: str, code: str, label: Words) -> Stage:
    return Stage(code, handoff, label, "requested")


def _end(handoff: str, code: str, label: Words, status: str = "completed") -> Stage:
    return Stage(code, handoff, label, status, is_end=True)


def _overtaken(handoff: str) -> Stage:
    return _end(handoff, "overtaken", _("overtaken by another step"), "cancelled")


_ALL = f"{REFERRAL} {FOLLOW_UP} {TEST_ORDER}"

FULFIL = (
    _fulfil(REFERRAL, "authorisation-pending", _("waiting for authorisation"), "draft", "draft"),
    _fulfil(REFERRAL, "sent", _("sent"), "requested", "requested", first=True),
    _fulfil(REFERRAL, "in-triage", _("in triage"), "received", "requested received"),
    _fulfil(REFERRAL, "awaiting-information", _("waiting for information"), "", _ANY_OPEN),
    _fulfil(REFERRAL, "referral-proposed", _("full referral proposed"), "", _ANY_OPEN),
    _fulfil(REFERRAL, "awaiting-booking", _("accepted, to be booked"), "accepted", "accepted"),
    _fulfil(REFERRAL, "scheduled", _("booked"), "in-progress", "accepted in-progress"),
    _fulfil(REFERRAL, "in-progress", _("in progress"), "in-progress", "in-progress"),
    _fulfil(REFERRAL, "appointment-cancelled", _("appointment cancelled"), "in-progress", "accepted in-progress"),
    _fulfil(REFERRAL, "seen-awaiting-report", _("seen, report awaited"), "in-progress", "in-progress"),
    _fulfil(REFERRAL, "interim-report", _("interim report, final one awaited"), "in-progress", "in-progress"),
    _fulfil(REFERRAL, "completed-no-report", _("completed without a report"), "", "completed"),
    _fulfil(REFERRAL, "report-sent", _("report sent"), "completed", "completed", end=True),
    _fulfil(f"{REFERRAL} {FOLLOW_UP}", "no-show", _("did not attend"), "in-progress", "accepted in-progress"),
    _fulfil(FOLLOW_UP, "planned", _("planned"), "requested", "requested received", first=True),
    _fulfil(FOLLOW_UP, "booked", _("visit booked"), "accepted", "accepted"),
    _fulfil(FOLLOW_UP, "done", _("visit done"), "completed", "completed", end=True),
    _fulfil(FOLLOW_UP, "superseded", _("superseded"), "completed", "", end=True),
    _fulfil(FOLLOW_UP, "lost-after-attempts", _("not reached after every attempt"), "failed", "", end=True),
    _fulfil(FOLLOW_UP, "patient-declined", _("declined by the patient"), "cancelled", "", end=True),
    _fulfil(TEST_ORDER, "ordered", _("ordered"), "requested", "requested received", first=True),
    _fulfil(TEST_ORDER, "collection-booked", _("collection booked"), "accepted", "accepted"),
    _fulfil(TEST_ORDER, "specimen-collected", _("specimen collected"), "in-progress", "in-progress"),
    _fulfil(TEST_ORDER, "in-lab", _("in the laboratory"), "in-progress", "in-progress"),
    _fulfil(TEST_ORDER, "preliminary", _("preliminary result"), "in-progress", "in-progress"),
    _fulfil(TEST_ORDER, "final", _("final result"), "completed", "completed", end=True),
    _fulfil(_ALL, "declined", _("declined"), "rejected", "rejected", end=True),
    _fulfil(_ALL, "cancelled", _("cancelled"), "cancelled", "cancelled", end=True),
    _fulfil(_ALL, "failed", _("failed"), "failed", "failed", end=True),
    _fulfil(_ALL, "entered-in-error", _("entered in error"), "entered-in-error", "entered-in-error", end=True),
)

# The ends of `fulfil` with an outcome, and all others.
OUTCOMES = frozenset({"report-sent", "done", "final"})
UNFULFILLED = frozenset(stage.code for stage in FULFIL if stage.is_end) - OUTCOMES

OTHERS = (
    _first("dispatch", "to-send", _("to be sent")),
    _end("dispatch", "dispatched", _("handed over")),
    _end("dispatch", "withdrawn", _("withdrawn"), "cancelled"),
    _first("provide-information", "asked", _("information asked for")),
    _end("provide-information", "answered", _("answered")),
    _end("provide-information", "unanswered", _("can't be answered"), "failed"),
    _overtaken("provide-information"),
    _first("decide-next-step", "to-decide", _("to be decided")),
    _also("decide-next-step", "in-question", _("to be decided whether it goes on")),
    _also("decide-next-step", "proposal-to-decide", _("full referral proposed, to be decided")),
    _end("decide-next-step", "converted", _("turned into a full referral")),
    _end("decide-next-step", "proposal-declined", _("proposal declined")),
    _also("decide-next-step", "right-result", _("is the right result still to come?")),
    _end("decide-next-step", "redirected", _("sent to another performer")),
    _end("decide-next-step", "kept", _("kept as it is")),
    _end("decide-next-step", "given-up", _("ended by decision")),
    _overtaken("decide-next-step"),
    _first("request-cancellation", "cancellation-asked", _("cancellation asked for")),
    _end("request-cancellation", "cancellation-accepted", _("cancellation accepted")),
    _end("request-cancellation", "cancellation-refused", _("cancellation refused"), "rejected"),
    _overtaken("request-cancellation"),
    _first("propose-change", "revocation-proposed", _("revocation proposed")),
    _also("propose-change", "performer-proposed", _("another performer proposed")),
    _also("propose-change", "in-full-proposed", _("a full referral instead of advice proposed")),
    _also("propose-change", "hold-proposed", _("hold proposed")),
    _also("propose-change", "resumption-proposed", _("resumption proposed")),
    _end("propose-change", "change-made", _("changed as proposed")),
    _end("propose-change", "change-refused", _("change refused"), "rejected"),
    _end("propose-change", "proposal-dropped", _("proposal dropped"), "cancelled"),
    _overtaken("propose-change"),
    _first("review-report", "to-review", _("to be reviewed")),
    _end("review-report", "acknowledged", _("acknowledged")),
    _end("review-report", "voided", _("void"), "entered-in-error"),
    _overtaken("review-report"),
    _first("notify-patient", "to-tell", _("patient to be told")),
    _also("notify-patient", "to-tell-today", _("patient to be told today")),
    _end("notify-patient", "told", _("patient told")),
    _end("notify-patient", "not-reached", _("patient not reached"), "failed"),
    _overtaken("notify-patient"),
    _first("contact-patient", "to-contact", _("patient to be contacted")),
    _end("contact-patient", "reached", _("patient reached")),
    _end("contact-patient", "visit-booked", _("visit booked with the patient")),
    _end("contact-patient", "not-reached", _("patient not reached"), "failed"),
    _end("contact-patient", "refused-by-patient", _("patient says no"), "rejected"),
    _overtaken("contact-patient"),
    _first("recollect", "to-recollect", _("to be collected again")),
    _end("recollect", "recollected", _("collected again")),
    _end("recollect", "declined", _("declined"), "rejected"),
    _end("recollect", "failed", _("failed"), "failed"),
    _end("recollect", "cancelled", _("cancelled"), "cancelled"),
    _end("recollect", "refused-by-patient", _("patient says no"), "rejected"),
    _overtaken("recollect"),
    _first("match-evidence", "to-match", _("to be matched")),
    _end("match-evidence", "matched", _("matched")),
    _end("match-evidence", "refused", _("refused"), "rejected"),
    _overtaken("match-evidence"),
    _first("mend-exchange", "to-mend", _("to be mended")),
    _end("mend-exchange", "mended", _("mended")),
    _end("mend-exchange", "discarded", _("discarded"), "cancelled"),
    _overtaken("mend-exchange"),
    _first("confirm-handover", "to-confirm-handover", _("handover to be confirmed")),
    _end("confirm-handover", "handover-confirmed", _("handover confirmed")),
    _end("confirm-handover", "handover-waived", _("nothing to hand over any more"), "cancelled"),
    _overtaken("confirm-handover"),
    _first("confirm-death", "to-confirm-death", _("death to be confirmed")),
    _end("confirm-death", "death-confirmed", _("death confirmed")),
    _end("confirm-death", "death-refuted", _("death refuted")),
    _overtaken("confirm-death"),
)

STAGES: dict[tuple[str, str], Stage] = {(stage.handoff, stage.code): stage for stage in (*FULFIL, *OTHERS)}

# The stage that a performer's status stands for when nothing finer is known: how a partner's plain status is read,
# and where a handoff goes on after it has waited for information.
RESUMES: dict[str, dict[str, str]] = {
    REFERRAL: {
        "requested": "sent",
        "received": "in-triage",
        "accepted": "awaiting-booking",
        "in-progress": "in-progress",
        "on-hold": "in-triage",
    },
    FOLLOW_UP: {
        "requested": "planned",
        "received": "planned",
        "accepted": "booked",
        "in-progress": "booked",
        "on-hold": "planned",
    },
    TEST_ORDER: {
        "requested": "ordered",
        "received": "ordered",
        "accepted": "collection-booked",
        "in-progress": "specimen-collected",
        "on-hold": "ordered",
    },
}

LOOP_STAGES: dict[str, LoopStage] = {
    stage.code: stage
    for stage in (
        LoopStage("waiting-partner", _("with the performer"), "in-progress"),
        LoopStage("report-received", _("report to be reviewed"), "in-progress"),
        LoopStage("plan-to-patient", _("patient to be told"), "in-progress"),
        LoopStage("in-hand", _("in hand"), "in-progress"),
        LoopStage("closed", _("closed"), "completed", is_end=True),
        LoopStage("answered", _("answered"), "completed", is_end=True),
        LoopStage("closed-patient-declined", _("closed: the patient declines"), "cancelled", is_end=True),
        LoopStage("closed-lost-after-attempts", _("closed: the patient was not reached"), "failed", is_end=True),
        LoopStage("cancelled", _("cancelled"), "cancelled", is_end=True),
        LoopStage("entered-in-error", _("entered in error"), "entered-in-error", is_end=True),
        LoopStage("matched", _("matched"), "completed", is_end=True),
        LoopStage("refused", _("refused"), "rejected", is_end=True),
        LoopStage("settled", _("settled"), "completed", is_end=True),
    )
}
