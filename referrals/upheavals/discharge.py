"""An inpatient stay that ends: the patient is called, seen again, and what was still pending has somebody who reads it.

The outpatient side takes over: the organisation of the patient's own practitioner where it works here, else the one that
keeps the stay. CPT 99496/99495: contact within 2 business days, a visit within 7 days (high complexity) or 14 (moderate).
A readmission supersedes that visit; pending results stay with whoever was to read them (PATHWAYS §5).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from records import access, clock, dates, store
from records.access import Actor
from records.json import Resource
from records.types import row_class
from referrals import following, locking, people, sharing, workflow
from referrals.kinds import FOLLOW_UP, SNOMED
from referrals.models import Handoff, Loop, Owner
from referrals.parties import current_patient, held, local, practitioner_of, root_of
from referrals.pathways.upheavals import PENDING
from referrals.placing import REQUEST_IDENTIFIER
from referrals.workflow import Act, Order

# http://terminology.hl7.org/CodeSystem/v3-ActCode, class of an Encounter: in a bed.
INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})
ADMITTED = frozenset({"arrived", "triaged", "in-progress"})
# http://terminology.hl7.org/CodeSystem/v3-ActPriority: a stay that was planned is of moderate complexity. †
PLANNED = frozenset({"EL", "R"})
HIGH, MODERATE = timedelta(days=7), timedelta(days=14)
FRESH = timedelta(days=30)
"""† A stay that ended longer ago is history that an import brought."""
# http://terminology.hl7.org/CodeSystem/v3-ParticipationType: who discharged, else who attended.
DISCHARGING = ("DIS", "ATND", "PPRF")
STAY_IDENTIFIER = f"{settings.BATON_BASE_URL}/id/discharge"


def is_discharge(before: Resource, now: Resource) -> bool:
    """Whether an inpatient Encounter has just finished, lately."""
    ended = _ended_at(now)
    has_finished = now.get("status") == "finished" and before.get("status") != "finished"
    return _is_inpatient(now) and has_finished and ended is not None and ended >= clock.now() - FRESH


def is_readmission(before: Resource, now: Resource) -> bool:
    """Whether somebody has just been admitted; out of an emergency room under the same number, too."""
    return _is_admitted(now) and not _is_admitted(before)


def discharge(encounter: Resource, actor: Actor) -> None:
    """Open what follows a stay, once: contact and visit, and for each order still open a reader and a handover."""
    _type, patient = local(encounter.get("subject"))
    ended = _ended_at(encounter)
    patient = current_patient(patient) if patient else ""
    if not patient or ended is None or _is_followed(encounter["id"], ended):
        return
    baton, clinician = replace(actor, kind="system"), _outpatient_clinician(patient)
    organization = _receiver(encounter, patient, actor)
    # Rows of loops are locked before the patient, as by whoever opens one.
    _hand_over_results(encounter, patient, clinician, baton)
    if organization:
        _open_visit(encounter, patient, organization, ended, baton)


def readmit(encounter: Resource, actor: Actor) -> None:
    """Supersede the visits that were to follow an earlier stay; what is heard late of one before it supersedes nothing."""
    _type, patient = local(encounter.get("subject"))

    def superseded() -> list[Handoff]:
        visits = _open("follow-up", current_patient(patient), "fulfil")
        return [one for one in visits if _stay_before(one.loop) and _comes_after(encounter, one.loop)]

    acts = [
        Act(visit.id, "supersede", data={"reason": "superseded"}, evidence=f"Encounter/{encounter['id']}")
        for visit in locking.settled(superseded, lambda visit: visit.loop)
    ]
    workflow.perform_many(acts, replace(actor, kind="system"))


def _open_visit(encounter: Resource, patient: str, organization: str, ended: datetime, baton: Actor) -> None:
    priority = {one.get("code") for one in encounter.get("priority", {}).get("coding", ())}
    needed_by = ended + (MODERATE if priority & PLANNED else HIGH)
    request = _request(encounter, patient, organization, ended, needed_by)
    store.write(request, actor=baton, audience=[organization])
    order = Order(
        kind="follow-up",
        request=request["id"],
        patient_id=patient,
        placer=organization,
        performer=organization,
        title=_("Visit after discharge"),
        requester=practitioner_of(request["requester"]),
        priority="urgent" if needed_by == ended + HIGH else "routine",
        ordered_at=ended,
        window_start_at=ended,
        needed_by=needed_by,
    )
    loop = workflow.open_loop(order, baton)
    following.keep_with(loop, request)
    sharing.share(loop, request, baton, besides=frozenset({"Patient"}))


def _request(encounter: Resource, patient: str, organization: str, ended: datetime, needed_by: datetime) -> Resource:
    """The care request that the visit fulfils; named after the stay, so that it is opened once."""
    key, clinician = clock.new_id(), _outpatient_clinician(patient)
    by_whom = clinician is not None and clinician.organization == organization
    requester = f"Practitioner/{clinician.key}" if clinician and by_whom else f"Organization/{organization}"
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "identifier": [
            {"system": REQUEST_IDENTIFIER, "value": key},
            {"system": STAY_IDENTIFIER, "value": encounter["id"]},
        ],
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": SNOMED, "code": FOLLOW_UP}], "text": "Visit after discharge"},
        "subject": {"reference": f"Patient/{local(encounter['subject'])[1]}"},
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "occurrencePeriod": {"start": ended.isoformat(), "end": needed_by.isoformat()},
        "authoredOn": ended.isoformat(),
        "requester": {"reference": requester},
        "performer": [{"reference": f"Organization/{organization}"}],
    }


def _hand_over_results(encounter: Resource, patient: str, clinician: Owner | None, baton: Actor) -> None:
    """Each test order of the stay gets the outpatient clinician as its reader; who discharges confirms that they know."""
    discharging = _discharging(encounter)
    named = {"responsible": clinician, "holder": discharging}
    data = {name: owner.pk for name, owner in named.items() if owner is not None}
    acts = [
        Act(test.id, "discharge", at=_ended_at(encounter), data=data, evidence=f"Encounter/{encounter['id']}")
        for test in locking.settled(lambda: _pending(encounter, patient), lambda test: test.loop)
    ]
    outcomes = workflow.perform_many(acts, baton)
    if clinician is not None:
        for one in outcomes:
            known = [("ServiceRequest", one.loop.request_id or ""), ("Task", one.loop.id), ("Patient", patient)]
            store.share_many(known, [clinician.organization])


def _pending(encounter: Resource, patient: str) -> list[Handoff]:
    """Of each open test order of the stay what stands for the test; those that name the stay, and of its house those placed while it lasted."""
    began = dates.period_of((encounter.get("period") or {}).get("start", ""))
    ended, house = _ended_at(encounter), root_of(encounter.get("serviceProvider"))
    found: dict[str, Handoff] = {}
    for test in sorted(_open("test-order", patient, *PENDING), key=lambda test: PENDING.index(test.kind)):
        loop = test.loop
        _type, stay = local(held("ServiceRequest", loop.request_id or "").get("encounter"))
        lasted = began is not None and ended is not None and began[0] <= loop.ordered_at <= ended
        if stay == encounter["id"] or (not stay and lasted and bool(house) and loop.placer == house):
            found.setdefault(loop.id, test)
    return [found[key] for key in sorted(found)]


def _open(kind: str, patient: str, *handoffs: str) -> QuerySet[Handoff]:
    """The open handoffs of these kinds in the patient's loops of one kind."""
    in_hand = Handoff.objects.filter(kind__in=handoffs, closed_at=None, loop__closed_at=None)
    of_patient = in_hand.filter(loop__kind=kind, loop__patient_id=patient)
    return of_patient.select_related("loop").order_by("loop_id", "id")


