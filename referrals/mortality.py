"""What is known of a patient's death, read from the rows of the questions that were asked about it (PATHWAYS §7)."""

from referrals.models import Handoff
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


def proof_of_death(patient_id: str) -> str:
    """The reference of the answer that confirmed it; empty for whoever lives, as far as we know."""
    last = last_asked(patient_id) if patient_id else None
    return f"Task/{last.id}" if last is not None and last.stage == "death-confirmed" else ""
