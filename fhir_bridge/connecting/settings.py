"""What an administrator may set of a partner: names, forms and bounds. A value comes as text; "" is the choice by itself.

Numbers: requests a minute and requests at once ("" for no bound of ours), and seconds. Choices: the ways of
`fhir_bridge.capabilities.choices`. Who we are there is checked as a whole (`fhir_bridge.connecting.credentials`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from fhir_bridge.capabilities import choices
from fhir_bridge.connecting import credentials, limits, registration, secrets
from fhir_bridge.connecting.credentials import Credentials
from fhir_bridge.models import Partner
from fhir_bridge.profiles import PROFILES
from records.errors import Incorrect

WITHOUT_SECRET = frozenset({Partner.Auth.NONE, Partner.Auth.SMART_BACKEND})
LOGIN = ("auth", "client-id", "scope", "token-url")


@dataclass(frozen=True, slots=True)
class Number:
    """Whole numbers within bounds; ``may_be_none``: "" is none."""

    least: int
    most: int
    may_be_none: bool = False


NUMBERS: Mapping[str, Number] = {
    "requests-per-minute": Number(1, 60_000, may_be_none=True),
    "concurrency": Number(1, limits.MOST_AT_ONCE, may_be_none=True),
    "silence-seconds": Number(60, 30 * 86_400),
    "overlap-seconds": Number(0, 7 * 86_400),
    "lag-seconds": Number(0, 3_600),
}
WORDS: Mapping[str, tuple[str, ...]] = {
    "profile": tuple(sorted(PROFILES)),
    "task-host": tuple(Partner.TaskHost.values),
}
NAMES = (*registration.NAMES, *LOGIN, *WORDS, *NUMBERS, *choices.WAYS)


def put(row: Partner, told: Mapping[str, str], secret: str | None = None, *, is_moved: bool = False) -> list[str]:
    """Put what is told into the row, which the caller saves; give the names of what is another now.

    ``secret`` None leaves it; ``is_moved`` as in `fhir_bridge.connecting.registration`. Raise `Incorrect`, naming what
    may be, for anything that can't be.
    """
    old_url, login = row.base_url, {name: text for name, text in told.items() if name in LOGIN}
    ties = {name: text for name, text in told.items() if name in registration.NAMES}
    changed = registration.put(row, ties, is_moved=is_moved)
    changed += [name for name in told if name not in ties and _put_one(row, name, told[name])]
    if login.get("auth", row.auth) not in WITHOUT_SECRET:
        registration.check_secret(row, old_url, secret)
    if login or secret is not None or row.base_url != old_url:
        changed += _put_login(row, login, secret)
    return changed


def _put_one(row: Partner, name: str, text: str) -> bool:
    if name in LOGIN:
        return False
    if name in choices.WAYS:
        return _choose(row, name, text)
    field = name.replace("-", "_")
    value = _number(name, text) if name in NUMBERS else _word(name, text)
    was = getattr(row, field)
    setattr(row, field, value)
    return bool(was != value)


def _choose(row: Partner, aspect: str, way: str) -> bool:
    choices.check(aspect, way)
    was: dict[str, str] = row.chosen
    row.chosen = {name: each for name, each in {**was, aspect: way}.items() if each}
    return bool(row.chosen != was)


def _number(name: str, text: str) -> int | None:
    bounds = NUMBERS[name]
    if not text and bounds.may_be_none:
        return None
    if not (text.isascii() and text.isdigit() and bounds.least <= int(text[:12]) <= bounds.most):
        words = _("%(name)s is a whole number from %(least)d to %(most)d.")
        raise Incorrect(words % {"name": name, "least": bounds.least, "most": bounds.most})
    return int(text)


def _word(name: str, text: str) -> str:
    if name not in WORDS:
        raise Incorrect(_("There is no setting “%(name)s”. There are: %(names)s.") % _said(name, NAMES))
    if text not in WORDS[name]:
        raise Incorrect(_("%(name)s is one of these: %(names)s.") % _said(name, WORDS[name]))
    return text


def _said(name: str, there: tuple[str, ...]) -> dict[str, str]:
    return {"name": name, "names": ", ".join(there)}


def _put_login(row: Partner, login: Mapping[str, str], secret: str | None) -> list[str]:
    auth = login.get("auth", row.auth)
    kept = "" if auth in WITHOUT_SECRET or secret is not None else secrets.opened(row.secret)
    known = Credentials(
        auth,
        kept if secret is None else secret,
        login.get("client-id", row.client_id),
        login.get("scope", row.scope),
        login.get("token-url", row.token_url),
    ).checked(row.base_url)
    before = list(_login_of(row))
    credentials.put(row, known)
    pairs = zip(LOGIN, before, _login_of(row), strict=True)
    return [name for name, was, now in pairs if was != now] + (["secret"] if secret is not None else [])


def _login_of(row: Partner) -> Iterator[str]:
    return (getattr(row, name.replace("-", "_")) for name in LOGIN)
