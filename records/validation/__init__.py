"""Whether a resource is valid FHIR R4 (4.0.1): one walk over the parsed body, beside the tables.

The tables (`tables.py`) come from `fhir.resources`; its own parser is not used, since it loses ``1.50``, is slow on
big exponents, recurses and trips over contained types that it doesn't know. Checked are: names, cardinality, types,
required codes, the types of reference targets, and the invariants that our own code relies on (`invariants.py`).
Not checked: profiles, extensible bindings, whether a referenced resource exists.

Types that we declare no search for are kept as they are, but for id and meta. Narrative is kept as it came; it is
never rendered, so a script in it is inert.
"""

from typing import Any

from django.utils.translation import gettext as _

from records import references
from records.errors import Incorrect, Issue
from records.json import Resource
from records.types import TYPES, row_class
from records.types.names import R4_TYPES
from records.validation.invariants import INVARIANTS
from records.validation.primitives import PRIMITIVES
from records.validation.tables import Element, Shape, shape

MAX_ISSUES = 50
_NAMED = 5

Path = tuple[Any, str]  # (the path above or None, this step): put together only when there is something to say


def check(body: Resource, *, lenient: bool = False) -> None:
    """Raise `Incorrect` naming each element that is against FHIR R4.

    ``lenient`` (what a partner's EHR sent) keeps elements that R4 doesn't know; from anybody else they are refused,
    because a misspelt element would otherwise be lost without a word.
    """
    type_name = str(body.get("resourceType"))
    row_class(type_name)  # `Unsupported` for what is no type of R4
    walk = _Walk(is_lenient=lenient)
    if type_name in TYPES:
        walk.resource(body, (None, type_name))
    else:
        walk.foreign(body, (None, type_name))
    if walk.issues:
        names = ", ".join(dict.fromkeys(issue.expression for issue in walk.issues[:_NAMED]))
        raise Incorrect(_("This is not valid FHIR R4: %(elements)s.") % {"elements": names}, *walk.issues)


def _write(path: Path) -> str:
    above, step = path
    return f"{_write(above)}.{step}" if above else step


class _Walk:
    """One walk; collects the issues."""

    def __init__(self, *, is_lenient: bool) -> None:
        self.is_lenient = is_lenient
        self.issues: list[Issue] = []

    def say(self, path: Path, text: str, code: str) -> None:
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(Issue(text, _write(path), code))

    def resource(self, body: Any, path: Path) -> None:
        """A whole resource, also one within another."""
        if not isinstance(body, dict):
            self.say(path, _("An object is needed here."), "structure")
            return
        type_name = body.get("resourceType")
        if type_name in TYPES:
            self.object(body, str(type_name), path)
        elif type_name in R4_TYPES:
            self.foreign(body, path)
        else:
            self.say((path, "resourceType"), _("Not a resource type of FHIR R4."), "value")

    def foreign(self, body: dict[str, Any], path: Path) -> None:
        """A type that we declare nothing for: only what our own code touches."""
        if "id" in body and not PRIMITIVES["Id"](body["id"]):
            self.say((path, "id"), _("Not a valid id."), "value")
        if "meta" in body:
            self.value(body["meta"], shape("Patient").elements["meta"], (path, "meta"))

    def object(self, body: Any, type_name: str, path: Path) -> None:
        """An object against the shape of its type."""
        if not isinstance(body, dict) or not body:
            self.say(path, _("An object that is not empty is needed here."), "structure")
            return
        described = shape(type_name)
        for key, value in body.items():
            element = described.elements.get(key)
            if element is not None:
                self.element(value, element, (path, key))
            else:
                self.undescribed(key, value, described.elements, path)
        self.presence(body, described, path)
        for invariant in INVARIANTS.get(type_name, ()):
            is_asked = not (self.is_lenient and invariant.spares_partners)
            if is_asked and not invariant.holds(body):
                self.say((path, invariant.element) if invariant.element else path, str(invariant.text), "invariant")

    def presence(self, body: dict[str, Any], described: Shape, path: Path) -> None:
        """What must be there, and of a choice of types at most one."""
        for name in described.required:
            if name not in body and f"_{name}" not in body:
                self.say((path, name), _("This element is required."), "required")
        for stem, names in described.choices.items():
            present = [name for name in names if name in body or f"_{name}" in body]
            if len(present) > 1:
                self.say((path, present[1]), _("Only one of the types of this element may be used."), "structure")
            elif not present and stem in described.required_choices:
                self.say((path, f"{stem}[x]"), _("This element is required."), "required")

    def undescribed(self, key: str, value: Any, elements: dict[str, Element], path: Path) -> None:
        """The companion of a primitive, ``resourceType``, or an element that R4 doesn't know."""
        primitive = elements.get(key[1:]) if key[:1] == "_" else None
        if primitive is not None and primitive.is_primitive:
            items = value if primitive.many and isinstance(value, list) else [value]
            for item in items:
                if item is not None:
                    self.object(item, "Element", (path, key))
        elif not self.is_lenient and not (key == "resourceType" and "implicitRules" in elements):
            self.say((path, key), _("FHIR R4 doesn't know this element."), "structure")

    def element(self, value: Any, element: Element, path: Path) -> None:
        """A value, or the values of an element that repeats."""
        if not element.many:
            self.value(value, element, path)
        elif not isinstance(value, list):
            self.say(path, _("A list is needed here."), "structure")
        elif not value:
            self.say(path, _("A list must not be empty."), "structure")
        else:
            above, name = path
            for index, item in enumerate(value):
                if item is not None or not element.is_primitive:  # null holds the place of an extension
                    self.value(item, element, (above, f"{name}[{index}]"))

    def value(self, value: Any, element: Element, path: Path) -> None:
        """One value by its type, code list and targets."""
        if element.is_primitive:
            self.primitive(value, element, path)
        elif element.type == "Resource":
            self.resource(value, path)
        else:
            self.object(value, element.type, path)
            if isinstance(value, dict) and (element.targets is not None or element.concept is not None):
                self.bound(value, element, path)

    def primitive(self, value: Any, element: Element, path: Path) -> None:
        """A value that is no object."""
        if not PRIMITIVES[element.type](value):
            self.say(path, _("Not a valid %(type)s.") % {"type": element.type}, "value")
        elif element.codes is not None and value not in element.codes:
            self.say(path, _("Not one of the codes that FHIR R4 allows here."), "code-invalid")

    def bound(self, value: dict[str, Any], element: Element, path: Path) -> None:
        """The type of a literal reference, where it tells one of R4; the codings of a concept with a code list."""
        reference = value.get("reference")
        kind = references.type_of(reference) if element.type == "Reference" and isinstance(reference, str) else ""
        if element.targets is not None and kind in R4_TYPES and kind not in element.targets:
            self.say((path, "reference"), _("A reference to this type is not allowed here."), "structure")
        if element.concept is not None and not _is_bound(value, *element.concept):
            self.say(path, _("None of the codings is one that FHIR R4 allows here."), "code-invalid")


def _is_bound(concept: dict[str, Any], system: str, codes: frozenset[str]) -> bool:
    given = concept.get("coding")
    codings = [coding for coding in given if isinstance(coding, dict)] if isinstance(given, list) else []
    return any(coding.get("system") == system and coding.get("code") in codes for coding in codings)
