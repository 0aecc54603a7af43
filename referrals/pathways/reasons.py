"""The coded reasons. They live in ``statusReason`` and in the journal, never in a stage."""

from django.utils.translation import gettext_lazy as _

from referrals.vocabulary import Reason, Words


def _reason(code: str, label: Words, *groups: str, end: str = "cancelled", patient_knows: bool = False) -> Reason:
    return Reason(code, label, frozenset(groups), end, patient_knows)


REASONS: dict[str, Reason] = {
    reason.code: reason
    for reason in (
        _reason("no-capacity", _("No capacity in time"), "decline"),
        _reason("not-our-service", _("Not a service that we offer"), "decline"),
        _reason("more-information-needed", _("Can't be judged without more information"), "decline"),
        _reason("not-indicated", _("Not clinically indicated"), "authorisation", "decline", "close"),
        _reason("not-covered", _("Not covered by the patient's insurance"), "authorisation", "decline", "close"),
        _reason("out-of-area", _("Patient lives outside our area"), "decline"),
        _reason("duplicate", _("Duplicate of another request"), "decline", "withdraw", "close", "discard", "dismiss"),
        _reason("unable", _("Unable to perform it"), "fail", "call-off"),
        _reason("lost-contact", _("Contact with the patient was lost"), "fail", "call-off"),
        _reason("did-not-attend", _("The patient did not attend"), "fail"),
        _reason("specimen-unsatisfactory", _("The specimen is unsatisfactory"), "fail", "specimen"),
        _reason("cancelled-by-provider", _("Cancelled by the provider"), "appointment", "call-off"),
        _reason("cancelled-by-patient", _("Cancelled by the patient"), "appointment", patient_knows=True),
        _reason("sent-elsewhere", _("Sent to another performer")),
        _reason("withdrawn", _("Withdrawn by the referrer"), "withdraw", "close"),
        _reason(
            "no-longer-needed",
            _("No longer needed"),
            *("withdraw", "close", "dismiss", "unanswered", "handover", "proposal"),
        ),
        _reason("ordered-in-error", _("Ordered in error"), "withdraw", end="entered-in-error"),
        _reason("done-elsewhere", _("Done elsewhere"), "withdraw", "close", "supersede", "dismiss"),
        _reason("no-service-found", _("No service takes it"), "close"),
        _reason("superseded", _("Superseded by another event"), "supersede", "close"),
        _reason(
            "patient-declined",
            _("The patient declines"),
            "withdraw",
            "close",
            "decline",
            "fail",
            end="closed-patient-declined",
            patient_knows=True,
        ),
        _reason(
            "lost-after-attempts",
            _("Not reached after every attempt"),
            "close",
            "not-reached",
            end="closed-lost-after-attempts",
            patient_knows=True,
        ),
        _reason(
            "patient-died",
            _("The patient has died"),
            "withdraw",
            "close",
            "not-reached",
            "death",
            "dismiss",
            patient_knows=True,
        ),
        _reason("patient-moved", _("The patient has moved"), "withdraw", "close"),
        _reason("no-contact-details", _("No address or number is known"), "not-reached"),
        _reason("refuses-contact", _("The patient does not want to be contacted"), "not-reached"),
        _reason("told-by-performer", _("The performer has told the patient"), "not-reached"),
        _reason("wrong-patient", _("It belongs to another patient"), "refuse", "void", end="entered-in-error"),
        _reason("not-ours", _("No order of this organisation"), "refuse", "dismiss"),
        _reason(
            "entered-in-error",
            _("It was entered in error"),
            "refuse",
            "void",
            "discard",
            "dismiss",
            "appointment",
            end="entered-in-error",
        ),
        _reason("renewal-requested", _("A new authorisation has been asked for"), "override"),
        _reason("not-to-be-authorised", _("No authorisation is needed any more"), "override"),
        _reason("urgent-care", _("The patient can't wait for it"), "override"),
        _reason("booked-elsewhere", _("It was booked in another system"), "override"),
        _reason("converted", _("Turned into a full referral"), patient_knows=True),
        _reason("not-selected", _("Another performer was selected"), patient_knows=True),
        _reason("not-known", _("The referrer can't know it"), "unanswered"),
        _reason("not-obtainable", _("It can't be had from the patient or elsewhere"), "unanswered"),
        _reason("readmitted", _("The patient was readmitted"), "handover"),
        _reason("reader-knows", _("Who reads the result knows of it already"), "handover"),
        _reason("not-worth-sending", _("It no longer needs to be exchanged"), "discard"),
        _reason("mended-elsewhere", _("It was put right in the other system"), "discard", "proposal"),
        _reason("already-performed", _("It has been performed already"), "keep-going", "proposal"),
        _reason("patient-insists", _("The patient wants it"), "keep-going"),
        _reason(
            "other",
            _("Another reason (say which)"),
            *("decline", "fail", "call-off", "withdraw", "close", "not-reached", "refuse", "void", "discard"),
            *(
                "authorisation",
                "appointment",
                "keep-going",
                "supersede",
                "specimen",
                "dismiss",
                "unanswered",
                "handover",
                "proposal",
            ),
        ),
    )
}


def codes(group: str) -> tuple[tuple[str, Words], ...]:
    """The (code, label) pairs that a form offers for one group."""
    return tuple((reason.code, reason.label) for reason in REASONS.values() if group in reason.groups)
