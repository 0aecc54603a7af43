"""The form for an action, built from its `Offer`: no action has a form written by hand.

`offer_form` gives a Django form whose fields are the offer's `Field`s in their order; its ``answers()`` are what
``referrals.workflow.perform`` takes as ``data`` (texts and codes as they are, moments aware in UTC, dates as dates).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from records.errors import BatonError
from referrals.vocabulary import Field, Offer, Words
from web.forms import moments

Choices = Sequence[tuple[str, Words]]
REPORT_TEXT = "report_text"
TOLD_AT = "told_at"
ASIDE = frozenset({REPORT_TEXT, TOLD_AT})
REPORT_LABEL = _("Text of the report")
Known = Mapping[str, Choices]
# What is said of a report that is here already, which nobody writes anew for that.
OF_AN_EARLIER_REPORT = frozenset({"withdraw-report"})
LONG = frozenset({"note", "message", "reason", "text", "plan", "answer", "question"})


class OfferForm(forms.Form):
    """A form for one offer; the concrete fields are added by `offer_form`.

    ``TOLD_AT`` stands in what is entered for a performer: when it happened there.
    ``REPORT_TEXT`` stands beside a field for a report, for somebody who writes it here and has no document to point to.
    """

    use_required_attribute = False
    needs_report = False

    @property
    def report_text(self) -> str:
        """The report that was written into the form itself."""
        return str(self.cleaned_data.get(REPORT_TEXT, ""))

    @property
    def is_written(self) -> bool:
        """Whether there is such a report."""
        return bool(self.report_text)

    @property
    def told_at(self) -> datetime | None:
        """When what somebody was told has happened; None for now."""
        found: datetime | None = self.cleaned_data.get(TOLD_AT)
        return found.astimezone(UTC) if found else None

    def answers(self) -> dict[str, Any]:
        """What was entered, without what was left empty."""
        cleaned = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {name: _plain(value) for name, value in cleaned.items() if name not in ASIDE}

    def clean(self) -> dict[str, Any]:
        """A report is chosen or written."""
        cleaned = super().clean() or {}
        if self.needs_report and not cleaned.get("report") and not cleaned.get(REPORT_TEXT):
            self.add_error(REPORT_TEXT, _("Write the report, or choose one that is here already."))
        return cleaned

    def refuse(self, error: BatonError) -> None:
        """Say what the workflow found wrong, at its field where it names one."""
        for issue in error.issues:
            self.add_error(issue.expression if issue.expression in self.fields else None, issue.text or error.message)


def offer_form(offer: Offer, known: Known, prefix: str, data: Mapping[str, Any] | None = None) -> OfferForm:
    """The form for ``offer``; ``known`` maps a resource type, ``owner`` or ``colleague`` to what may be chosen of it."""
    form = OfferForm(data, prefix=prefix)
    for field in offer.fields:
        if field.kind != "reference" or field.required or _choosable(field, known):
            form.fields[field.name] = MAKERS[field.kind](field, known)
        if field.name == "report" and offer.action not in OF_AN_EARLIER_REPORT:
            _let_write(form, field)
    if offer.attested:
        form.fields[TOLD_AT] = moments.past_moment(
            label=_("When it happened"), required=False, help_text=_("Left empty: now. The clock starts at that time.")
        )
    return form


def _let_write(form: OfferForm, field: Field) -> None:
    """Let the report be written into the form; what is here already may be chosen instead."""
    form.needs_report = field.required
    if "report" in form.fields and len(form.fields["report"].choices) > 1:  # type: ignore[attr-defined]
        form.fields["report"].required = False
    else:
        form.fields.pop("report", None)
    form.fields[REPORT_TEXT] = _report_text()


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _common(field: Field) -> dict[str, Any]:
    return {"label": field.label, "required": field.required, "help_text": field.help}


def _text(field: Field, _known: Known) -> forms.Field:
    is_long = any(word in field.name for word in LONG)
    return forms.CharField(
        max_length=4000, widget=forms.Textarea(attrs={"rows": 3}) if is_long else None, **_common(field)
    )


def _code(field: Field, _known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *field.codes], **_common(field))


def _moment(field: Field, _known: Known) -> forms.Field:
    return moments.moment(**_common(field))


def _date(field: Field, _known: Known) -> forms.Field:
    return moments.day(**_common(field))


def _yes_or_no(field: Field, _known: Known) -> forms.Field:
    """A question that must be answered can be answered with no; an optional one is a box to tick."""
    if not field.required:
        return forms.BooleanField(**_common(field))
    choices = [("", _("Choose …")), ("true", _("yes")), ("false", _("no"))]
    return forms.TypedChoiceField(
        choices=choices, coerce=lambda word: word == "true", empty_value=None, **_common(field)
    )


def _choosable(field: Field, known: Known) -> list[tuple[str, Words]]:
    return [choice for type_ in field.types for choice in known.get(type_, ())]


def _reference(field: Field, known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *_choosable(field, known)], **_common(field))


def _report_text() -> forms.Field:
    return forms.CharField(
        label=REPORT_LABEL, required=False, max_length=50_000, widget=forms.Textarea(attrs={"rows": 8})
    )


def _owner(field: Field, known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *known.get("owner", ())], **_common(field))


def _owners(field: Field, known: Known) -> forms.Field:
    """A box to tick for each."""
    widget = forms.CheckboxSelectMultiple
    return forms.MultipleChoiceField(choices=[*known.get("owner", ())], widget=widget, **_common(field))


def _colleague(field: Field, known: Known) -> forms.Field:
    return forms.ChoiceField(choices=[("", _("Choose …")), *known.get("colleague", ())], **_common(field))


def _second_person(field: Field, known: Known) -> forms.Field:
    """Who may agree depends on the roles of which one of the two has to have one."""
    who = known.get("/".join((field.kind, *field.roles)), ())
    return forms.ChoiceField(choices=[("", _("Choose …")), *who], **_common(field))


MAKERS: dict[str, Callable[[Field, Known], forms.Field]] = {
    "text": _text,
    "code": _code,
    "datetime": _moment,
    "date": _date,
    "boolean": _yes_or_no,
    "reference": _reference,
    "owner": _owner,
    "colleague": _colleague,
    "owners": _owners,
    "second-person": _second_person,
}
