"""The form for an action, built from its `Offer`: no action has a form written by hand.

`offer_form` gives a Django form whose fields are the offer's `Field`s in their order; its ``answers()`` are what
``referrals.workflow.perform`` takes as ``data`` (texts and codes as they are, moments aware in UTC, dates as dates).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from referrals.vocabulary import Field, Offer, Words

Choices = Sequence[tuple[str, Words]]
Known = Mapping[str, Choices]
LONG = frozenset({"note", "message", "reason", "text", "plan", "answer", "question"})


class OfferForm(forms.Form):
    """A form for one offer; the concrete fields are added by `offer_form`."""

    def answers(self) -> dict[str, Any]:
        """What was entered, without what was left empty."""
        cleaned = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {name: _plain(value) for name, value in cleaned.items()}


def offer_form(offer: Offer, known: Known, prefix: str, data: Mapping[str, Any] | None = None) -> OfferForm:
    """The form for ``offer``; ``known`` maps a resource type or ``owner`` to what may be chosen of it."""
    form = OfferForm(data, prefix=prefix)
    for field in offer.fields:
        form.fields[field.name] = MAKERS[field.kind](field, known)
    _describe_errors(form)
    return form


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _common(field: Field) -> dict[str, Any]:
    return {"label": field.label, "required": field.required, "help_text": field.help}


def _text(field: Field, known: Known) -> forms.Field:
    is_long = any(word in field.name for word in LONG)
    return forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 3}) if is_long else None, **_common(field))


def _code(field: Field, known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *field.codes], **_common(field))


def _moment(field: Field, known: Known) -> forms.Field:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(widget=widget, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **_common(field))


def _date(field: Field, known: Known) -> forms.Field:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(widget=widget, input_formats=["%Y-%m-%d"], **_common(field))


def _yes(field: Field, known: Known) -> forms.Field:
    return forms.BooleanField(**_common(field))


def _reference(field: Field, known: Known) -> forms.Field:
    found = [choice for type_ in field.types for choice in known.get(type_, ())]
    return forms.ChoiceField(choices=[("", _("Choose …")), *found], **_common(field))


def _owner(field: Field, known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *known.get("owner", ())], **_common(field))


MAKERS: dict[str, Callable[[Field, Known], forms.Field]] = {
    "text": _text,
    "code": _code,
    "datetime": _moment,
    "date": _date,
    "boolean": _yes,
    "reference": _reference,
    "owner": _owner,
}


def _describe_errors(form: forms.Form) -> None:
    """Errors are part of what a screen reader says of the field (``aria-describedby`` is Django's own since 5.2)."""
    form.use_required_attribute = False
