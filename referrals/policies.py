"""An organisation's own numbers and working days: what holds now, and how somebody who may changes it.

A change is written with its AuditEvent. It rules the clocks that start from then on; those that run keep the due time
that was promised. A policy is named by its key, four words joined by dots with ``*`` for "all", as in
``referral.fulfil.in-triage.urgent``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import available_timezones

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from records import access, audit
from records.access import Actor
from records.errors import Forbidden, Incorrect, Issue, NotFound
from referrals import calendars
from referrals.calendars import Span, Unit
from referrals.clocks import APPOINTED
from referrals.deadlines import DEFAULTS, ESCALATION, ESCALATIONS, Key
from referrals.models import Calendar, Loop, Policy
from referrals.models.loops import Priority
from referrals.pathways import HANDOFFS, STAGES

MAY_SET = frozenset({"supervisor", "administrator"})
# The most that makes sense: a year. Nobody can be held to less than one, but where the clock starts at an appointment.
MOST: Mapping[str, int] = {"hours": 8_784, "days": 366, "business-days": 262}
LEVELS = (*Priority.values, "critical", "abnormal", "normal", "own", "action")
MOST_CLOSED_DAYS = 1_000
APPLIES_TO = gettext_lazy("clocks that start from now on; those that run keep their due time")


@dataclass(frozen=True, slots=True)
class Clock:
    """How long somebody has, in one organisation; the default's amount and unit are null where only it has a number."""

    key: str
    loop_kind: str
    handoff: str
    stage: str
    level: str
    amount: int
    unit: str
    is_own: bool
    default_amount: int | None
    default_unit: str | None


@dataclass(frozen=True, slots=True)
class Days:
    """The working days of one organisation: IANA time zone, country and region of its public holidays, own closed days.

    ``is_own`` is False where it has set none, and only Saturday and Sunday (UTC) are free.
    """

    time_zone: str
    country: str
    region: str
    closed_on: tuple[date, ...]
    is_own: bool


def clocks(organization: str) -> list[Clock]:
    """Every clock of that organisation, in the order of the tables; then those that only it has."""
    rows = Policy.objects.filter(organization=organization).order_by("loop_kind", "handoff_kind", "stage", "priority")
    own = {_key_of(row): Span(row.amount, _unit(row.unit)) for row in rows}
    return [_clock(key, own.get(key)) for key in (*DEFAULTS, *(key for key in own if key not in DEFAULTS))]


def set_clock(actor: Actor, organization: str, name: str, span: Span) -> Clock:
    """Give that organisation a number of its own; raise `Incorrect` naming what is wrong with key, amount or unit."""
    _refuse_others(actor, organization)
    key = key_named(name)
    _refuse_span(key, span)
    loop_kind, handoff, stage, level = key
    with transaction.atomic():
        row, was_new = Policy.objects.update_or_create(
            organization=organization,
            loop_kind=loop_kind,
            handoff_kind=handoff,
            stage=stage,
            priority=level,
            defaults={"amount": span.amount, "unit": span.unit},
        )
        details = {"key": name_of(key), "value": f"{row.amount} {row.unit}"}
        audit.record(actor, "C" if was_new else "U", "policy", organization=organization, details=details)
    return _clock(key, span)


def unset_clock(actor: Actor, organization: str, name: str) -> Clock | None:
    """Go back to the default; gives what holds now (None: the next wider row). `NotFound` where there is no own number."""
    _refuse_others(actor, organization)
    key = key_named(name)
    loop_kind, handoff, stage, level = key
    of_key = Policy.objects.filter(
        organization=organization, loop_kind=loop_kind, handoff_kind=handoff, stage=stage, priority=level
    )
    with transaction.atomic():
        deleted, _rows = of_key.delete()
        if not deleted:
            raise NotFound(_("This organisation has no number of its own there."))
        audit.record(actor, "D", "policy", organization=organization, details={"key": name_of(key)})
    return _clock(key, None) if key in DEFAULTS else None


def calendar(organization: str) -> Days:
    """The working days of that organisation."""
    row = Calendar.objects.filter(organization=organization).first()
    if row is None:
        return Days("UTC", "", "", (), is_own=False)
    closed = tuple(date.fromisoformat(day) for day in row.closed_on)
    return Days(row.time_zone, row.country, row.region, closed, is_own=True)


