"""Composing a care request: draft the resource, judge it, send it.

A draft is an ordinary ServiceRequest; nothing is kept until `submit`, which goes through the one door
(`referrals.intake`) like every other resource. Patients and services are looked up in `referrals.directory`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from records import access, clock
from records.access import Actor
from records.deadlocks import tried_again
from records.errors import Incorrect, Issue
from records.json import Resource
from referrals import intake, mortality, workflow
from referrals.intake import orders
from referrals.kinds import ADVICE, FOLLOW_UP, LABORATORY, LOINC, REFERRAL, SNOMED, kind_of
from referrals.models import Loop
from referrals.parties import held, local, performing
from referrals.vocabulary import Finding, Words

FAR = timedelta(days=3 * 365)
"""† Who plans further ahead is asked whether the year is right: a surveillance of ten years does exist."""

IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


_ADVICE = {
    "coding": [{"system": f"{settings.BATON_BASE_URL}/CodeSystem/category", "code": ADVICE, "display": "Advice only"}],
    "text": "Advice only",
}

# What people say of a death, which the record itself may not say (`mortality.known_of`).
_TOLD_DEAD: dict[str, Words] = {
    "death-confirmed": _("Somebody has confirmed that this patient has died."),
    "to-confirm-death": _("This patient is reported to have died, and nobody has confirmed or refuted it yet."),
}


def draft(
    actor: Actor,
    patient_id: str,
    service_id: str,
    *,
    reason: str,
    priority: str = "routine",
    needed_by: date | None = None,
    note: str = "",
    advice: bool = False,
) -> Resource:
    """A referral of that patient to a HealthcareService of the directory, as a ServiceRequest; ``advice``: only advice."""
    service = held("HealthcareService", service_id)
    specialty: dict[str, Any] = next(iter(service.get("specialty", ())), {})
    request = _request(
        actor,
        patient_id,
        category=_concept(SNOMED, REFERRAL, "Patient referral"),
        code=_concept(SNOMED, REFERRAL, "Patient referral", _titled(specialty, service)),
        performer=f"HealthcareService/{service_id}" if service_id else "",
        occurrence=_period(None, needed_by),
        reason=reason,
        priority=priority,
        note=note,
    )
    return request | {"category": [*request["category"], _ADVICE]} if advice else request


def draft_follow_up(
    actor: Actor,
    patient_id: str,
    *,
    window_start: date | None,
    window_end: date,
    reason: str,
    priority: str = "routine",
    note: str = "",
) -> Resource:
    """A visit or call by the actor's own organisation within a window (both days included), as a ServiceRequest."""
    return _request(
        actor,
        patient_id,
        category=_concept(SNOMED, FOLLOW_UP, "Follow-up encounter"),
        code=_concept(SNOMED, FOLLOW_UP, "Follow-up encounter"),
        performer=f"Organization/{actor.organization}",
        occurrence=_period(window_start, window_end),
        reason=reason,
        priority=priority,
        note=note,
    )


def draft_test_order(  # noqa: PLR0913 (one argument per element)
    actor: Actor,
    patient_id: str,
    *,
    test: str,
    loinc: str = "",
    laboratory: str = "",
    category: tuple[str, str] = (LABORATORY, "Laboratory procedure"),
    reason: str = "",
    priority: str = "routine",
    needed_by: date | None = None,
    note: str = "",
) -> Resource:
    """An order for a test, by its words and LOINC code, of a laboratory (a HealthcareService) or of none yet."""
    return _request(
        actor,
        patient_id,
        category=_concept(SNOMED, *category),
        code=_concept(LOINC, loinc, test) if loinc else {"text": test},
        performer=f"HealthcareService/{laboratory}" if laboratory else "",
        occurrence=_period(None, needed_by),
        reason=reason,
        priority=priority,
        note=note,
    )


def findings(request: Resource, actor: Actor) -> list[Finding]:
    """What is to be said of a draft before it is sent; an empty list when all is well."""
    return [
        finding
        for rule in (_about_patient, _about_performer, _about_content, _about_duplicates)
        for finding in rule(request, actor)
    ]


@tried_again
def submit(request: Resource, actor: Actor, *, send: bool = True) -> Loop:
    """Take the request in, and send it to its performer when ``send`` is set and it has one; gives its loop.

    Raises `Incorrect` with the errors among the `findings`, and writes nothing then.
    """
    if errors := [one for one in findings(request, actor) if one.severity == "error"]:
        raise Incorrect(
            str(_("This request can't be sent yet.")),
            *(Issue(str(one.text), one.expression, "business-rule") for one in errors),
        )
    with transaction.atomic():
        received = intake.receive(request, actor)
        if received.loop_id is None:
            raise Incorrect(str(_("This request is of no kind that Baton follows.")), Issue("", "ServiceRequest.code"))
        loop = Loop.objects.get(pk=received.loop_id)
        waiting = loop.handoffs.filter(kind="dispatch", closed_at=None).first() if send and loop.performer else None
        return workflow.perform(waiting.id, "send", actor).loop if waiting else loop


