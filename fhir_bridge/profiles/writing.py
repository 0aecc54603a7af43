"""A resource of ours as a partner reads it: without what never leaves, the stage in its words, step by step. Pure."""

from typing import Any

from fhir_bridge.profiles import reasons
from fhir_bridge.profiles.reading import STAGE_SYSTEM
from fhir_bridge.profiles.table import Profile
from records.json import Resource

# What a performer writes with a status; a step on the way says none of it yet
_OF_THE_OUTCOME = ("businessStatus", "statusReason", "output", "executionPeriod")


def outward(body: Resource, profile: Profile, origin: str) -> Resource:
    """A copy in the dialect, without our extensions (``stage``, ``stage-due``, …), ``partOf`` and our meta."""
    withheld = profile.withheld.get(body["resourceType"], frozenset()) | {"id", "meta"}
    copy = {key: value for key, value in body.items() if key not in withheld}
    extensions = [each for each in copy.pop("extension", []) if not is_internal(each, origin)]
    if extensions:
        copy["extension"] = extensions
    return _in_their_words(copy, profile, origin) if body["resourceType"] == "Task" else copy


def is_internal(extension: Resource, origin: str) -> bool:
    """Whether an extension is one that Baton defined for itself."""
    return str(extension.get("url", "")).startswith(f"{origin}/")


def _in_their_words(task: Resource, profile: Profile, origin: str) -> Resource:
    stage = _stage_of(task, origin)
    status = str(task.get("status", ""))
    for key in ((stage, status), ("", status)):
        if key in profile.statuses:
            task = task | {"status": profile.statuses[key]}
            break
    return reasons.outward(_explained(_with_word(task, stage, profile), profile), profile.reason_codes, origin)


def _stage_of(task: Resource, origin: str) -> str:
    codings = task.get("businessStatus", {}).get("coding", [])
    return next((str(each.get("code")) for each in codings if each.get("system") == f"{origin}/{STAGE_SYSTEM}"), "")


def _with_word(task: Resource, stage: str, profile: Profile) -> Resource:
    """The stage by the dialect's code, before ours; without another one of the dialect's that says something else."""
    if not stage or not profile.system:
        return task
    word = profile.words.get(stage)
    said = task["businessStatus"]
    others = [each for each in said["coding"] if each.get("system") not in profile.systems]
    theirs = [{"system": profile.system, "code": word.code, "display": word.display}] if word else []
    return task | {"businessStatus": {**said, "coding": [*theirs, *others]}}


def _explained(task: Resource, profile: Profile) -> Resource:
    """The reason in words where the dialect asks for them and only a code was given."""
    reason = task.get("statusReason")
    if task.get("status") not in profile.explained or not reason or reason.get("text"):
        return task
    words = next((each["display"] for each in reason.get("coding", []) if each.get("display")), "")
    return task | {"statusReason": {**reason, "text": words}} if words else task


def towards(profile: Profile, theirs: Resource, wanted: Resource) -> tuple[Resource, bool]:
    """(the next version on the way from what the partner has to ``wanted``, whether the way ends there).

    A step on the way says nothing yet of the outcome. A code of the dialect goes with its status alone.
    """
    if wanted.get("resourceType") != "Task" or "status" not in theirs:
        return wanted, True
    goal = str(wanted.get("status"))
    status = next_status(profile, str(theirs["status"]), goal)
    if next_status(profile, status, goal) == status:
        return _fitting({**wanted, "status": status}, profile), True
    rest = {name: value for name, value in wanted.items() if name not in _OF_THE_OUTCOME}
    kept = {"output": theirs["output"]} if "output" in theirs else {}
    return {**rest, **kept, "status": status}, False


def _fitting(task: Resource, profile: Profile) -> Resource:
    said = task.get("businessStatus")
    if not profile.system or not said:
        return task
    codings = [each for each in said.get("coding", []) if _goes_with(each, str(task["status"]), profile)]
    rest = {
        **{name: value for name, value in said.items() if name != "coding"},
        **({"coding": codings} if codings else {}),
    }
    return task | {"businessStatus": rest} if rest else {name: task[name] for name in task if name != "businessStatus"}


def _goes_with(coding: dict[str, Any], status: str, profile: Profile) -> bool:
    with_it = {word.status for word in profile.words.values() if word.code == coding.get("code")}
    return coding.get("system") != profile.system or not with_it or bool({"", status} & with_it)


def next_status(profile: Profile, current: str, wanted: str) -> str:
    """The status to write next on the way from ``current`` to ``wanted``, ``current`` where no way leads on.

    A jump forward on the path is walked step by step (AU eRequesting and COW refuse requested → completed). A status off
    the path (rejected, cancelled, failed, on-hold, entered-in-error) is one step, or turns off by the dialect's table.
    """
    if (current, wanted) in profile.turns:
        return profile.turns[current, wanted]
    is_over = profile.is_strict and current not in {*profile.path[:-1], "on-hold"}
    if is_over and wanted != "entered-in-error":
        return current
    return _along(profile, current, wanted) if wanted in profile.path else wanted


def _along(profile: Profile, current: str, wanted: str) -> str:
    """The next step of the path; what is on hold goes on where work is in progress."""
    goal = profile.path.index(wanted)
    if current == "on-hold" and profile.is_strict:
        return "in-progress" if goal >= profile.path.index("in-progress") else current
    if current not in profile.path:
        return wanted
    at = profile.path.index(current)
    if goal > at:
        return profile.path[at + 1]
    return current if profile.is_strict else wanted
