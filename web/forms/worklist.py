"""The worklist's filters as a form, and as the query of an address.

What was typed to search for is often a name, and a name must be in no address: the session keeps it, and the address
holds an opaque word for it (``find``), so that Back and reload still work.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.sessions.backends.base import SessionBase
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from referrals.models.loops import Loop, Priority
from referrals.pathways import HANDOFFS, STAGES
from referrals.vocabulary import Words
from referrals.worklists import Filters, Scope

FINDS = "finds"
KEPT = 30
DEFAULTS = Filters()
SCOPES: dict[str, Scope] = {"mine": "mine", "team": "team", "organisation": "organisation"}
LABELS: dict[str, Words] = {
    "overdue": _("overdue"),
    "due-soon": _("due soon"),
    "chase": _("to be chased"),
    "waiting": _("waiting for others"),
    "to-confirm": _("to be confirmed once more"),
    "contradictory": _("contradictory"),
    "unclaimed": _("unclaimed"),
    "late-booking": _("late booking"),
    "authorisation-expiring": _("authorisation expiring"),
    "attendance-unknown": _("attendance unknown"),
    "status-unknown": _("status unknown"),
    "follow-up-due": _("follow-up visit due"),
    "escalated": _("escalated"),
    "standing-in": _("in a colleague's stead"),
}
# Their own words: in other languages what was sent, as a list says it, is not the word for the stage "sent".
DIRECTIONS = {"received": pgettext_lazy("direction", "received"), "sent": pgettext_lazy("direction", "sent")}
OPEN_STAGES = {stage.code: stage.label for stage in STAGES.values() if not stage.is_end}


class FilterForm(forms.Form):
    """The filters beside the scope; every one is optional."""

    direction = forms.ChoiceField(label=_("Direction"), required=False, choices=[("", _("all")), *DIRECTIONS.items()])
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("all")), *Loop.Kind.choices])
    handoff = forms.ChoiceField(
        label=_("Task"),
        required=False,
        choices=[("", _("all")), *((code, row.label) for code, row in HANDOFFS.items())],
    )
    stage = forms.ChoiceField(label=_("Stage"), required=False, choices=[("", _("all")), *OPEN_STAGES.items()])
    priority = forms.ChoiceField(label=_("Priority"), required=False, choices=[("", _("all")), *Priority.choices])
    label = forms.ChoiceField(label=_("Label"), required=False, choices=[("", _("all")), *LABELS.items()])
    text = forms.CharField(label=_("Patient or title"), required=False, max_length=200)


def read(query: Mapping[str, str], session: SessionBase) -> Filters:
    """The filters that an address says; what makes no sense counts as not said (`misunderstood` names it)."""
    form = FilterForm(query)
    form.is_valid()
    chosen = {name: value for name, value in form.cleaned_data.items() if value and name != "text"}
    scope = query.get("scope", "")
    owner, patient = query.get("owner", ""), query.get("patient", "")[:64]
    return replace(
        DEFAULTS,
        **chosen,
        scope=SCOPES.get(scope, DEFAULTS.scope),
        patient=patient if "\0" not in patient else "",
        owner=int(owner) if _is_key(owner) else 0,
        text=session.get(FINDS, {}).get(query.get("find", ""), ""),
    )


def misunderstood(query: Mapping[str, str]) -> list[Words]:
    """The labels of the filters for which an address has a word that is not known here."""
    form = FilterForm(query)
    wrong: list[Words] = [form.fields[name].label or name for name in form.errors]
    is_somebody = query.get("scope", "") in ("", *SCOPES) and (not query.get("owner") or _is_key(query["owner"]))
    return wrong if is_somebody else [*wrong, _("Whose work")]


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10  # noqa: PLR2004 (an integer of PostgreSQL)


def is_unknown(query: Mapping[str, str], session: SessionBase) -> bool:
    """Whether the address stands for words that this session doesn't know: somebody else typed them, or long ago."""
    return bool(query.get("find")) and query["find"] not in session.get(FINDS, {})


def address(filters: Filters, session: SessionBase | None = None, **more: str) -> str:
    """The query string that `read` understands; nothing of it is about a person but opaque ids."""
    said: dict[str, Any] = {
        field.name: getattr(filters, field.name)
        for field in fields(filters)
        if field.name != "text" and getattr(filters, field.name) != getattr(DEFAULTS, field.name)
    }
    if filters.text and session is not None:
        said["find"] = _keep(session, filters.text)
    return "?" + urlencode(said | {name: value for name, value in more.items() if value})


def _keep(session: SessionBase, text: str) -> str:
    """The opaque word that stands for a text in this session."""
    word = hashlib.blake2s(text.encode(), key=(session.session_key or "").encode()[:32], digest_size=9).hexdigest()
    kept = {key: value for key, value in session.get(FINDS, {}).items() if key != word}
    session[FINDS] = dict([*kept.items(), (word, text)][-KEPT:])
    return word
