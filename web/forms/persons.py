"""The forms about the person behind a record: that they have died, or that they live."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from referrals.upheavals import death
from web.forms import moments
from web.forms.people import PeopleForm

LABELS: dict[str, Any] = {field.name: field.label for field in death.TOLD}


class DeathForm(PeopleForm):
    """What somebody was told of a patient's death."""

    died_on = moments.day(label=LABELS["died_on"], required=False, help_text=_("Left empty: the day is not known."))
    source = forms.CharField(label=LABELS["source"], max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))

    def said(self) -> dict[str, Any]:
        """What was entered, without what was left empty."""
        return {name: value for name, value in self.cleaned_data.items() if value}


class LivesForm(PeopleForm):
    """Why somebody whose death was confirmed is known to live."""

    note = forms.CharField(label=_("How you know"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
