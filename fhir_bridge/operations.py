"""What a person may do to the exchange: pause, resume, test, and mend what has failed (`fhir_bridge.recovery`).

Each is audited: by an AuditEvent, and one log line without patient data.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fhir_bridge.capabilities.abilities import Abilities
from fhir_bridge.connecting import description, inspection, keys, partners, registration, settings, tokens
from fhir_bridge.connecting.inspection import Finding
from fhir_bridge.inbound import rewinding
from fhir_bridge.models import Partner, SigningKey
from fhir_bridge.pending import wakeups
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
from records.errors import NotFound

log = logging.getLogger(__name__)
LONGEST_NUMBER = 19

__all__ = [
    "STEWARDS",
    "at_the_terminal",
    "configure",
    "correct",
    "describe",
    "discard",
    "entrusted",
    "follow",
    "may",
    "pause",
    "recreate",
    "rediscover",
    "resolve",
    "resume",
    "retry",
    "retry_all",
    "rotate_keys",
    "show",
    "test",
]


def entrusted(number: str, organization: str) -> Partner:
    """The partner of that number which people of this root Organization look after; `NotFound` for any other."""
    named = Partner.objects.filter(steward_pool__organization=organization)
    found = named.filter(pk=int(number)).first() if number.isdecimal() and len(number) < LONGEST_NUMBER else None
    if found is None:
        raise NotFound(_("There is no such partner."))
    return found


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


def test(partner: Partner) -> list[Finding]:
    """Try the connection, harmlessly, and note what the partner can do; give what was found, failures too."""
    return inspection.inspect(partner)


def rediscover(partner: Partner, actor: Actor) -> Abilities:
    """Ask the partner anew what it can do. Raise the category of what fails."""
    seen = partners.discover(partner)
    _told("rediscover", actor, partner, seen.source)
    return seen


def describe(partner: Partner) -> dict[str, Any]:
    """How it is registered and what it was seen to be able to do; nothing secret."""
    return description.describe(partner)


@transaction.atomic
def configure(
    partner: Partner, actor: Actor, told: Mapping[str, str], *, secret: str | None = None, is_moved: bool = False
) -> list[str]:
    """Set what is told (`fhir_bridge.connecting.settings`), and the secret if there is one; give what is another now.

    Raise `Incorrect` for what can't be, `Conflict` for what can't be now: then nothing is set. At another address
    nothing is known of the partner before it is tested, or discovered by itself.
    """
    row = Partner.objects.select_for_update(of=("self",)).select_related("steward_pool").get(pk=partner.pk)
    changed = settings.put(row, told, secret, is_moved=is_moved)
    if not changed:
        return []
    row.save()
    if not set(changed).isdisjoint({*settings.LOGIN, "secret", registration.ADDRESS}):
        tokens.forget(row)
    said = ", ".join(f"{name} = {told[name]}" if name in told else name for name in changed)
    _told("set", actor, row, said)
    return changed


@transaction.atomic
def rotate_keys(actor: Actor, organization: str) -> list[SigningKey]:
    """Publish a new key of each algorithm that we sign with; it signs a day later. Gives all that are published."""
    algs = sorted({key.alg for key in keys.kept()}) or list(keys.ALGS)
    made = [keys.rotate(alg).kid for alg in algs]
    audit.record(actor, "E", "keys", organization=organization, details={"what": "rotate", "kids": ", ".join(made)})
    return keys.kept()


def _told(what: str, actor: Actor, partner: Partner, details: str = "") -> None:
    log.info("exchange: %s of Partner/%s by %s", what, partner.pk, actor.id)
    told = {"what": what, "partner": partner.name, "details": details}
    audit.record(actor, "E", "exchange", organization=partner.steward_pool.organization, details=told)
