"""What a partner's server can do, as far as it is of use to us: a small frozen value, and the form in which a row keeps it.

Sources: CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), SMART configuration
(https://hl7.org/fhir/smart-app-launch/conformance.html). Whoever reads one gets a value, whatever the server has sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Source = Literal["", "statement", "probe"]
Subscriptions = Literal["", "rest-hook", "backport"]

TYPES = frozenset(
    {
        "Appointment",
        "AppointmentResponse",
        "Binary",
        "CarePlan",
        "CareTeam",
        "Communication",
        "CommunicationRequest",
        "Composition",
        "Condition",
        "Consent",
        "Coverage",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "Endpoint",
        "Goal",
        "Group",
        "HealthcareService",
        "Location",
        "Observation",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "Questionnaire",
        "QuestionnaireResponse",
        "RelatedPerson",
        "Schedule",
        "ServiceRequest",
        "Slot",
        "Specimen",
        "Subscription",
        "Task",
    }
)
"""The types of which we keep what a server says; of any other one it is as if it said nothing."""

PARAMS = frozenset(
    {
        "_id",
        "_lastUpdated",
        "_tag",
        "based-on",
        "code",
        "focus",
        "group-identifier",
        "identifier",
        "organization",
        "owner",
        "patient",
        "performer",
        "requester",
        "status",
        "subject",
    }
)
"""The search parameters that decide how we read."""


@dataclass(frozen=True, slots=True)
class TypeAbilities:
    """What it does with one type: codes of http://hl7.org/fhir/restful-interaction, of `PARAMS` what it searches by."""

    interactions: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    versioning: str = ""
    conditional_create: bool = False
    conditional_update: bool = False
    conditional_delete: bool = False
    update_create: bool = False

    @property
    def is_offered(self) -> bool:
        """Whether it does anything at all with this type."""
        return bool(self.interactions)


@dataclass(frozen=True, slots=True)
class Smart:
    """What its SMART configuration says of tokens; ``token_endpoint`` may be anywhere and is not to be trusted."""

    token_endpoint: str = ""
    grants: frozenset[str] = frozenset()
    auth_methods: frozenset[str] = frozenset()
    signing_algs: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do. ``source`` says how we know: its own statement, careful trying, or "" for not at all.

    ``others`` holds for every type that ``types`` doesn't name. ``system`` are interactions with the whole server
    (``transaction``, ``batch`` …), ``exports`` of which kinds of ``$export`` there are (``system``, ``patient``,
    ``group``), ``topics`` the canonicals of its subscription topics.
    """

    source: Source = ""
    software: str = ""
    fhir_version: str = ""
    system: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    subscriptions: Subscriptions = ""
    topics: frozenset[str] = frozenset()
    smart: Smart = field(default_factory=Smart)
    others: TypeAbilities = field(default_factory=TypeAbilities)
    types: Mapping[str, TypeAbilities] = field(default_factory=dict)

    def of(self, type_: str) -> TypeAbilities:
        """What it does with that type."""
        return self.types.get(type_, self.others)

    def may_create(self, type_: str) -> bool:
        """Whether a new one of that type may be sent: only its own statement can say that it takes none."""
        return self.source != "statement" or "create" in self.of(type_).interactions

    def stored(self) -> dict[str, Any]:
        """The JSON that a row keeps; what is empty is left out."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> "Abilities":
        """From what `stored` gave; an empty one is a server that was never asked."""
        nested = {
            "smart": _restored(Smart, stored.get("smart", {})),
            "others": _restored(TypeAbilities, stored.get("others", {})),
            "types": {name: _restored(TypeAbilities, each) for name, each in stored.get("types", {}).items()},
        }
        return _restored(cls, {**stored, **nested})


def _plain(value: Any) -> Any:
    if isinstance(value, (Abilities, Smart, TypeAbilities)):
        value = {name: getattr(value, name) for name in value.__slots__}
    if isinstance(value, Mapping):
        plain = {name: _plain(each) for name, each in value.items()}
        return {name: each for name, each in plain.items() if each}
    return sorted(value) if isinstance(value, frozenset) else value


Value = TypeVar("Value", Abilities, Smart, TypeAbilities)


def _restored(kind: type[Value], stored: Mapping[str, Any]) -> Value:
    """One value of what is kept, without what a later or earlier version of us has kept beside it."""
    known: dict[str, Any] = {
        name: frozenset(each) if isinstance(each, list) else each
        for name, each in stored.items()
        if name in kind.__slots__
    }
    return kind(**known)
