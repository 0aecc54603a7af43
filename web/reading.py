"""How FHIR says things, in words for a person. Everything is plain text: a narrative never becomes HTML.

Bodies are parsed resources of `records` (R4); what is missing gives an empty text, and the page says "Not known".
"""

from datetime import date, datetime
from html.parser import HTMLParser
from typing import Any

from django.utils import formats, timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy, ngettext

from records.json import Resource

SEXES = {
    "male": gettext_lazy("male"),
    "female": gettext_lazy("female"),
    "other": gettext_lazy("other"),
    "unknown": gettext_lazy("unknown"),
}
BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre"})


def person_name(body: Resource) -> str:
    """The official or usual name of a Patient or Practitioner, family name last."""
    names = [name for name in body.get("name", []) if name.get("use") not in ("old", "maiden", "anonymous")]
    names.sort(
        key=lambda name: ("official", "usual").index(name["use"]) if name.get("use") in ("official", "usual") else 2
    )
    if not names:
        return ""
    first = names[0]
    return str(first.get("text") or " ".join([*first.get("given", []), first.get("family", "")]).strip())


def concept(value: Any) -> str:
    """A CodeableConcept: its text, else the first display, else the first code."""
    if not isinstance(value, dict):
        return ""
    codings = value.get("coding", [])
    shown = [coding.get("display") for coding in codings] + [coding.get("code") for coding in codings]
    return str(value.get("text") or next((words for words in shown if words), ""))


def day(text: str) -> str:
    """A FHIR date (also a year or a month alone), as the reader writes it."""
    known = _date(text)
    return formats.date_format(known, "DATE_FORMAT") if known else text


def moment(text: str) -> str:
    """A FHIR dateTime or instant in the reader's time zone; a date alone stays a date.

    What no calendar has, or the reader's zone would push beyond the end of time, stays as it was written.
    """
    try:
        instant = parse_datetime(text) if "T" in text else None
        known = timezone.localtime(instant) if instant is not None and timezone.is_aware(instant) else instant
    except (OverflowError, ValueError):
        return text
    return day(text) if known is None else formats.date_format(known, "DATETIME_FORMAT")


def period(value: Any) -> str:
    """A Period as "from – to"."""
    if not isinstance(value, dict):
        return ""
    return " – ".join(moment(str(value[end])) for end in ("start", "end") if value.get(end))


def age(born: str, today: date) -> str:
    """Completed years ("46 years"), or completed months below two years; empty when the date is not full, or to come."""
    known = _date(born)
    if known is None or known > today:
        return ""
    months = (today.year - known.year) * 12 + today.month - known.month - (today.day < known.day)
    if months < 24:  # noqa: PLR2004
        return ngettext("%(count)d month", "%(count)d months", months) % {"count": months}
    return ngettext("%(count)d year", "%(count)d years", months // 12) % {"count": months // 12}


def identifier(body: Resource) -> str:
    """The identifier that people know: the first with a value, medical record numbers first."""
    known = [one for one in body.get("identifier", []) if one.get("value")]
    known.sort(key=lambda one: "MR" not in [coding.get("code") for coding in one.get("type", {}).get("coding", [])])
    return str(known[0]["value"]) if known else ""


def telecom(body: Resource) -> str:
    """The first telephone number, else the first other contact point."""
    known = [one for one in body.get("telecom", []) if one.get("value")]
    known.sort(key=lambda one: one.get("system") != "phone")
    return str(known[0]["value"]) if known else ""


def narrative(body: Resource) -> str:
    """The resource's narrative as plain text, one line per block."""
    return plain_text(str(body.get("text", {}).get("div", "")))


def plain_text(markup: str) -> str:
    """What is written in XHTML, without any of its markup."""
    reader = _TextReader()
    reader.feed(markup)
    reader.close()
    lines = ("".join(reader.parts)).splitlines()
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def _date(text: str) -> date | None:
    try:
        return parse_date(text[:10]) or None
    except ValueError:
        return None


class _TextReader(HTMLParser):
    """Collects the text, leaves out scripts and styles, breaks lines at blocks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("script", "style")
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in ("script", "style")))
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)

    def _break(self, tag: str) -> None:
        if tag in BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")


def when(value: Any) -> str:
    """A moment that our own rows hold (aware), else FHIR's text, in the reader's words."""
    if isinstance(value, datetime):
        return formats.date_format(timezone.localtime(value), "DATETIME_FORMAT")
    return moment(str(value)) if value else ""