def set_calendar(
    actor: Actor, organization: str, *, time_zone: str, country: str = "", region: str = "", closed_on: Sequence[date]
) -> Days:
    """Set the working days of that organisation; raise `Incorrect` naming each field that is wrong."""
    _refuse_others(actor, organization)
    _refuse_calendar(time_zone, country, region, closed_on)
    closed = [day.isoformat() for day in sorted(set(closed_on))]
    values = {"time_zone": time_zone, "country": country, "region": region}
    with transaction.atomic():
        _row, was_new = Calendar.objects.update_or_create(
            organization=organization, defaults={**values, "closed_on": closed}
        )
        details = {**values, "closed_on": " ".join(closed)}
        audit.record(actor, "C" if was_new else "U", "calendar", organization=organization, details=details)
    return calendar(organization)


def name_of(key: Key) -> str:
    """The key as one word."""
    return ".".join(part or "*" for part in key)


def key_named(name: str) -> Key:
    """The key that a name stands for; raise `Incorrect` naming what no table knows."""
    parts = tuple("" if part == "*" else part for part in name.split("."))
    if len(parts) != len(("loop kind", "handoff", "stage", "level")):
        raise _wrong("key", _("A key is kind.handoff.stage.level, with * for all."))
    loop_kind, handoff, stage, level = parts
    is_escalation = handoff == ESCALATION and (loop_kind, stage) in {(key[0], key[2]) for key in ESCALATIONS}
    if not is_escalation and not _is_handoff(loop_kind, handoff, stage):
        raise _wrong("key", _("There is no such kind of loop, handoff or stage that somebody waits at."))
    if level not in ("", *LEVELS):
        raise _wrong("key", _("The level is one of: %(levels)s.") % {"levels": ", ".join(LEVELS)})
    return loop_kind, handoff, stage, level


def _is_handoff(loop_kind: str, handoff: str, stage: str) -> bool:
    known = STAGES.get((handoff, stage))
    is_stage = not stage or (known is not None and not known.is_end)
    return loop_kind in ("", *Loop.Kind.values) and handoff in HANDOFFS and is_stage


def _refuse_span(key: Key, span: Span) -> None:
    if span.unit not in MOST:
        raise _wrong("unit", _("The unit is one of: %(units)s.") % {"units": ", ".join(MOST)})
    _kind, handoff, stage, _level = key
    least = 0 if handoff == ESCALATION or stage in APPOINTED else 1
    if not least <= span.amount <= MOST[span.unit]:
        between = {"least": least, "most": MOST[span.unit]}
        raise _wrong("amount", _("The amount is a number from %(least)d to %(most)d.") % between)


def _refuse_calendar(time_zone: str, country: str, region: str, closed_on: Sequence[date]) -> None:
    if time_zone not in available_timezones():
        raise _wrong("time_zone", _("This is no time zone of the IANA database, such as Europe/Berlin."))
    if region and not calendars.knows(country, region):
        raise _wrong("region", _("The public holidays of this region are not known."))
    if country and not calendars.knows(country):
        raise _wrong("country", _("The public holidays of this country are not known."))
    if len(closed_on) > MOST_CLOSED_DAYS:
        raise _wrong("closed_on", _("At most %(most)d days can be closed.") % {"most": MOST_CLOSED_DAYS})


def _refuse_others(actor: Actor, organization: str) -> None:
    """Only that organisation's supervisors and administrators; a client by its scopes, which the API has looked at."""
    if actor.kind == "system":
        if not access.is_tenant(organization):
            raise NotFound(_("There is no such organisation here."))
        return
    may = actor.kind == "client" or bool(actor.roles & MAY_SET)
    if not may or actor.organization != organization or actor.kind == "partner":
        raise Forbidden(_("Only supervisors and administrators set the clocks and the calendar of their organisation."))


def _wrong(
    field: Literal["key", "amount", "unit", "time_zone", "country", "region", "closed_on"], text: str
) -> Incorrect:
    return Incorrect(text, Issue(text, field, "value"))


def _clock(key: Key, own: Span | None) -> Clock:
    default = DEFAULTS.get(key)
    span = own or DEFAULTS[key]
    return Clock(
        name_of(key),
        *key,
        amount=span.amount,
        unit=span.unit,
        is_own=own is not None,
        default_amount=default.amount if default else None,
        default_unit=default.unit if default else None,
    )


def _key_of(row: Policy) -> Key:
    return row.loop_kind, row.handoff_kind, row.stage, row.priority


def _unit(word: str) -> Unit:
    units: dict[str, Unit] = {"hours": "hours", "days": "days", "business-days": "business-days"}
    return units[word]
