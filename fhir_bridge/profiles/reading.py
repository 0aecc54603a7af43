"""A partner's Task, translated to core: our codings of stage and reason put beside theirs. Pure."""

from collections.abc import Iterator
from typing import Any

from fhir_bridge.profiles import reasons
from fhir_bridge.profiles.table import Profile
from records.json import Resource
from referrals.pathways import STAGES

STAGE_SYSTEM = "CodeSystem/stage"


def inward(task: Resource, profile: Profile, origin: str, kind: str = "referral") -> Resource:
    """A copy with our codings of the stage and the reason that it names, for a loop of this ``kind``; else as it is.

    Nothing of theirs is removed. A code whose status doesn't allow its stage is given its stage all the same: it is
    read as contradictory, kept and shown, and the status wins (PATHWAYS §3). A Task that names a stage of ours
    itself is left alone.
    """
    if task.get("resourceType") != "Task":
        return task
    return _with_stage(reasons.inward(task, profile.reasons, origin), profile, origin, kind)


def _with_stage(task: Resource, profile: Profile, origin: str, kind: str) -> Resource:
    said = task.get("businessStatus")
    if not isinstance(said, dict):
        return task
    ours = f"{origin}/{STAGE_SYSTEM}"
    codings = [each for each in said.get("coding", []) if isinstance(each, dict)]
    if any(each.get("system") == ours for each in codings):
        return task
    stage = next(_stages(codings, profile, kind, task), "")
    if not stage:
        return task
    return {**task, "businessStatus": {**said, "coding": [*said["coding"], {"system": ours, "code": stage}]}}


def _stages(codings: list[dict[str, Any]], profile: Profile, kind: str, task: Resource) -> Iterator[str]:
    """The stage that each of the dialect's codings names, for as far as it names one of this kind of loop."""
    for coding in codings:
        named = (
            profile.reads.get(str(coding.get("code")).lower(), ()) if coding.get("system") in profile.systems else ()
        )
        of_kind = [code for code in named if kind in STAGES["fulfil", code].loop_kinds]
        allowed = [code for code in of_kind if task.get("status") in STAGES["fulfil", code].reads]
        yield from _with_outcome(allowed or of_kind, task)[:1]


def _with_outcome(stages: list[str], task: Resource) -> list[str]:
    """Without an output, what was completed has no report."""
    return stages if task.get("output") else sorted(stages, key=lambda code: code != "completed-no-report")
