"""A patient who has moved, and a performer who can no longer be reached: somebody decides, and the visit may still happen.

Both open the decision beside `fulfil` in every open loop that it concerns; nothing ends by itself (PATHWAYS §7).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from django.db.models import Case, Q, When

from records import access
from records.access import Actor
from records.json import Resource
from referrals import locking, workflow
from referrals.lifecycle import WITH_REQUEST
from referrals.models import Handoff
from referrals.parties import current_patient, local
from referrals.workflow import Act

REGION = ("country", "state")


def has_moved(before: Resource, now: Resource) -> bool:
    """Whether a Patient has another practice, another organisation that keeps the record, or lives in another region.

    What was not known before is no move.
    """
    return any(old and new and old != new for old, new in zip(_places(before), _places(now), strict=True))


def ask(patient_id: str, actor: Actor) -> None:
    """Let whoever is accountable decide about each open loop of theirs, or of whoever they were merged into, however far it has come: another performer, keep, or end."""

    def concerned() -> Q:
        return Q(loop__patient_id=current_patient(patient_id)) & ~Q(kind__in=["decide-next-step", "propose-change"])

    _beside("patient-moves", concerned, actor, evidence=f"Patient/{patient_id}")


def lose_endpoint(organization: str, actor: Actor, *, evidence: str = "") -> None:
    """Let the referrers decide about everything that is with that organisation's system, which can't be reached for good."""
    owned = Q(owner__organization=access.root(organization), owner__internal=False, kind="fulfil")
    _beside("lose-endpoint", lambda: owned, actor, evidence=evidence)


def lose_service(service_id: str, actor: Actor, *, evidence: str = "") -> None:
    """The same for everything that was sent to a service which no longer exists."""
    _beside("lose-endpoint", lambda: Q(loop__service_id=service_id, kind="fulfil"), actor, evidence=evidence)


def _beside(action: str, concerned: Callable[[], Q], actor: Actor, *, evidence: str) -> None:
    """Do it once in each open loop that is concerned, also after what others were doing to them (a merge, an end)."""

    def first_of_each() -> list[Handoff]:
        open_ones = Handoff.objects.filter(concerned(), closed_at=None, loop__kind__in=WITH_REQUEST)
        performed_first = Case(When(kind="fulfil", then=0), default=1)
        return _one_of_each_loop(open_ones.select_related("loop").order_by(performed_first, "opened_at", "id"))

    anchors = locking.settled(first_of_each, lambda anchor: anchor.loop)
    acts = [Act(anchor.id, action, evidence=evidence) for anchor in anchors]
    workflow.perform_many(acts, replace(actor, kind="system"))


def _one_of_each_loop(handoffs: Iterable[Handoff]) -> list[Handoff]:
    """The first handoff of each loop, in the order of the loops."""
    first: dict[str, Handoff] = {}
    for handoff in handoffs:
        first.setdefault(handoff.loop_id, handoff)
    return [first[loop] for loop in sorted(first)]


def _places(patient: Resource) -> tuple[object, ...]:
    practices = tuple(sorted(local(one) for one in patient.get("generalPractitioner", ())))
    return practices, local(patient.get("managingOrganization"))[1], *(_home(patient).get(name) for name in REGION)


def _home(patient: Resource) -> Resource:
    """Where they live now: the first address that is neither old nor for bills alone."""
    addresses = patient.get("address", ())
    found: Resource = next((one for one in addresses if one.get("use") not in ("old", "billing", "temp", "work")), {})
    return found
