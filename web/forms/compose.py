"""What a composer's details step asks, for each kind of care request."""

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from records import clock
from referrals.models.loops import Priority
from web.forms import moments

PRIORITIES = [
    (Priority.ROUTINE, _("routine")),
    (Priority.URGENT, _("urgent")),
    (Priority.ASAP, _("as soon as possible")),
    (Priority.STAT, _("stat")),
]


def day_field(label: Any, *, required: bool = False, hint: Any = "") -> forms.DateField:
    """A date by the browser's own picker, ISO on the wire."""
    return moments.day(label=label, required=required, help_text=hint)


def _words(label: Any, *, required: bool = True, hint: Any = "", rows: int = 4) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows})
    return forms.CharField(label=label, required=required, help_text=hint, max_length=4000, widget=widget)


class Details(forms.Form):
    """What all kinds ask; the browser's own checks are off, so that ours speak the page's language."""

    use_required_attribute = False
    priority = forms.ChoiceField(label=_("Priority"), choices=PRIORITIES, initial="routine")
    note = _words(_("Note for the recipient"), required=False, rows=3)

    def clean(self) -> dict[str, Any]:
        """No date lies in the past where the reader is, and a window ends after it starts."""
        cleaned = super().clean() or {}
        today = timezone.localdate(clock.now())
        for name in ("needed_by", "window_end"):
            if cleaned.get(name) and cleaned[name] < today:
                self.add_error(name, _("This date has passed."))
        if (
            cleaned.get("window_start")
            and cleaned.get("window_end")
            and cleaned["window_end"] < cleaned["window_start"]
        ):
            self.add_error("window_end", _("The window ends before it starts."))
        return cleaned


class ReferralDetails(Details):
    """Reason, priority, needed by."""

    field_order = ("reason", "advice", "priority", "needed_by", "note")
    reason = _words(_("Reason and question"), hint=_("What do you want to know, and what has been done so far?"))
    advice = forms.BooleanField(label=_("Advice is enough: the patient need not be seen"), required=False)
    needed_by = day_field(_("Needed by"))


class FollowUpDetails(Details):
    """The window of the visit or call."""

    field_order = ("reason", "window_start", "window_end", "priority", "note")
    reason = _words(_("Why should the patient come again?"))
    window_start = day_field(_("Not before"))
    window_end = day_field(_("Not after"), required=True)


class TestOrderDetails(Details):
    """The test and its question."""

    __test__ = False
    field_order = ("test", "loinc", "reason", "priority", "needed_by", "note")
    test = forms.CharField(label=_("Test"), max_length=200, help_text=_("For example: HbA1c, chest X-ray"))
    loinc = forms.RegexField(r"^\d{1,7}-\d$", label=_("LOINC code"), required=False, help_text=_("For example: 4548-4"))
    reason = _words(_("Clinical question"), required=False)
    needed_by = day_field(_("Needed by"))


FORMS: dict[str, type[Details]] = {
    "referral": ReferralDetails,
    "follow-up": FollowUpDetails,
    "test-order": TestOrderDetails,
}
