"""What R4 says of each element, read from the field metadata of `fhir.resources` once and corrected where it differs.

The library knows R4B (4.3.0). A comparison with HL7's own StructureDefinitions 4.0.1 found these differences for the
types that we declare and the data types below them; the corrections are the tables here:

* code lists that the library cuts off with ``+``, or doesn't know (`CODES`),
* ``Extension.valueMeta``, which R4 has and R4B's class lacks, and two value types that only R4B has,
* targets of ``Observation.subject``, where R4B allows more.

Types that we declare nothing for are kept as they are; R4B has renamed or rebuilt many of these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from records.types.names import R4_TYPES
from records.validation.primitives import PRIMITIVES

_ANNOTATION = re.compile(r"(typing\.List\[)?(?:fhirtypes\.)?(\w+?)(?:Type)?(?: \| None)?\]?(?: \| None)?")
_CUT_OFF = "+"

_OBSERVATION = "registered preliminary final amended corrected cancelled entered-in-error unknown"
_ENCOUNTER = "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
_COMPARATORS = "< <= >= >"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CODES = {
    path: _words(codes)
    for path, codes in {
        "Task.status": "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed"
        " entered-in-error",
        "Encounter.status": _ENCOUNTER,
        "EncounterStatusHistory.status": _ENCOUNTER,
        "DiagnosticReport.status": "registered partial preliminary final amended corrected appended cancelled"
        " entered-in-error unknown",
        "Observation.status": _OBSERVATION,
        "QuestionnaireItem.type": "group display question boolean decimal integer date dateTime time string text url"
        " choice open-choice attachment reference quantity",
        "AuditEvent.action": "C R U D E",
        "AuditEvent.outcome": "0 4 8 12",
        "AuditEventAgentNetwork.type": "1 2 3 4 5",
        "Composition.confidentiality": "U L M N R V",
        **dict.fromkeys(
            (f"{name}.comparator" for name in ("Quantity", "Age", "Duration", "Count", "Distance")), _COMPARATORS
        ),
        "TimingRepeat.when": "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS"
        " HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV",
    }.items()
} | {"Questionnaire.subjectType": R4_TYPES}
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
CONCEPTS = {
    "Condition.clinicalStatus": (
        f"{_TERMINOLOGY}condition-clinical",
        _words("active recurrence relapse inactive remission resolved"),
    ),
    "Condition.verificationStatus": (
        f"{_TERMINOLOGY}condition-ver-status",
        _words("unconfirmed provisional differential confirmed refuted entered-in-error"),
    ),
}
_NOT_IN_R4 = frozenset({"valueCodeableReference", "valueRatioRange"})
_TARGETS = {"Observation.subject": frozenset({"Patient", "Group", "Device", "Location"})}


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its type (a word of `PRIMITIVES` or a data type), how often, which codes, which targets.

    ``choice`` is the stem of a choice of types (``value`` for ``valueString``); ``concept`` the system and codes that
    a required binding of a CodeableConcept allows.
    """

    name: str
    type: str
    many: bool
    is_required: bool
    is_primitive: bool
    choice: str
    codes: frozenset[str] | None
    concept: tuple[str, frozenset[str]] | None
    targets: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Shape:
    """All elements of a type by JSON name, and what must be there: names, and choices (stem → names)."""

    elements: dict[str, Element]
    required: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    required_choices: tuple[str, ...]


@cache
def shape(type_name: str) -> Shape:
    """The shape of a resource, data type or backbone element (``TaskInput``) of R4."""
    elements = {element.name: element for element in _elements(type_name)}
    stems = sorted({element.choice for element in elements.values() if element.choice})
    choices = {stem: tuple(name for name, e in elements.items() if e.choice == stem) for stem in stems}
    return Shape(
        elements,
        tuple(name for name, element in elements.items() if element.is_required and not element.choice),
        choices,
        tuple(stem for stem, names in choices.items() if any(elements[name].is_required for name in names)),
    )


def _elements(type_name: str) -> Iterator[Element]:
    model = get_fhir_model_class(type_name)
    annotations = {
        key: text for base in reversed(model.__mro__) for key, text in vars(base).get("__annotations__", {}).items()
    }
    for key, field in model.model_fields.items():
        extra = field.json_schema_extra
        name = field.alias or key
        if isinstance(extra, dict) and extra.get("element_property") and name not in _NOT_IN_R4:
            yield _element(type_name, name, str(annotations[key]), extra)
    if type_name == "Extension":
        yield _element(type_name, "valueMeta", "fhirtypes.MetaType | None", {"one_of_many": "value"})


def _element(type_name: str, name: str, annotation: str, extra: dict[str, Any]) -> Element:
    matched = _ANNOTATION.fullmatch(annotation.replace(" | None]", "]"))
    kind = _TYPE_NAMES.get(matched[2], matched[2]) if matched else "String"
    kind = "String" if name == "id" and type_name not in R4_TYPES else kind
    path = f"{type_name}.{name}"
    return Element(
        name=name,
        type=kind,
        many=bool(matched and matched[1]),
        is_required=bool(extra.get("element_required") or extra.get("one_of_many_required")),
        is_primitive=kind in PRIMITIVES,
        choice=str(extra.get("one_of_many") or ""),
        codes=CODES.get(path) or _codes(extra.get("enum_values")),
        concept=CONCEPTS.get(path),
        targets=_TARGETS.get(path) or _targets(extra.get("enum_reference_types")),
    )


_TYPE_NAMES = {"bool": "Boolean", "str": "String"}


def _codes(values: list[str] | None) -> frozenset[str] | None:
    return frozenset(values) if values and _CUT_OFF not in values else None


def _targets(types: list[str] | None) -> frozenset[str] | None:
    return frozenset(types) if types and "Resource" not in types else None
