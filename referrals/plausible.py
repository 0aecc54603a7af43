"""What an action carries, judged as a whole: each value may be well formed and still not be meant.

A typing error in a year would silence a clock for decades, so a person is asked again; what another system has recorded
is judged only for sense, not for likelihood.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from records import clock
from records.errors import Incorrect, Issue
from referrals import fields
from referrals.vocabulary import Data

CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much two clocks that are right may differ."""

FURTHEST_APPOINTMENT = timedelta(days=3 * 365)
"""† Nobody books further ahead."""

FURTHEST_AUTHORISATION = timedelta(days=10 * 365)
"""† Nobody grants one for longer."""

ZONES_BEHIND = timedelta(hours=12)
"""Until then it is still the same day somewhere."""


def validate_reach(value: date) -> None:
    """A validator of days and moments in the forms and bodies of the higher rooms: within what a clock here reaches."""
    try:
        fields.within_reach(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def validate_happened(value: datetime) -> None:
    """A validator of when something has happened (aware): not still to come."""
    if value > clock.now() + CLOCKS_DIFFER:
        raise ValidationError(_("This time is still to come: give when it has happened."))


def check(values: Data, *, earliest: datetime, now: datetime, is_told: bool, missed: datetime | None = None) -> None:
    """Raise `Incorrect` naming each field that can't be meant.

    ``earliest`` is when the order was placed; ``is_told``: another system says it; ``missed`` is when
    the appointment begins (where that isn't known, ends) to which the patient is said not to have come.
    """
    issues = list(_about_order(values, is_told=is_told))
    if not is_told:
        issues += [*_about_time(values, earliest, now)]
        issues += [*_about_authorisation(values, now), *_about_absence(missed, now)]
    if issues:
        raise Incorrect(" ".join(issue.text for issue in issues), *issues)


def _about_order(values: Data, *, is_told: bool) -> Iterator[Issue]:
    start, end = values.get("slot_start"), values.get("slot_end")
    # Another system may know no more than when it begins.
    if start and end and (end < start or (end == start and not is_told)):
        yield Issue(_("The appointment ends before it starts."), "slot_end", "value")


def _about_time(values: Data, earliest: datetime, now: datetime) -> Iterator[Issue]:
    end = values.get("slot_end")
    if end and end < earliest:
        yield Issue(_("The appointment lies before the order was placed."), "slot_end", "value")
    if end and end > now + FURTHEST_APPOINTMENT:
        yield Issue(_("The appointment lies more than three years ahead. Is the year right?"), "slot_end", "value")


def _about_authorisation(values: Data, now: datetime) -> Iterator[Issue]:
    until = values.get("valid_until")
    if until and until < (now - ZONES_BEHIND).date():
        yield Issue(_("The authorisation has expired already."), "valid_until", "value")
    if until and until > (now + FURTHEST_AUTHORISATION).date():
        yield Issue(
            _("The authorisation would hold for more than ten years. Is the year right?"), "valid_until", "value"
        )


def _about_absence(missed: datetime | None, now: datetime) -> Iterator[Issue]:
    if missed and now < missed:
        yield Issue(_("The appointment hasn't begun yet."), code="business-rule")
