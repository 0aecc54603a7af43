"""What a Bundle brings in: its resources with ids, and with references that point to where they will be.

All ids are known before anything is written, so references may go forward, backward and round in circles. A reference
by ``fullUrl`` (``urn:uuid:…`` or a URL of the sender) becomes ``Type/id``; a conditional one
(``Practitioner?identifier=system|value``) is looked up here (FHIR R4 §3.1.0.11.2).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.utils.translation import gettext as _

from records import clock, references
from records.errors import Incorrect, Issue
from records.json import Resource

_WHOLE = frozenset({"document", "message"})
_ANSWERS = frozenset({"batch-response", "transaction-response", "searchset", "history"})
_BY_IDENTIFIER = re.compile(r"([A-Z][A-Za-z]+)\?identifier=([^&,]+)")
_UPDATE = re.compile(r"/?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")

Question = tuple[str, str]  # type, and a token: "system|value", "|value" or "value"
Find = Callable[[Iterable[Question], Iterable[Question]], dict[Question, list[str]]]


@dataclass(slots=True)
class _Entry:
    """One resource of the Bundle; ``id`` is where it will be, ``is_here`` that it is there already."""

    path: str
    full_url: str
    resource: Resource
    id: str
    condition: Question | None
    is_here: bool = False

    @property
    def reference(self) -> str:
        return f"{self.resource['resourceType']}/{self.id}"


def is_kept_whole(bundle: Resource) -> bool:
    """Whether a Bundle is a record itself: a document, a message, or one whose entries hold no resource (queries)."""
    entries = bundle.get("entry")
    holds = isinstance(entries, list) and any(isinstance(entry, dict) and "resource" in entry for entry in entries)
    return bundle.get("type") in _WHOLE or not holds


def resources(bundle: Resource, find: Find) -> list[Resource]:
    """The resources to write, in order.

    ``find`` gives the ids that carry each identifier, and holds those of its second argument (``ifNoneExist``) until
    the transaction ends, so that nobody else creates the same at this moment.

    `Incorrect` names the entry that holds no resource to keep or the reference that leads nowhere.
    """
    entries = _entries(bundle)
    conditional = {
        question
        for entry in entries
        for _path, value in references.iter(entry.resource)
        if (question := _question(value["reference"]))
    }
    found = find(conditional, {entry.condition for entry in entries if entry.condition})
    for entry in entries:
        _settle(entry, found)
    by_url = {entry.full_url: entry.reference for entry in entries if entry.full_url}
    _refuse_unresolved(entries, found, by_url)

    def local(reference: str) -> str | None:
        question = _question(reference)
        if question:
            return f"{question[0]}/{found[question][0]}"
        url, mark, fragment = reference.partition("#")
        return f"{by_url[url]}{mark}{fragment}" if url in by_url else None

    return [references.rewrite({**e.resource, "id": e.id}, local) for e in entries if not e.is_here]


def _entries(bundle: Resource) -> list[_Entry]:
    raw = bundle.get("entry", [])
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise _refusal(_("A list of objects is needed here."), "Bundle.entry")
    found = []
    for index, item in enumerate(raw):
        path = f"Bundle.entry[{index}]"
        if isinstance(item.get("resource"), dict):
            found.append(_entry(item, path))
        elif bundle.get("type") not in _ANSWERS:
            raise _refusal(_("This entry holds no resource to keep."), f"{path}.resource")
    return found[::-1] if bundle.get("type") == "history" else found  # a history begins with the newest


def _entry(item: dict[str, Any], path: str) -> _Entry:
    resource, request = item["resource"], item.get("request")
    if not isinstance(resource.get("resourceType"), str):
        raise _refusal(_("A resource needs its resourceType."), f"{path}.resource.resourceType")
    request = request if isinstance(request, dict) else {}
    target = _UPDATE.fullmatch(str(request.get("url", ""))) if request.get("method") == "PUT" else None
    chosen = target[2] if target else resource.get("id")
    query = str(request.get("ifNoneExist", ""))
    condition = _question(query if "?" in query else f"{resource['resourceType']}?{query}")
    if query and condition is None:
        raise _refusal(_("Only identifier=system|value is possible here."), f"{path}.request.ifNoneExist")
    return _Entry(path, str(item.get("fullUrl", "")), resource, str(chosen or clock.new_id()), condition)


def _question(reference: str) -> Question | None:
    match = _BY_IDENTIFIER.fullmatch(unquote(reference))
    return (match[1], match[2]) if match else None


def _settle(entry: _Entry, found: dict[Question, list[str]]) -> None:
    """Take the id of what is here already, where the entry says not to create it twice."""
    here = found.get(entry.condition, []) if entry.condition else []
    if len(here) > 1:
        raise _refusal(_("More than one resource here has this identifier."), f"{entry.path}.request.ifNoneExist")
    if here:
        entry.id, entry.is_here = here[0], True


def _refuse_unresolved(entries: list[_Entry], found: dict[Question, list[str]], by_url: dict[str, str]) -> None:
    issues = []
    for entry in entries:
        for path, value in references.iter(entry.resource):
            text = value["reference"]
            question = _question(text)
            if question and len(found.get(question, [])) != 1:
                issues.append((_("This identifier leads to no resource here, or to several."), entry.path, path))
            elif text.startswith("urn:") and text not in by_url:
                issues.append((_("No entry of the Bundle has this fullUrl."), entry.path, path))
    if issues:
        raise Incorrect(
            _("The Bundle has references that lead nowhere."),
            *(
                Issue(text, f"{at}.resource.{path.partition('.')[2]}.reference", "not-found")
                for text, at, path in issues
            ),
        )


def _refusal(text: str, expression: str) -> Incorrect:
    return Incorrect(text, Issue(text, expression, "invalid"))
