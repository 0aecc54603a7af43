"""The form to sign in with."""

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Django's own, in our words; the same answer whether the name or the password was wrong."""

    error_messages = {
        "invalid_login": _("This name and password don't go together. Check both; capital letters matter."),
        "inactive": _("This name and password don't go together. Check both; capital letters matter."),
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["username"].label = _("User name")
        self.fields["password"].label = _("Password")
