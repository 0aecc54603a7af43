"""From what a server can do to how we write to it and read from it. Pure; every choice comes with its reason.

One table: per aspect the ways in order of preference, each with what it needs. The first whose need is met is taken, and
the last needs nothing. An administrator may set any aspect otherwise: then the reason is that it was set. Where a server
says nothing, nothing is expected of it: we search before we create and read before we update (law 10).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from fhir_bridge.capabilities.abilities import Abilities, TypeAbilities
from records.errors import Incorrect


class Hear(StrEnum):
    """How we learn of changes of a type. With a subscription polling goes on too: a notification is a hint."""

    SUBSCRIPTION = "subscription"
    POLL = "poll"
    POLL_BY_PATIENT = "poll-by-patient"
    BY_ID = "by-id"
    NOT = "not"


class Ids(StrEnum):
    """Who makes the id of what we create there."""

    SERVER = "server-ids"
    CLIENT = "client-ids"


class Create(StrEnum):
    """What keeps a create from happening twice."""

    CONDITIONAL = "conditional"
    SEARCH_FIRST = "search-first"


class Update(StrEnum):
    """What keeps an update from overwriting a change of theirs that we have not seen."""

    IF_MATCH = "if-match"
    READ_FIRST = "read-first"


class Send(StrEnum):
    """What several resources travel in."""

    TRANSACTION = "transaction"
    BATCH = "batch"
    SINGLE = "single"


class Load(StrEnum):
    """How everything is read for the first time."""

    EXPORT = "export"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way, and why: ``reason`` is for people. ``is_set``: by an administrator."""

    way: str
    reason: str
    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """How we deal with one type at one partner; each ``way`` is a value of the enumeration of that name."""

    hear: Choice
    ids: Choice
    create: Choice
    update: Choice
    send: Choice
    load: Choice


Need = Callable[[Abilities, TypeAbilities], bool]


def _always(_server: Abilities, _type: TypeAbilities) -> bool:
    return True


def _is_refused(server: Abilities, type_: TypeAbilities) -> bool:
    return server.source == "statement" and not type_.is_offered


def _takes_our_ids_only(_server: Abilities, type_: TypeAbilities) -> bool:
    return type_.update_create and not type_.conditional_create


# way, what it needs, why it is taken
WAYS: Mapping[str, tuple[tuple[str, Need, Any], ...]] = {
    "hear": (
        (Hear.NOT, _is_refused, _("It does not offer this type.")),
        (Hear.SUBSCRIPTION, lambda server, _t: bool(server.subscriptions), _("It offers Subscriptions.")),
        (Hear.POLL, lambda _s, type_: "_lastUpdated" in type_.params, _("It can be searched by _lastUpdated.")),
        (
            Hear.POLL_BY_PATIENT,
            lambda _s, type_: not type_.params.isdisjoint({"patient", "subject"}),
            _("It can be searched by patient, and not by _lastUpdated."),
        ),
        (Hear.BY_ID, _always, _("It can be searched neither by _lastUpdated nor by patient.")),
    ),
    "ids": (
        (
            Ids.CLIENT,
            _takes_our_ids_only,
            _("It takes ids of ours and no conditional create: the same id twice is one resource."),
        ),
        (Ids.SERVER, _always, _("Its own ids can't meet ours.")),
    ),
    "create": (
        (Create.CONDITIONAL, lambda _s, type_: type_.conditional_create, _("It promises If-None-Exist.")),
        (Create.SEARCH_FIRST, _always, _("It does not promise If-None-Exist.")),
    ),
    "update": (
        (Update.IF_MATCH, lambda _s, type_: type_.versioning == "versioned-update", _("It promises If-Match.")),
        (Update.READ_FIRST, _always, _("It does not promise If-Match.")),
    ),
    "send": (
        (Send.TRANSACTION, lambda server, _t: "transaction" in server.system, _("It promises transactions.")),
        (Send.BATCH, lambda server, _t: "batch" in server.system, _("It takes batches, and promises no transactions.")),
        (Send.SINGLE, _always, _("It promises neither transactions nor batches.")),
    ),
    "load": (
        (Load.EXPORT, lambda server, _t: bool(server.exports), _("It offers $export.")),
        (Load.SEARCH, _always, _("It does not offer $export.")),
    ),
}


def choose(abilities: Abilities, settings: Mapping[str, str], type_: str = "Task") -> Ways:
    """How to deal with a type, given what the server can do and what an administrator has set (aspect → way)."""
    return Ways(**{aspect: _choice(aspect, abilities, settings, type_) for aspect in WAYS})


def _choice(aspect: str, abilities: Abilities, settings: Mapping[str, str], type_: str) -> Choice:
    if settings.get(aspect) in names(aspect):
        return Choice(settings[aspect], str(_("It was set so.")), is_set=True)
    of_type = abilities.of(type_)
    return next(Choice(way, str(why)) for way, need, why in WAYS[aspect] if need(abilities, of_type))


def names(aspect: str) -> tuple[str, ...]:
    """The ways of one aspect, the preferred first."""
    return tuple(str(way) for way, _need, _why in WAYS.get(aspect, ()))


def check(aspect: str, way: str) -> None:
    """Raise `Incorrect`, naming what there is, for an aspect or way that there is not; "" is the choice by itself."""
    if aspect not in WAYS:
        raise Incorrect(_("There is no choice named “%(name)s”. There are: %(names)s.") % _said(aspect, WAYS))
    if way and way not in names(aspect):
        raise Incorrect(_("There is no way named “%(name)s”. There are: %(names)s.") % _said(way, names(aspect)))


def _said(name: str, there: Any) -> dict[str, str]:
    return {"name": name, "names": ", ".join(there)}
