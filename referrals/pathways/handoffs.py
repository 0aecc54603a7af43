"""The kinds of handoff: who holds it, what opens and ends it, by when. PATHWAYS §2; the numbers are in `deadlines`."""

from django.utils.translation import gettext_lazy as _

from referrals.vocabulary import HandoffKind

HL7_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"

HANDOFFS: dict[str, HandoffKind] = {
    kind.code: kind
    for kind in (
        HandoffKind(
            "dispatch",
            _("Send the request"),
            owner=_("the placer's pool"),
            opened_by=_("a request without a performer's task"),
            ended_by=_("sent, or withdrawn with a reason"),
            due=_("1 business day"),
            overtaken="withdrawn",
        ),
        HandoffKind(
            "fulfil",
            _("Do what was asked"),
            owner=_("the performer"),
            opened_by=_("sent"),
            ended_by=_("an end stage"),
            due=_("by stage"),
            overtaken="cancelled",
            task_system=HL7_TASK_CODE,
            task_code="fulfill",
        ),
        HandoffKind(
            "provide-information",
            _("Answer the performer's question"),
            owner=_("the referrer"),
            opened_by=_("the performer asks"),
            ended_by=_("answered, or not with a reason"),
            due=_("2 business days"),
        ),
        HandoffKind(
            "decide-next-step",
            _("Decide the next step"),
            owner=_("the referrer"),
            opened_by=_("declined, failed, cancelled by others, contact lost"),
            ended_by=_("a new performer, kept, or ended with a coded reason"),
            due=_("2 business days"),
            of_placer=True,
        ),
        HandoffKind(
            "request-cancellation",
            _("Answer the request to cancel"),
            owner=_("the performer"),
            opened_by=_("the referrer, once it has started"),
            ended_by=_("accepted or refused"),
            due=_("2 business days"),
            task_system=HL7_TASK_CODE,
            task_code="abort",
        ),
        HandoffKind(
            "propose-change",
            _("Change the request as proposed"),
            owner=_("the EHR that placed the request"),
            opened_by=_("a decision about a request that an EHR has placed"),
            ended_by=_("the request says so, refused, or dropped with a reason"),
            due=_("2 business days"),
        ),
        HandoffKind(
            "review-report",
            _("Review the report"),
            owner=_("the ordering clinician or a named reviewer"),
            opened_by=_("a report: final, corrected, amended, appended or cancelled"),
            ended_by=_("acknowledged with a plan"),
            due=_("referral 7 days; test: critical 24 hours, abnormal 7 days, normal 14 days"),
            of_placer=True,
        ),
        HandoffKind(
            "notify-patient",
            _("Tell the patient"),
            owner=_("the accountable pool"),
            opened_by=_("an acknowledgement; a decline or a cancelled visit"),
            ended_by=_("told, or not reached with a reason"),
            due=_("14 days; the same day after a decline or a cancelled visit"),
            of_placer=True,
        ),
        HandoffKind(
            "contact-patient",
            _("Contact the patient"),
            owner=_("the accountable pool"),
            opened_by=_("a follow-up, a missed visit, a discharge"),
            ended_by=_("reached, booked, or every attempt used"),
            due=_("2 business days; of a follow-up: 2 after its window starts"),
        ),
        HandoffKind(
            "recollect",
            _("Collect the specimen again"),
            owner=_("the collecting site"),
            opened_by=_("an unsatisfactory specimen"),
            ended_by=_("collected"),
            due=_("1 business day"),
        ),
        HandoffKind(
            "match-evidence",
            _("Match a result to its order"),
            owner=_("the receiving organisation's pool"),
            opened_by=_("evidence that names no order of ours, or another patient"),
            ended_by=_("matched, or refused with a reason"),
            due=_("critical 4 hours, else 1 business day"),
        ),
        HandoffKind(
            "mend-exchange",
            _("Mend an exchange"),
            owner=_("the partner's steward pool"),
            opened_by=_("stuck, in conflict, gone, quarantined or unknown"),
            ended_by=_("mended, or discarded with a reason"),
            due=_("urgent 4 hours, else 1 business day"),
        ),
        HandoffKind(
            "confirm-handover",
            _("Confirm the handover"),
            owner=_("the discharging clinician"),
            opened_by=_("a result pending at discharge"),
            ended_by=_("confirmed, or waived with a reason"),
            due=_("2 business days"),
        ),
        HandoffKind(
            "confirm-death",
            _("Confirm that the patient has died"),
            owner=_("the accountable pool"),
            opened_by=_("a deceased flag"),
            ended_by=_("confirmed or refuted"),
            due=_("1 business day"),
        ),
    )
}
