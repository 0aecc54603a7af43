"""What a person may do to the exchange: pause, resume, test, and mend what has failed (`fhir_bridge.recovery`).

Each is audited: by an AuditEvent, and one log line without patient data.
"""

import logging

from django.db import transaction

from fhir_bridge import partners, rewinding, wakeups
from fhir_bridge.models import Partner
from fhir_bridge.recovery import (
    STEWARDS,
    at_the_terminal,
    correct,
    discard,
    follow,
    may,
    recreate,
    resolve,
    retry,
    retry_all,
    show,
)
from records import audit
from records.access import Actor

log = logging.getLogger(__name__)

__all__ = [
    "STEWARDS",
    "at_the_terminal",
    "correct",
    "discard",
    "follow",
    "may",
    "pause",
    "recreate",
    "resolve",
    "resume",
    "retry",
    "retry_all",
    "show",
    "test",
]


@transaction.atomic
def pause(partner: Partner, actor: Actor, reason: str = "") -> None:
    """Stop the exchange with a partner; what is to be sent waits."""
    Partner.objects.filter(pk=partner.pk).update(state=Partner.State.PAUSED, state_reason=reason)
    _told("pause", actor, partner, reason)


@transaction.atomic
def resume(partner: Partner, actor: Actor) -> None:
    """Go on with the exchange. Of a rewound partner everything linked must have been read again, or it is a `Conflict`."""
    Partner.objects.filter(pk=partner.pk).update(
        state=rewinding.state_to_resume(partner),
        state_reason="",
        last_error="",
        not_before_at=None,
        failures=0,
        failing_since=None,
        probe_until=None,
    )
    wakeups.after_commit("push", [partner.pk])
    _told("resume", actor, partner)


def test(partner: Partner) -> dict[str, str]:
    """Ask a partner what it can do, and note it; raise the category of what fails.

    Gives what a person wants to see: software, FHIR version, and how we deal with its Tasks, each with the reason.
    """
    seen = partners.discover(partner)
    ways = partner.ways()
    told = {"software": seen.software, "fhir": seen.fhir_version, "known by": seen.source}
    for name in ways.__slots__:
        choice = getattr(ways, name)
        told[name] = f"{choice.way}: {choice.reason}"
    return told


def _told(what: str, actor: Actor, partner: Partner, details: str = "") -> None:
    log.info("exchange: %s of Partner/%s by %s", what, partner.pk, actor.id)
    told = {"what": what, "partner": partner.name, "details": details}
    audit.record(actor, "E", "exchange", organization=partner.steward_pool.organization, details=told)
