"""What a partner reads and writes, against what we hold: translation to and from each partner profile. Pure.

Only `core` (plain FHIR R4 with HL7's task-code) is here; a profile is one more row of `PROFILES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from records.json import Resource

# The lifecycle that a reader of the Task may rely on, one version per step (FHIR R4 Task state machine, COW)
CORE_PATH = ("draft", "requested", "received", "accepted", "in-progress", "completed")


@dataclass(frozen=True, slots=True)
class Profile:
    """One dialect: the legal forward path of `Task.status`, and the elements that never leave us, per type."""

    path: tuple[str, ...]
    withheld: Mapping[str, frozenset[str]]


PROFILES: Mapping[str, Profile] = {
    "core": Profile(path=CORE_PATH, withheld={"Task": frozenset({"partOf"})}),
}


def outward(body: Resource, profile: str, origin: str) -> Resource:
    """A copy without what never leaves Baton: our extensions (``stage``, ``stage-due``, …), ``partOf``, our meta."""
    withheld = PROFILES[profile].withheld.get(body["resourceType"], frozenset()) | {"id", "meta"}
    copy = {key: value for key, value in body.items() if key not in withheld}
    extensions = [each for each in copy.pop("extension", []) if not is_internal(each, origin)]
    if extensions:
        copy["extension"] = extensions
    return copy


def is_internal(extension: Resource, origin: str) -> bool:
    """Whether an extension is one that Baton defined for itself."""
    return str(extension.get("url", "")).startswith(f"{origin}/")


def next_status(profile: str, current: str, wanted: str) -> str:
    """The status to write next on the way from ``current`` to ``wanted``: ``wanted`` itself, or the step before it.

    A jump forward on the path is walked step by step (AU eRequesting and COW refuse requested → completed); a step off the
    path (rejected, cancelled, failed, on-hold, entered-in-error) is one step.
    """
    path = PROFILES[profile].path
    if current not in path or wanted not in path or path.index(wanted) <= path.index(current):
        return wanted
    return path[path.index(current) + 1]
