"""Each dialect both ways: what we write is legal there at every step, and what we read back means what was meant."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_bridge.profiles import PROFILES, Profile, inward, next_status, outward, towards
from fhir_bridge.profiles.reasons import GROUPS
from referrals.intake.steps import ENDINGS
from referrals.pathways import REASONS, RESUMES, STAGES

US = "https://baton.example"
OURS = f"{US}/CodeSystem/stage"
KINDS = ("referral", "test-order", "follow-up")
ENDS = {"rejected": "declined", "cancelled": "cancelled", "failed": "failed", "entered-in-error": "entered-in-error"}
OUTCOMES = {"referral": "report-sent", "test-order": "final", "follow-up": "done"}

# What each guide says may follow on a status; the guides' own tables, not ours
R4 = {
    "draft": "requested cancelled",
    "requested": "received accepted rejected cancelled failed on-hold",
    "received": "accepted rejected cancelled failed on-hold",
    "accepted": "in-progress cancelled failed rejected on-hold",
    "in-progress": "completed failed on-hold cancelled rejected accepted",  # a visit that is to be booked again
    "on-hold": "in-progress accepted received requested failed cancelled rejected",
}
AU = {
    "draft": "requested",
    "requested": "received accepted rejected cancelled",
    "received": "accepted rejected cancelled",
    "accepted": "in-progress cancelled",
    "in-progress": "on-hold completed failed",
    "on-hold": "in-progress",
}
COW = R4 | {
    "requested": "received accepted rejected cancelled on-hold",
    "received": "accepted rejected cancelled on-hold",
    "accepted": "in-progress cancelled failed on-hold",
    "in-progress": "completed failed on-hold cancelled",
}
LEGAL = {"core": R4, "gravity": R4, "bser": R4, "cow": COW, "au": AU}

# Which stage remains of one of ours that a dialect has no words for, besides those that its status alone says
COARSER = {
    "core": {},
    "gravity": {"in-triage": "sent", "no-show": "in-progress"},
    "cow": {},
    "bser": {},
    "au": {"no-show": "awaiting-booking", "appointment-cancelled": "awaiting-booking"},
}


def stages(kind: str) -> list[str]:
    """Every stage that a performer of this kind of loop writes; a draft never leaves."""
    return [
        stage.code
        for (handoff, _code), stage in STAGES.items()
        if handoff == "fulfil" and kind in stage.loop_kinds and stage.task_status not in {"", "draft"}
    ]


def ours(stage: str, *, accepted: bool = False) -> dict[str, Any]:
    """Our Task at a stage, as the projection writes it where we perform."""
    row = STAGES["fulfil", stage]
    status = (accepted and row.task_status_after_acceptance) or row.task_status
    task: dict[str, Any] = {"resourceType": "Task", "status": status, "intent": "order"}
    task["businessStatus"] = {"coding": [{"system": OURS, "code": stage}]}
    if status == "completed":
        task["output"] = [{"type": {"text": "Report"}, "valueReference": {"reference": "DocumentReference/1"}}]
    return task


def there(task: dict[str, Any]) -> dict[str, Any]:
    """What a partner keeps that knows nothing of our code system."""
    said = [each for each in task.get("businessStatus", {}).get("coding", []) if each["system"] != OURS]
    rest = {name: value for name, value in task.items() if name != "businessStatus"}
    return rest | ({"businessStatus": {"coding": said}} if said else {})


def walk(profile: Profile, theirs: dict[str, Any], wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every version that the partner gets on the way."""
    for _step in range(9):
        version, is_there = towards(profile, theirs, wanted)
        yield version
        if is_there:
            return
        theirs = version
    pytest.fail("the way has no end")


def read(task: dict[str, Any], kind: str) -> str:
    """Our reading by PATHWAYS §3: a businessStatus refines where its stage allows the status, else the status says it."""
    codes = [each["code"] for each in task.get("businessStatus", {}).get("coding", []) if each["system"] == OURS]
    if codes and task["status"] in STAGES["fulfil", codes[0]].reads:
        return str(codes[0])
    if task["status"] == "completed":
        return OUTCOMES[kind] if task.get("output") else "completed-no-report"
    return ENDS.get(task["status"]) or RESUMES[kind].get(task["status"], task["status"])


CASES = [(name, kind, stage) for name in PROFILES for kind in KINDS for stage in stages(kind)]


@pytest.mark.parametrize(("name", "kind", "stage"), CASES)
def test_every_stage_comes_back_as_it_was_or_as_coarse_as_the_dialect_is(name: str, kind: str, stage: str) -> None:
    profile = PROFILES[name]
    written = list(walk(profile, {"resourceType": "Task", "status": "requested"}, outward(ours(stage), profile, US)))[
        -1
    ]

    back = inward(there(written), profile, US, kind)

    assert read(back, kind) in {stage, COARSER[name].get(stage), said_by_status(back, kind)}
    if stage in profile.words and profile.words[stage].status in {"", written["status"]}:
        assert read(back, kind) == stage
        assert inward(written, profile, US, kind) == written


