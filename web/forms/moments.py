"""Days and moments in forms: by the browser's own picker, ISO on the wire, within what a clock here reaches."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from referrals import fields

DAY = "%Y-%m-%d"
MOMENTS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def within_reach(value: date) -> None:
    """A validator of days and moments."""
    try:
        fields.within_reach(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def day(**options: Any) -> forms.DateField:
    """A field for a day."""
    widget = forms.DateInput(attrs={"type": "date"}, format=DAY)
    return forms.DateField(widget=widget, input_formats=[DAY], validators=[within_reach], **options)


def moment(**options: Any) -> forms.DateTimeField:
    """A field for a moment in the reader's time zone."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MOMENTS[0])
    return forms.DateTimeField(widget=widget, input_formats=[*MOMENTS], validators=[within_reach], **options)
