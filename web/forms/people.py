"""The forms about people: being away, standing in, and giving work away."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from records.errors import BatonError
from web.forms import moments

Choices = Sequence[tuple[str, str]]


class PeopleForm(forms.Form):
    """A form whose refusals by the domain are said at its fields."""

    use_required_attribute = False

    def refuse(self, error: BatonError) -> None:
        """Say what was wrong, at its field where the error names one."""
        for issue in error.issues:
            self.add_error(issue.expression if issue.expression in self.fields else None, issue.text or error.message)


def _moment(label: Any) -> forms.DateTimeField:
    return moments.moment(label=label)


def _choice(label: Any, known: Choices, empty: Any, *, required: bool) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=required, choices=[("", empty), *known])


class AbsenceForm(PeopleForm):
    """Who is away, from when to when, and who stands in."""

    starts_at = _moment(_("Away from"))
    ends_at = _moment(_("Back at"))

    def __init__(self, people: Choices, colleagues: Choices, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        person = forms.ChoiceField(label=_("Who"), choices=[*people])
        if len(people) == 1:
            person.widget = forms.HiddenInput()
            person.initial = people[0][0]
        surrogate = _choice(_("Who stands in"), colleagues, _("Nobody: the pool"), required=False)
        self.fields = {"person": person, "surrogate": surrogate, **self.fields}


class SurrogateForm(PeopleForm):
    """Who stands in for somebody who stays away without a word."""

    def __init__(self, colleagues: Choices, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["surrogate"] = _choice(
            _("Stands in if I stay away unexpectedly"), colleagues, _("Nobody: the pool"), required=False
        )


class HandOverForm(PeopleForm):
    """To whom chosen work, or all of somebody's, goes."""

    def __init__(self, colleagues: Choices, *args: Any, empty: Any = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"] = _choice(_("Hand over to"), colleagues, empty or _("Choose …"), required=False)
        self.fields["note"] = forms.CharField(label=_("Note"), required=False, max_length=2000)