def said_by_status(task: dict[str, Any], kind: str) -> str:
    return read({name: value for name, value in task.items() if name != "businessStatus"}, kind)


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_through_any_history_each_version_may_follow_on_the_one_before(name: str, data: st.DataObject) -> None:
    profile, kind = PROFILES[name], data.draw(st.sampled_from(KINDS))
    theirs: dict[str, Any] = {"resourceType": "Task", "status": "requested"}
    for stage in data.draw(st.lists(st.sampled_from(stages(kind)), max_size=8)):
        if theirs["status"] in {*ENDS, "completed"}:
            break
        accepted = theirs["status"] in {"accepted", "in-progress", "on-hold"}
        for version in walk(profile, theirs, outward(ours(stage, accepted=accepted), profile, US)):
            follows = {theirs["status"], *LEGAL[name][theirs["status"]].split(), "entered-in-error"}
            goes_back = name in {"core", "gravity", "bser"} and version["status"] in profile.path
            assert version["status"] in follows or goes_back
            assert "received" not in version["status"] or name != "gravity"
            codes = {
                each["code"]
                for each in version.get("businessStatus", {}).get("coding", [])
                if each["system"] == profile.system
            }
            fitting = {word.code for word in profile.words.values() if word.status in {"", version["status"]}}
            assert codes <= fitting
            theirs = there(version)


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_they_say_is_kept_beside_what_we_make_of_it(name: str, data: st.DataObject) -> None:
    profile = PROFILES[name]
    systems = st.sampled_from([*profile.systems, "https://local.example/codes", "http://hl7.org/fhir/task-status"])
    coding = st.fixed_dictionaries({"system": systems, "code": st.sampled_from([*profile.reads, "other"])})
    said = data.draw(st.fixed_dictionaries({"coding": st.lists(coding), "text": st.text()}))
    statuses = st.sampled_from(sorted({*R4, *ENDS, "completed"}))
    task = {"resourceType": "Task", "status": data.draw(statuses), "businessStatus": said, "x": 1}

    back = inward(task, profile, US, data.draw(st.sampled_from(KINDS)))

    assert {**back, "businessStatus": said} == task
    assert back["businessStatus"]["coding"][: len(said["coding"])] == said["coding"]
    assert back["businessStatus"]["text"] == said["text"]
    assert all(each["system"] == OURS for each in back["businessStatus"]["coding"][len(said["coding"]) :])


def test_the_australian_way_books_within_accepted_and_cancels_what_has_not_begun() -> None:
    au = PROFILES["au"]
    theirs = {"resourceType": "Task", "status": "requested"}

    booked = list(walk(au, theirs, outward(ours("scheduled"), au, US)))
    declined = outward(ours("declined", accepted=True), au, US)

    assert [each["status"] for each in booked] == ["received", "accepted"]
    assert "businessStatus" not in booked[0]
    assert booked[1]["businessStatus"]["coding"][0]["code"] == "service-booked"
    assert next_status(au, "accepted", declined["status"]) == "cancelled"
    assert next_status(au, "in-progress", declined["status"]) == "failed"
    assert [each["status"] for each in walk(au, booked[1], outward(ours("failed"), au, US))] == [
        "in-progress",
        "failed",
    ]


def test_what_was_accepted_fails_in_clinical_order_workflows_and_is_rejected_in_bser() -> None:
    declined = {
        name: next_status(
            PROFILES[name], "accepted", outward(ours("declined", accepted=True), PROFILES[name], US)["status"]
        )
        for name in ("cow", "bser")
    }

    assert declined == {"cow": "failed", "bser": "rejected"}


def test_gravity_hears_no_received_and_is_told_why_in_words() -> None:
    gravity = PROFILES["gravity"]
    reason = {"coding": [{"system": f"{US}/CodeSystem/reason", "code": "no-capacity", "display": "No capacity"}]}

    assert outward(ours("in-triage"), gravity, US)["status"] == "requested"
    assert outward(ours("declined") | {"statusReason": reason}, gravity, US)["statusReason"]["text"] == "No capacity"


@pytest.mark.parametrize("name", PROFILES)
def test_every_code_and_every_word_of_a_table_names_stages_that_there_are(name: str) -> None:
    profile = PROFILES[name]
    codes = {code for named in profile.reads.values() for code in named} | set(profile.words)

    assert all(("fulfil", code) in STAGES for code in codes)
    assert all(stage in profile.reads[word.code] for stage, word in profile.words.items())


@pytest.mark.parametrize("name", PROFILES)
def test_every_reason_of_a_table_is_one_of_ours_and_what_is_written_is_read_as_it_was_meant(name: str) -> None:
    profile = PROFILES[name]

    assert {code for codes in profile.reasons.values() for code in codes} | set(profile.reason_codes) <= set(REASONS)
    assert set(GROUPS) == set(ENDINGS)
    for code, word in profile.reason_codes.items():
        written = outward(ended(code), profile, US)["statusReason"]["coding"]
        assert [(each["system"], each["code"]) for each in written[1:]] == [word[:2]]
        back = inward({**ended(code), "statusReason": {"coding": written[1:]}}, profile, US)
        assert back["statusReason"]["coding"][-1] == {"system": f"{US}/CodeSystem/reason", "code": code}


def ended(code: str) -> dict[str, Any]:
    """A Task that has failed for a reason of ours."""
    coding = {"system": f"{US}/CodeSystem/reason", "code": code, "display": "Why"}
    return {"resourceType": "Task", "status": "failed", "statusReason": {"coding": [coding], "text": "x"}}


@pytest.mark.parametrize("reason", [None, "text", [], {"coding": None}, {"coding": ["x"]}, {"coding": [{}]}, {}])
def test_a_reason_of_another_shape_is_left_as_it_is(reason: object) -> None:
    task = {"resourceType": "Task", "status": "rejected", "statusReason": reason}

    assert inward(task, PROFILES["core"], US) == task
