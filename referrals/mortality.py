"""What is known of a patient's death, read from the rows of the questions that were asked about it (PATHWAYS §7).

Whoever opens a loop of a patient shares a lock on them, and whoever asks, answers, takes back or merges has it alone:
neither can overlook what the other is about to write (docs/decisions/0117, 0126). The lock is on the record that was named
first and then on each that it was merged into, so that everybody goes the same way. Rows of loops are locked before it.
"""

from django.db.models import F, OuterRef, QuerySet, Subquery

from records import statements
from referrals.models import Event, Handoff, Loop, Merge
from referrals.parties import current_patient

KNOWN = ("to-confirm-death", "death-confirmed")
JOINED = "overtaken"
"""The end of a question about a record that was merged into one about which the same was asked."""


def questions(record: str) -> QuerySet[Handoff]:
    """What was asked about that very record (a question follows its patient), the one that counts first.

    That is what nobody has answered yet, else what was answered last.
    """
    said = Event.objects.filter(handoff=OuterRef("pk")).order_by("-id").values("id")[:1]
    asked = Handoff.objects.filter(kind="confirm-death", loop__patient_id=record).annotate(said=Subquery(said))
    order = (F("closed_at").desc(nulls_first=True), F("said").desc(nulls_last=True), "-opened_at", "-id")
    return asked.select_related("loop", "accountable").order_by(*order)


def last_of(record: str) -> Handoff | None:
    """The last question about that very record."""
    return questions(record).exclude(stage=JOINED).first()


def last_asked(patient_id: str) -> Handoff | None:
    """The last question about that patient, or whoever they were merged into."""
    return last_of(current_patient(patient_id))


def known_of(patient_id: str) -> str:
    """One of `KNOWN`: whether a death was reported or confirmed by a person; empty for none, and for one refuted."""
    last = last_asked(patient_id)
    return last.stage if last is not None and last.stage in KNOWN else ""


def begin(loop: Loop) -> Handoff | None:
    """Let a new loop be of the record that its patient counts as now; gives the question whose answer is that they have died.

    None for whoever lives, as far as we know. Nobody confirms or refutes it, nor merges that patient, until the
    transaction ends.
    """
    if not loop.patient_id:
        return None
    loop.patient_id = _hold_along(loop.patient_id, shared=True)
    last = last_of(loop.patient_id) if loop.request_reference else None
    return last if last is not None and last.stage == "death-confirmed" else None


def said_by(confirmed: Handoff) -> str:
    """Who confirmed it, as the journal names them."""
    said = Event.objects.filter(handoff=confirmed, action="confirm").order_by("-id")
    return said.values_list("actor_display", flat=True).first() or ""


def hold(patient_id: str) -> str:
    """Let nobody else open a loop for the patient, ask, answer or merge, until the transaction ends.

    Gives the record that counts for them, which stays so.
    """
    patient = _hold_along(patient_id, shared=False)
    hold_question(patient)
    return patient


def share(patient_id: str) -> str:
    """Let nobody merge the patient, ask or answer until the transaction ends; gives the record that counts for them."""
    return _hold_along(patient_id, shared=True)


def hold_question(patient_id: str) -> None:
    """Let nobody else ask about the (current) patient until the transaction ends; loops may be opened."""
    statements.hold([f"Patient/{patient_id}?confirm-death"])


def hold_merging() -> None:
    """Let nobody else merge patients, or undo it, until the transaction ends: two of them could go in a circle."""
    statements.hold(["Patient?merge"])


def _hold_along(record: str, *, shared: bool) -> str:
    """Once a record is held, what it was merged into doesn't change; that is asked for by a statement of its own."""
    while True:
        statements.hold([f"Patient/{record}?loops"], shared=shared)
        target = Merge.objects.filter(source=record, undone_at=None).values_list("target", flat=True).first()
        if target is None:
            return record
        record = target
