"""What a search was posted for stays out of every address that its answer names.

Who posts a search (``[base]/[type]/_search``) does it because a name or a birth date must be in no URL: URLs end up in
logs, histories and proxies. So ``self`` names the parameters of the form, each without its value, and ``next`` carries
them encrypted and authenticated (Fernet) inside ``_page``, so that it can be followed by GET like every other page.
https://hl7.org/fhir/R4/search.html, https://hl7.org/fhir/R4/http.html#search.
"""

import base64
import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils.translation import gettext as _

from records.errors import Issue, Malformed
from records.search.compiler import Given
from records.search.options import NAMES, PAGE

MARK = "p."
"""What such a page key begins with; the keys of `records.search.paging` never do."""
Pairs = list[Given]


def named(used: tuple[Given, ...], form: Pairs) -> Pairs:
    """The parameters as an address may show them: what only shapes the answer in full, else names alone."""
    hidden = {given for given in form if given[0] not in NAMES}
    return [(name, "" if (name, value) in hidden else value) for name, value in used]


def seal(form: Pairs, page: str) -> str:
    """The key of the next page together with what the form said."""
    said = [given for given in form if given[0] != PAGE]
    return MARK + _cipher().encrypt(json.dumps([said, page]).encode()).decode().rstrip("=")


def opened(address: Pairs) -> tuple[Pairs, Pairs]:
    """The parameters of an address, and those of the form that its page key keeps; `Malformed` for an edited key."""
    sealed = next((value for name, value in address if name == PAGE and value.startswith(MARK)), "")
    if not sealed:
        return address, []
    key = sealed.removeprefix(MARK)
    try:
        said, page = json.loads(_cipher().decrypt(key + "=" * (-len(key) % 4)))
    except (InvalidToken, ValueError) as error:
        raise Malformed(_("This page key is not valid for this search."), Issue("_page", code="value")) from error
    form = [(str(name), str(value)) for name, value in said]
    return [(name, page if value == sealed else value) for name, value in address], form


def _cipher() -> Fernet:
    secret = hashlib.sha256(b"api.fhir.posted\n" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(secret))
