"""Days and moments in forms: by the browser's own picker, ISO on the wire, within what a clock here reaches."""

from typing import Any

from django import forms

from referrals.plausible import validate_happened, validate_reach

DAY = "%Y-%m-%d"
MOMENTS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def day(**options: Any) -> forms.DateField:
    """A field for a day."""
    widget = forms.DateInput(attrs={"type": "date"}, format=DAY)
    return forms.DateField(widget=widget, input_formats=[DAY], validators=[validate_reach], **options)


def moment(**options: Any) -> forms.DateTimeField:
    """A field for a moment in the reader's time zone."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MOMENTS[0])
    return forms.DateTimeField(widget=widget, input_formats=[*MOMENTS], validators=[validate_reach], **options)


def past_moment(**options: Any) -> forms.DateTimeField:
    """A field for when something has happened, in the reader's time zone."""
    field = moment(**options)
    field.validators.append(validate_happened)
    return field
