"""What the transitions share: who may, the fields of their forms, and the handoffs that they open."""

from django.utils.translation import gettext_lazy as _

from referrals.pathways.reasons import codes
from referrals.vocabulary import Field, Opening, Role

# "partner" is the EHR of the performer's side; the EHR of the placer's side acts as "requester".
RECIPIENT: frozenset[Role] = frozenset({"performer", "partner", "system"})
REFERRER: frozenset[Role] = frozenset({"requester", "coordinator", "supervisor"})
CLINICIAN: frozenset[Role] = frozenset({"requester", "supervisor"})
STAFF: frozenset[Role] = frozenset({"coordinator", "requester", "supervisor"})
WITH_PATIENT: frozenset[Role] = frozenset({"performer", "partner", "system", "patient", "coordinator"})

CHANNELS = (
    ("phone", _("by phone")),
    ("visit", _("in person")),
    ("letter", _("by letter")),
    ("e-mail", _("by e-mail")),
    ("portal", _("in the portal")),
    ("at-visit", _("already told at the visit")),
)
SEVERITIES = (("critical", _("critical")), ("abnormal", _("abnormal")), ("normal", _("normal")))
REPORT_STATES = (
    ("final", _("final")),
    ("corrected", _("corrected")),
    ("amended", _("amended")),
    ("appended", _("appended")),
    ("cancelled", _("cancelled")),
    ("superseded", _("superseded")),
)

NOTE = Field("note", "text", _("Note"), required=False)
PERFORMERS = Field("performer", "owners", _("Performer"), help=_("Choose several to have each of them do it."))
BIDDING = Field("bidding", "boolean", _("The first of them to accept takes it"), required=False)
SLOT = (
    Field("slot_start", "datetime", _("Appointment starts"), required=False),
    Field("slot_end", "datetime", _("Appointment ends")),
    Field("appointment", "reference", _("Appointment"), required=False, types=("Appointment",)),
)
REPORT = Field(
    "report",
    "reference",
    _("Report"),
    types=(
        "DocumentReference",
        "DiagnosticReport",
        "Observation",
        "QuestionnaireResponse",
        "Composition",
        "Bundle",
        "Procedure",
    ),
)
OVERRIDE = Field(
    "override",
    "code",
    _("Why although the payer's authorisation will have expired"),
    required=False,
    codes=codes("override"),
    required_if="authorisation-expired",
)
AUTHORISATION_NEEDED = Field("authorisation_needed", "boolean", _("The payer must agree first"), required=False)
SEVERITY = Field("severity", "code", _("Severity"), required=False, codes=SEVERITIES)
REPORT_STATE = Field("state", "code", _("State of the report"), codes=REPORT_STATES)
REASON_TEXT = Field("reason_text", "text", _("In words"), required=False, required_if="other-reason")
SECOND_PERSON = Field(
    "second_person", "second-person", _("Second person who agrees"), required=False, required_if="urgent"
)
SECOND_PERSON_ALWAYS = Field("second_person", "second-person", _("Second person who agrees"), roles=("supervisor",))
CHANNEL = Field("channel", "code", _("How"), codes=CHANNELS)
ATTESTATION = (
    CHANNEL,
    Field("spoken_to", "text", _("Person spoken to")),
    Field("document", "reference", _("Document"), required=False, types=("DocumentReference", "Binary")),
)


def reason(group: str) -> tuple[Field, Field]:
    """The two fields of a coded reason: the code, and words (required for "other")."""
    return Field("reason", "code", _("Reason"), codes=codes(group)), REASON_TEXT


def reason_and_words(group: str) -> tuple[Field, Field]:
    """A coded reason whose words are always required."""
    return Field("reason", "code", _("Reason"), codes=codes(group)), Field("reason_text", "text", _("In words"))


# While another offer of the same bidding is open, nothing is decided yet and nobody has to be told.
DECIDE = Opening("decide-next-step", "referrer", unless=("bids-open",))
# While the performer still has it: whether it goes on.
IN_QUESTION = Opening("decide-next-step", "referrer", stage="in-question")


def propose(stage: str, *unless: str) -> Opening:
    """What the EHR that placed the request is asked to make it say, unless it says so already (PATHWAYS §1)."""
    return Opening("propose-change", "placer", stage=stage, unless=("placer-says-so", "patient-died", *unless))


REVOKE = propose("revocation-proposed")
# What another system has booked is a fact; whether the payer agrees so late is somebody's to find out.
IF_UNAUTHORISED = Opening(
    "decide-next-step", "referrer", stage="in-question", unless=("booked-as-authorised", "deciding-here")
)
REVIEW = Opening("review-report", "reviewer")
# A report that was void: the referrer asks for the right one on the critical clock, and its performer has to give it;
# nothing is done to the dead any more.
RIGHT_RESULT = (
    Opening("decide-next-step", "referrer", stage="right-result", severity="critical", unless=("right-result-open",)),
    Opening("fulfil", "performer", unless=("asked-again", "patient-died")),
)
TELL = Opening("notify-patient", "accountable", unless=("telling-open", "patient-died"))
TELL_TODAY = Opening(
    "notify-patient",
    "accountable",
    unless=("telling-today-open", "patient-knows", "patient-died", "bids-open"),
    stage="to-tell-today",
)
CONTACT = Opening("contact-patient", "accountable", unless=("contact-open", "patient-died"))

# Who came back after an end about which this decides, and is not asked to do it after all, is asked to stop.
RECALL = Opening("request-cancellation", "same", unless=("not-back",), each="returned")

# What hangs on a `fulfil` and means nothing once it has ended.
DEPENDENTS = ("provide-information", "contact-patient", "request-cancellation")
