"""What is known of a patient's death, read from the rows of the questions that were asked about it (PATHWAYS §7).

Whoever opens a loop around a request shares a lock on its patient, and whoever asks, answers or takes back has it alone:
neither can overlook what the other is about to write (docs/decisions/0117). Rows of loops are locked before it.
"""

from records import statements
from referrals.models import Event, Handoff
from referrals.parties import current_patient

KNOWN = ("to-confirm-death", "death-confirmed")


def last_asked(patient_id: str) -> Handoff | None:
    """The last question about that patient, or whoever they were merged into; a question follows its patient."""
    asked = Handoff.objects.filter(kind="confirm-death", loop__patient_id=current_patient(patient_id))
    return asked.select_related("loop", "accountable").order_by("-opened_at", "-id").first()


def known_of(patient_id: str) -> str:
    """One of `KNOWN`: whether a death was reported or confirmed by a person; empty for none, and for one refuted."""
    last = last_asked(patient_id)
    return last.stage if last is not None and last.stage in KNOWN else ""


def confirmed(patient_id: str) -> Handoff | None:
    """The question whose answer is that they have died; None for whoever lives, as far as we know.

    Nobody confirms or refutes it until the transaction ends.
    """
    if not patient_id:
        return None
    patient = current_patient(patient_id)
    statements.hold([_orders(patient)], shared=True)
    last = last_asked(patient)
    return last if last is not None and last.stage == "death-confirmed" else None


def said_by(confirmed: Handoff) -> str:
    """Who confirmed it, as the journal names them."""
    said = Event.objects.filter(handoff=confirmed, action="confirm").order_by("-id")
    return said.values_list("actor_display", flat=True).first() or ""


def hold(patient_id: str) -> None:
    """Let nobody else open a loop for the (current) patient, ask or answer, until the transaction ends."""
    statements.hold([_orders(patient_id)])
    hold_question(patient_id)


def hold_question(patient_id: str) -> None:
    """Let nobody else ask about the (current) patient until the transaction ends; loops may be opened."""
    statements.hold([f"Patient/{patient_id}?confirm-death"])


def _orders(patient_id: str) -> str:
    return f"Patient/{patient_id}?loops"
