"""How the exchange with one partner works, in words for the sync page: the line, the ways, what was found, who tells us."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fhir_bridge import status
from fhir_bridge.status import PartnerStatus
from referrals.vocabulary import Words

ASPECTS: dict[str, Words] = {
    "hear": gettext_lazy("Hearing of changes"),
    "ids": gettext_lazy("Ids of what is created there"),
    "create": gettext_lazy("Nothing is created twice"),
    "update": gettext_lazy("Nothing of theirs is overwritten"),
    "send": gettext_lazy("Several resources at once"),
    "load": gettext_lazy("First load"),
}
WAYS: dict[str, Words] = {
    "subscription": gettext_lazy("notifications, and polling"),
    "poll": gettext_lazy("polling by time"),
    "poll-by-patient": gettext_lazy("polling by patient"),
    "by-id": gettext_lazy("reading by id"),
    "not": gettext_lazy("not at all"),
    "server-ids": gettext_lazy("theirs"),
    "client-ids": gettext_lazy("ours"),
    "conditional": gettext_lazy("conditional create"),
    "search-first": gettext_lazy("a search before"),
    "if-match": gettext_lazy("conditional update"),
    "read-first": gettext_lazy("a read before"),
    "transaction": gettext_lazy("transactions"),
    "batch": gettext_lazy("batches"),
    "single": gettext_lazy("one by one"),
    "export": gettext_lazy("bulk export"),
    "search": gettext_lazy("searches"),
}
SCOPES: dict[str, Words] = {
    "open": gettext_lazy("Open work"),
    "all": gettext_lazy("Everything linked"),
    "rewound": gettext_lazy("Everything, after a restore"),
}
STANDINGS: dict[str, Words] = {
    "wanted": gettext_lazy("to be asked for"),
    "requested": gettext_lazy("asked for"),
    "active": gettext_lazy("active"),
    "error": gettext_lazy("failed there"),
    "off": gettext_lazy("switched off there"),
}


def health(one: PartnerStatus) -> dict[str, Any]:
    """``line``, ``ways`` (aspect, way, reason), ``readings`` and ``told`` of a partner, for the template."""
    ways = status.ways(one.id).items()
    return {
        "line": _line(one),
        "not_before_at": one.not_before_at if one.circuit == "open" else None,
        "ways": [(ASPECTS[aspect], WAYS[each.way], each.reason) for aspect, each in ways],
        "readings": [(SCOPES[run.scope], run) for run in status.reconciled(one.id)],
        "told": [(STANDINGS[each.state], each) for each in status.subscriptions(one.id)],
    }


def _line(one: PartnerStatus) -> str:
    if one.circuit == "closed":
        return _("in use")
    if one.circuit == "half-open":
        return _("tried again now")
    text = ngettext("left alone after %(count)d failure", "left alone after %(count)d failures in a row", one.failures)
    return text % {"count": one.failures}
