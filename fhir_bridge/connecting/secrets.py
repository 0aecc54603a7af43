"""Secrets at rest: Fernet (AES-128-CBC, HMAC-SHA256); the installation's first key encrypts, all of them decrypt."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext as _

from records.errors import Unavailable


def sealed(text: str) -> str:
    """The text encrypted; "" stays ""."""
    return _cipher().encrypt(text.encode()).decode() if text else ""


def opened(text: str) -> str:
    """The text in clear; `Unavailable` when the installation's keys are other ones now."""
    if not text:
        return ""
    try:
        return _cipher().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(_("The partner's secret can't be read with this installation's key.")) from error


def _cipher() -> MultiFernet:
    keys = (hashlib.sha256(key.encode()).digest() for key in settings.FIELD_ENCRYPTION_KEYS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
