"""A harmless test of the connection to a partner: what works, what doesn't, and what to do about it.

Reads alone: the statement, a token, one search. What it finds of the partner's abilities is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from fhir_bridge.capabilities.abilities import Abilities
from fhir_bridge.connecting import partners, tokens
from fhir_bridge.connecting.credentials import BY_TOKEN
from fhir_bridge.models import Partner
from records import clock, errors

Result = Literal["ok", "warning", "failed"]
MOST_SKEW_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``advice`` says what to do where it isn't well."""

    about: str
    result: Result
    said: str
    advice: str = ""


def inspect(partner: Partner) -> list[Finding]:
    """Everything that can be told, in the order in which one thing needs the other."""
    return list(_findings(partner))


def _findings(partner: Partner) -> Iterator[Finding]:
    if partner.auth in BY_TOKEN:
        yield _token(partner)
    try:
        seen = partners.discover(partner)
    except errors.BatonError as error:
        yield Finding("connection", "failed", error.message, _advice(error))
        return
    yield Finding("connection", "ok", seen.software or partner.base_url)
    yield _statement(seen)
    yield _version(seen)
    yield from _search(partner)
    yield _look_up(seen)
    ways = partner.ways()
    for aspect in ways.__slots__:
        choice = getattr(ways, aspect)
        yield Finding(aspect, "ok", f"{choice.way}: {choice.reason}")


def _token(partner: Partner) -> Finding:
    try:
        granted = tokens.fetch(partner)
    except errors.BatonError as error:
        return Finding("token", "failed", error.message, _advice(error))
    tokens.keep(partner, granted)
    if missing := tokens.missing_scopes(partner, granted.scope):
        words = _("Not granted: %(scopes)s.") % {"scopes": " ".join(missing)}
        return Finding("token", "warning", words, _("Ask the partner to grant it, or ask for less: --scope."))
    return Finding("token", "ok", _("Granted: %(scopes)s.") % {"scopes": granted.scope or "–"})


def _statement(seen: Abilities) -> Finding:
    if seen.source == "statement":
        return Finding("statement", "ok", _("It says what it can do."))
    words = _("It has no CapabilityStatement; what we need most was tried, and nothing else is expected of it.")
    return Finding(
        "statement", "warning", words, _("What is known to be better may be set: partner set NAME --create …")
    )


def _version(seen: Abilities) -> Finding:
    if not seen.fhir_version:
        return Finding("fhir", "warning", _("It does not say which version of FHIR it speaks."))
    if seen.fhir_version.startswith("4."):
        return Finding("fhir", "ok", seen.fhir_version)
    return Finding("fhir", "failed", seen.fhir_version, _("Baton speaks R4 (4.0.1): ask for its R4 address."))


def _search(partner: Partner) -> Iterator[Finding]:
    """One search with the partner's credentials, and what its clock says meanwhile."""
    try:
        reply, _found = next(partners.connect(partner).search("Task", [("_count", "1")]))
    except errors.BatonError as error:
        yield Finding("search", "failed", error.message, _advice(error))
        return
    yield Finding("search", "ok", _("It answers a search for Tasks."))
    skew = (reply.sent_at - clock.now()).total_seconds() if reply.sent_at else 0.0
    if abs(skew) > MOST_SKEW_SECONDS:
        words = _("It differs from ours by %(seconds)d seconds.") % {"seconds": round(skew)}
        yield Finding("clock", "warning", words, _("One of the two servers should be set by a time server."))


def _look_up(seen: Abilities) -> Finding:
    if "identifier" in seen.of("Task").params:
        return Finding("look-up", "ok", _("It can be searched by identifier."))
    words = _("It can not be searched by identifier: what became of a lost write can not be found out.")
    return Finding("look-up", "warning", words, _("Ask the partner for a search of Task by identifier."))


def _advice(error: errors.BatonError) -> str:
    """What a person can do about an error of this category."""
    if isinstance(error, errors.Unauthenticated):
        return _("Check who we are there: partner set NAME --auth … --client-id … --secret.")
    if isinstance(error, errors.Forbidden):
        return _("Ask the partner for the right to read and write Tasks.")
    if isinstance(error, errors.Unavailable):
        return _("Check the address, the firewall and the certificate; try again.")
    return _("Check the address: it must be the FHIR base.")
