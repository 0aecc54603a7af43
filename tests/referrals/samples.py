"""Data that fills the form of any transition."""

from datetime import timedelta
from typing import Any

from referrals.vocabulary import Field, Transition
from tests.referrals.ward import MONDAY


def sample(field: Field) -> Any:
    """Something that the field takes; the first code, the first type."""
    return {
        "text": "In words.",
        "code": field.codes[0][0] if field.codes else "",
        "datetime": MONDAY + timedelta(days=3, hours=field.name == "slot_end"),
        "date": MONDAY.date(),
        "reference": f"{field.types[0] if field.types else 'Task'}/1",
        "boolean": True,
        "owner": "Organization/elsewhere",
        "owners": ["Organization/elsewhere"],
        "colleague": "Practitioner/coordinator",
        "second-person": "Practitioner/boss",
    }[field.kind]


def filled(transition: Transition) -> dict[str, Any]:
    """The whole form, but for the Task of another system, which would have to be new each time."""
    return {field.name: sample(field) for field in transition.fields if field.name != "task"}