def _request(  # noqa: PLR0913 (one argument per element)
    actor: Actor,
    patient_id: str,
    *,
    category: dict[str, Any],
    code: dict[str, Any],
    performer: str,
    occurrence: dict[str, str],
    reason: str,
    priority: str,
    note: str,
) -> Resource:
    """A ServiceRequest that is valid R4, with our identifier from the start (law 10)."""
    key, now = clock.new_id(), clock.now().isoformat(timespec="seconds")
    requester = f"Practitioner/{actor.practitioner}" if actor.practitioner else f"Organization/{actor.organization}"
    optional = {
        "performer": [{"reference": performer}] if performer else None,
        "occurrencePeriod": occurrence or None,
        "reasonCode": [{"text": reason}] if reason else None,
        "note": [{"time": now, "text": note}] if note else None,
    }
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "identifier": [
            {
                "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "PLAC"}]},
                "system": f"{settings.BATON_BASE_URL}/id/request",
                "value": key,
            }
        ],
        "status": "active",
        "intent": "order",
        "category": [category],
        "priority": priority,
        "code": code,
        "subject": {"reference": f"Patient/{patient_id}"},
        "authoredOn": now,
        "requester": {"reference": requester, "display": actor.display},
    } | {name: value for name, value in optional.items() if value is not None}


def _concept(system: str, code: str, display: str, text: str = "") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text or display}


def _titled(specialty: dict[str, Any], service: Resource) -> str:
    coded: str = next((one["display"] for one in specialty.get("coding", ()) if one.get("display")), "")
    return str(service.get("name") or specialty.get("text") or coded)


def _period(start: date | None, end: date | None) -> dict[str, str]:
    return {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}


def _error(code: str, text: Any, expression: str) -> Finding:
    return Finding("error", code, text, expression)


def _about_patient(request: Resource, actor: Actor) -> Iterator[Finding]:
    type_, key = local(request.get("subject"))
    if type_ != "Patient" or not access.visible(actor, "Patient").filter(pk=key).exists():
        yield _error("patient-missing", _("Choose a patient of yours."), "ServiceRequest.subject")
        return
    patient = held("Patient", key)
    if patient.get("deceasedBoolean") or patient.get("deceasedDateTime"):
        yield _error("patient-deceased", _("The record says that this patient has died."), "ServiceRequest.subject")
    elif told := _TOLD_DEAD.get(mortality.known_of(key)):
        yield _error("patient-deceased", told, "ServiceRequest.subject")


def _about_performer(request: Resource, _actor: Actor) -> Iterator[Finding]:
    organization, service = performing(request)
    expression = "ServiceRequest.performer"
    if request.get("performer") and not organization:
        yield _error("performer-unknown", _("This service isn't in the directory."), expression)
    elif not organization and kind_of(request) == "referral":
        yield _error("performer-missing", _("Choose the service that the patient is referred to."), expression)
    if service and held("HealthcareService", service).get("active") is False:
        yield _error("service-closed", _("This service takes no new patients."), expression)


def _about_content(request: Resource, actor: Actor) -> Iterator[Finding]:
    if not kind_of(request):
        yield _error("kind-unknown", _("Say what is asked for."), "ServiceRequest.code")
    if not _has_words(request.get("reasonCode", ())) and not request.get("reasonReference"):
        missing = _error("reason-missing", _("Say why: what is the question?"), "ServiceRequest.reasonCode")
        yield replace(missing, severity="warning") if kind_of(request) == "test-order" else missing
    end = orders.needed_by(request, actor.organization)
    if end and end < clock.now():
        yield _error("needed-by-past", _("The date that it is needed by has passed."), "ServiceRequest.occurrence")
    if end and end > clock.now() + FAR:
        text = _("The date that it is needed by lies more than three years ahead. Is the year right?")
        yield Finding("warning", "needed-by-far", text, "ServiceRequest.occurrence")
    if not actor.practitioner:
        text = _("You are not a practitioner here: the report will go to the coordination pool.")
        yield Finding("warning", "requester-missing", text, "ServiceRequest.requester")


def _about_duplicates(request: Resource, actor: Actor) -> Iterator[Finding]:
    organization, service = performing(request)
    _type, patient = local(request.get("subject"))
    same = Loop.objects.filter(
        kind=kind_of(request), patient_id=patient, closed_at=None, placer=actor.organization
    ).exclude(request_id=request.get("id"))
    if organization:
        root = access.root(organization)
        same = same.filter(service_id=service) if service else same.filter(performer=root)
    else:
        same = same.filter(performer="", title=request.get("code", {}).get("text", ""))
    if patient and same.exists():
        text = _("There is an open request for the same service and patient.")
        yield Finding("warning", "duplicate", text, "ServiceRequest")


def _has_words(concepts: Any) -> bool:
    return any(concept.get("text") or concept.get("coding") for concept in concepts)
