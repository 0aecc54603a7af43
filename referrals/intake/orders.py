"""The order that a ServiceRequest stands for: who asked whom for what, for which patient, by when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from records import access, dates
from records.access import Actor
from records.errors import Incorrect, Issue
from records.json import Resource
from referrals import people
from referrals.kinds import is_advice, kind_of
from referrals.models import Calendar
from referrals.parties import held, local, performing, practitioner_of, root_of
from referrals.workflow import Order

ORDERS = frozenset({"order", "original-order", "filler-order"})
# What is on hold is an order all the same: its loop is open, and its clock runs.
OPENING = frozenset({"active", "on-hold"})
SECOND = timedelta(seconds=1)


def placer_of(request: Resource, actor: Actor) -> str:
    """The root Organization that placed a request.

    A client that names no requester means its own organisation. A tenant's own EHR also speaks for the requesters of
    its directory that are no tenants, unless the request is for the tenant to perform.
    """
    named = root_of(request.get("requester"), actor)
    ours = actor.organization if access.is_tenant(actor.organization) else ""
    if not ours or access.is_tenant(named):
        return named
    performer, _service = performing(request)
    speaks_for_it = actor.kind == "partner" and access.root(performer) != ours
    return ours if not named or speaks_for_it else named


def may_open(request: Resource) -> bool:
    """Whether a request is an order that is to be carried out, of a kind that we follow, whoever has placed it."""
    return bool(kind_of(request)) and _is_wanted(request)


def asked_by(request: Resource, placer: str) -> tuple[str, str]:
    """The Organization and the service that a placer asks; somebody elsewhere may say only where it is to be done."""
    found = performing(request)
    if request.get("performer") or access.is_tenant(placer):
        return found
    return performing({"performer": request.get("locationReference", ())})


def is_of_no_kind(request: Resource, actor: Actor) -> bool:
    """Whether somebody elsewhere asks an organisation of ours for something that is of no kind that we follow."""
    placer = placer_of(request, actor)
    organization, _service = asked_by(request, placer)
    is_asked = _is_wanted(request) and not kind_of(request) and access.is_tenant(organization)
    return is_asked and not access.is_tenant(placer)


def _is_wanted(request: Resource) -> bool:
    return request.get("intent") in ORDERS and request.get("status") in OPENING


def order_of(request: Resource, actor: Actor, *, placer: str = "", kind: str = "") -> Order | None:
    """The order that a request stands for, or None when it opens no loop (PATHWAYS §1).

    ``placer`` is the root Organization that was found to have placed it, when that was found out before; ``kind`` is
    what it is to be taken for where it is of none that we know.
    """
    kind, placer = kind_of(request) or kind, placer or placer_of(request, actor)
    organization, service = asked_by(request, placer)
    performer = access.root(organization) if organization else ""
    is_ours = access.is_tenant(placer) or access.is_tenant(performer)
    type_, patient = local(request.get("subject"))
    if not kind or not (is_ours and _is_wanted(request)) or (type_ and type_ != "Patient"):
        return None
    _refuse_unseen(patient, actor)
    zone = _zone(placer if access.is_tenant(placer) else performer)
    return Order(
        kind=kind,
        request=request["id"],
        patient_id=patient,
        placer=placer,
        title=title_of(request),
        performer=performer,
        performer_owner=people.performing_owner(organization) if organization else None,
        requester=practitioner_of(request.get("requester")),
        service_id=service,
        ordered_at=_first_instant(request.get("authoredOn"), zone),
        **_wanted(request, zone),
        answer_only=not access.is_tenant(placer),
        is_advice=is_advice(request),
    )


def needed_by(request: Resource, organization: str) -> datetime | None:
    """By when it is wanted at the latest; a day ends where the organisation's days end."""
    return _last_instant(_occurrence(request).get("end"), _zone(organization))


def wanted(request: Resource, organization: str) -> dict[str, Any]:
    """How urgently and when a request wants it: priority, beginning and end, by the days of that organisation."""
    return _wanted(request, _zone(organization))


def title_of(request: Resource) -> str:
    """What is asked for, in the words of the request."""
    for concept in (request.get("code") or {}, *request.get("category", ())):
        named = next((one["display"] for one in concept.get("coding", ()) if one.get("display")), "")
        if concept.get("text") or named:
            return str(concept.get("text") or named)
    return ""


def _refuse_unseen(patient: str, actor: Actor) -> None:
    """Nobody refers a patient whom they may not see; whether there is such a patient isn't told."""
    seen = held("Patient", patient) if actor.kind == "partner" else access.visible(actor, "Patient").filter(pk=patient)
    if not seen:
        text = _("A request needs a patient whom you may see.")
        raise Incorrect(text, Issue(text, "ServiceRequest.subject", "not-found"))


def _wanted(request: Resource, zone: ZoneInfo | None) -> dict[str, Any]:
    occurrence = _occurrence(request)
    return {
        "priority": str(request.get("priority") or "routine"),
        "window_start_at": _first_instant(occurrence.get("start"), zone),
        "needed_by": _last_instant(occurrence.get("end"), zone),
    }


def _zone(organization: str) -> ZoneInfo | None:
    """Where the organisation's days begin; None for UTC."""
    name = Calendar.objects.filter(organization=organization).values_list("time_zone", flat=True).first()
    return ZoneInfo(name) if name else None


def _occurrence(request: Resource) -> dict[str, Any]:
    """When it is wanted, as a Period."""
    at = request.get("occurrenceDateTime")
    if at is not None:
        return {"start": at, "end": at}
    timing: dict[str, Any] = request.get("occurrenceTiming", {}).get("repeat", {}).get("boundsPeriod", {})
    return request.get("occurrencePeriod") or timing


def _first_instant(text: Any, zone: ZoneInfo | None) -> datetime | None:
    """The instant, or the beginning of the day, month or year, where those days begin."""
    found = dates.period_of(text) if isinstance(text, str) else None
    return _local(found[0], text, zone) if found else None


def _last_instant(text: Any, zone: ZoneInfo | None) -> datetime | None:
    """The instant, or the last second of the day, month or year."""
    found = dates.period_of(text) if isinstance(text, str) else None
    if found is None:
        return None
    return found[0] if "T" in text else _local(found[1], text, zone) - SECOND


def _local(instant: datetime, text: str, zone: ZoneInfo | None) -> datetime:
    return instant if "T" in text or zone is None else instant.replace(tzinfo=zone).astimezone(UTC)