def _outpatient_clinician(patient: str) -> Owner | None:
    """The patient's own practitioner, if they sign in here."""
    for reference in held("Patient", patient).get("generalPractitioner", ()):
        practitioner, organization = practitioner_of(reference), root_of(reference)
        if practitioner and access.is_tenant(organization):
            owner = people.owner_for("person", practitioner, organization=organization)
            if owner.internal:
                return owner
    return None


def _discharging(encounter: Resource) -> Owner | None:
    """Whoever discharged the patient, else attended them."""
    by_role = {
        coding.get("code"): one.get("individual")
        for one in encounter.get("participant", ())
        for concept in one.get("type", ())
        for coding in concept.get("coding", ())
    }
    reference = next((by_role[role] for role in DISCHARGING if role in by_role), None)
    practitioner, organization = practitioner_of(reference), root_of(reference)
    if not practitioner or not organization:
        return None
    return people.owner_for("person", practitioner, organization=organization)


def _receiver(encounter: Resource, patient: str, actor: Actor) -> str:
    """The tenant that calls and sees the patient: that of their practitioner, else of the stay, else the sender's."""
    practices = [root_of(one) for one in held("Patient", patient).get("generalPractitioner", ())]
    found = [*practices, root_of(encounter.get("serviceProvider")), actor.organization]
    return next((one for one in found if one and access.is_tenant(one)), "")


def _is_followed(stay: str, ended: datetime) -> bool:
    """Whether a visit after this end of the stay was opened: none that a readmission superseded, or after an earlier end."""
    rows = row_class("ServiceRequest").rows("ServiceRequest")
    named = rows.filter(identifier__contains=[f"{STAY_IDENTIFIER}|{stay}"]).values("id")
    visits = Handoff.objects.filter(loop__request_id__in=named, kind="fulfil")
    return visits.filter(Q(closed_at=None) | Q(loop__ordered_at__gte=ended)).exclude(stage="superseded").exists()


def _stay_before(loop: Loop) -> str:
    """The id of the stay that a visit follows; empty for any other follow-up."""
    request = held("ServiceRequest", loop.request_id or "")
    named = (one.get("value", "") for one in request.get("identifier", ()) if one.get("system") == STAY_IDENTIFIER)
    return next(named, "")


def _comes_after(encounter: Resource, visit: Loop) -> bool:
    """Whether an admission is later than the discharge, or the same stay, taken up again; of unknown start it is now."""
    began = dates.period_of((encounter.get("period") or {}).get("start", ""))
    return began is None or began[1] > visit.ordered_at or encounter["id"] == _stay_before(visit)


def _is_admitted(encounter: Resource) -> bool:
    return _is_inpatient(encounter) and encounter.get("status") in ADMITTED


def _is_inpatient(encounter: Resource) -> bool:
    return (encounter.get("class") or {}).get("code") in INPATIENT


def _ended_at(encounter: Resource) -> datetime | None:
    found = dates.period_of((encounter.get("period") or {}).get("end", ""))
    return found[0] if found else None
