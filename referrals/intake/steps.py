"""What a performer's Task says that our handoff does not say yet, as actions along the legal path (PATHWAYS §3).

Pure: reads rows and tables, touches nothing. Of several reports a step is about the first (`outputs` has the others read).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from records.errors import Incorrect, Issue
from records.json import Resource
from referrals.conditions import Situation, holds
from referrals.intake.outputs import first_new
from referrals.models import Handoff
from referrals.particulars import ASKING
from referrals.pathways import REASONS, STAGES, first_stage, transitions_from
from referrals.pathways.stages import OUTCOMES, UNFULFILLED
from referrals.performing import GOES_ON
from referrals.vocabulary import AgreedElsewhere, Field, Transition

# The way that a performer's status takes through the actions, one version of the Task after the other.
PATHS: dict[str, tuple[tuple[str, str], ...]] = {
    "referral": (("received", "receive"), ("accepted", "accept"), ("in-progress", "start")),
    "test-order": (("accepted", "book-collection"), ("in-progress", "collect")),
    "follow-up": (("accepted", "book"),),
}
REPORTS = {"referral": "report", "test-order": "result", "follow-up": "complete"}
ENDINGS = {"rejected": "decline", "failed": "fail", "cancelled": "call-off"}
ANSWERS = {
    ("Appointment", "completed"): "release-appointment",  # what only such a visit is about
    ("request-cancellation", "completed"): "accept-cancellation",
    ("request-cancellation", "rejected"): "refuse-cancellation",
    ("request-cancellation", "failed"): "refuse-cancellation",
    ("propose-change", "completed"): "make-change",
    **{("propose-change", status): "refuse-change" for status in ("rejected", "failed", "cancelled")},
    ("recollect", "completed"): "recollected",
    ("recollect", "rejected"): "decline",
    ("recollect", "failed"): "fail",
    ("recollect", "cancelled"): "fail",
}
DENYING = frozenset({*ENDINGS, "entered-in-error"})
HAS_IT = frozenset({"requested", "received", "accepted", "ready", "in-progress", "on-hold"})
"""A performer that has heard of it and hasn't decided yet."""
STARTED_ANYWAY = "start-anyway"
DONE_ANYWAY = "done-anyway"
STOPPED_ANYWAY = "stop-anyway"
ANYWAY = {**dict.fromkeys(GOES_ON, STARTED_ANYWAY), "completed": DONE_ANYWAY}
"""What a performer's status says of what has ended here without an outcome."""
BEFORE_THE_OUTCOME = frozenset({"requested", "received", "accepted"})
MOST_CODES = 3
"""How many of a sender's codes are shown where none is known."""
ORDER = ("draft", "requested", "received", "accepted", "in-progress", "completed")


@dataclass(frozen=True, slots=True)
class Step:
    """One action to perform, with its data and the reference of what proves it; ``on`` another handoff than the Task's."""

    action: str
    data: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""
    on: str = ""


def steps_of(handoff: Handoff, said: Resource, held: Resource) -> list[Step]:
    """The actions that lead from where the handoff stands to what its performer says; none when nothing has moved.

    Raises `Incorrect` for a status that can't be reached from here.
    """
    status = said.get("status", "")
    if handoff.kind != "fulfil":
        return _answer(handoff, said, status)
    if handoff.closed_at is not None:
        return _afterwards(handoff, said, held)
    if status in ENDINGS:
        return [_ending(handoff, said, ENDINGS[status])]
    return OUTRIGHT[status](handoff, said) if status in OUTRIGHT else _onwards(handoff, said, held)


def _onwards(handoff: Handoff, said: Resource, held: Resource) -> list[Step]:
    """What a status says that is no end; what speaks against itself or what was entered for it asks the referrer."""
    status, report = said.get("status", ""), first_new(said, held)
    if report and status in BEFORE_THE_OUTCOME:
        # It is read, and completes nothing (BSeR: requested, and its outcome in one).
        return [Step("contradict", {"report": report}, report)]
    finer = _by_business_status(handoff, said)
    if finer or status in STAGES["fulfil", handoff.stage].reads or status == handoff.task_status:
        return finer
    steps = _along_the_path(handoff, status)
    return steps or ([Step("contradict")] if handoff.reconfirm_at else [])


def reason_in(said: Resource, offered: Field) -> dict[str, str]:
    """The sender's statusReason as our code, where it uses ours, else `other` with its words and its codes."""
    concept = said.get("statusReason", {})
    codings = concept.get("coding", ())
    ours, codes = f"{settings.BATON_BASE_URL}/CodeSystem/reason", dict(offered.codes)
    code = next((one["code"] for one in codings if one.get("system") == ours and one.get("code") in codes), "other")
    display = next((one["display"] for one in codings if one.get("display")), "")
    words = concept.get("text") or display
    if code != "other":
        return {"reason": code, "reason_text": words or str(codes[code])}
    unknown = ", ".join(
        list(filter(None, (one.get("code") for one in codings if one.get("system") != ours)))[:MOST_CODES]
    )
    if words and unknown:
        words = f"{words} [{unknown}]"
    return {"reason": code, "reason_text": words or unknown or _("No reason was given.")}


def agreed_elsewhere() -> AgreedElsewhere:
    """Who the second person was at an end that another system has written: its own rules decide who has to agree."""
    return AgreedElsewhere(_("agreed in the sender's system"))


def _rows(handoff: Handoff, stage: str = "") -> dict[str, Transition]:
    rows = transitions_from(handoff.kind, stage or handoff.stage, handoff.loop.kind)
    return {row.action: row for row in rows}


def _answer(handoff: Handoff, said: Resource, status: str) -> list[Step]:
    if status == handoff.task_status or (handoff.kind in ASKING and status in HAS_IT):
        return []
    if handoff.kind == "propose-change" and not handoff.is_open:
        return []  # the request has said so before, or a person has
    action = ANSWERS.get((handoff.focus.split("/")[0], status)) or ANSWERS.get((handoff.kind, status), "")
    if handoff.stage == "overtaken":  # the answer comes too late
        return [Step(STOPPED_ANYWAY)] if action == "accept-cancellation" else []
    return [_ending(handoff, said, action)] if handoff.reconfirm_at is None else _confirming(handoff, said, action)


def _confirming(handoff: Handoff, said: Resource, action: str) -> list[Step]:
    """Its performer's own answer after one that was entered for it: the same again, or a contradiction."""
    row = _rows(handoff, first_stage(handoff.kind, handoff.loop.kind)).get(action)
    if handoff.is_open or row is None or handoff.opened_by_id is None:
        return [_ending(handoff, said, action)]
    return [] if row.target == handoff.stage else [Step("contradict", on=handoff.opened_by_id)]


def _ending(handoff: Handoff, said: Resource, action: str) -> Step:
    row = _rows(handoff).get(action)
    if row is None:
        raise unreachable(handoff)
    offered = next((one for one in row.fields if one.name == "reason"), None)
    return Step(action, reason_in(said, offered) if offered else {})


def _hold(handoff: Handoff, said: Resource) -> list[Step]:
    words = said.get("statusReason", {}).get("text", "")
    return [] if handoff.task_status == "on-hold" else [Step("hold", {"note": words} if words else {})]


def _afterwards(handoff: Handoff, said: Resource, held: Resource) -> list[Step]:
    """After its end a handoff hears of another report, and of what denies its outcome; all else is kept as said."""
    report = first_new(said, held)
    if report and "amend" in _rows(handoff):
        return [Step("amend", {"report": report, "state": "final"}, report)]
    status = said.get("status", "")
    if status in {handoff.task_status, *STAGES["fulfil", handoff.stage].reads}:
        return _stopping(handoff, status)
    if handoff.reconfirm_at is not None or (handoff.stage in OUTCOMES and _denies(handoff, status)):
        return [Step("contradict")]
    action = ANYWAY.get(status, "") if handoff.stage in UNFULFILLED and not handoff.loop.answer_only else ""
    return [Step(action)] if action else _stopping(handoff, status)


def _denies(handoff: Handoff, status: str) -> bool:
    """Whether it says that there is no outcome: a Task that was completed goes on, where a report alone had ended it."""
    return status in DENYING or (status in GOES_ON and handoff.task_status == "completed")


def _stopping(handoff: Handoff, status: str) -> list[Step]:
    """An end that answers the request to stop what had ended here already."""
    waiting = Handoff.objects.filter(opened_by=handoff, kind="request-cancellation", focus=f"Task/{handoff.id}")
    asked = waiting.filter(closed_at=None).first() if status in ENDINGS else None
    return [Step("accept-cancellation", on=asked.id)] if asked else []


def _completed(handoff: Handoff, said: Resource) -> list[Step]:
    report = first_new(said)
    action = REPORTS[handoff.loop.kind]
    if report:
        before, stage = _walk(handoff, "in-progress")
        return [*before, _the_report(action, report)] if action in _rows(handoff, stage) else []
    rows = _rows(handoff)
    if handoff.stage == "completed-no-report" or not ({action, "complete-without-report"} & rows.keys()):
        return []
    needs_report = any(one.name == "report" and one.required for one in rows[action].fields)
    return [Step("complete-without-report" if needs_report else action)] if _possible(rows, needs_report) else []


def _possible(rows: Mapping[str, Transition], needs_report: bool) -> bool:
    return not needs_report or "complete-without-report" in rows


def _the_report(action: str, report: str) -> Step:
    return Step(action, {"report": report}, report)


def _by_business_status(handoff: Handoff, said: Resource) -> list[Step]:
    """The action that leads to the stage which the sender names in our own code system, where the status allows it."""
    ours = f"{settings.BATON_BASE_URL}/CodeSystem/stage"
    for coding in said.get("businessStatus", {}).get("coding", ()):
        stage = STAGES.get(("fulfil", coding.get("code", ""))) if coding.get("system") == ours else None
        if stage is None or stage.code == handoff.stage or said.get("status") not in stage.reads:
            continue
        for row in _rows(handoff).values():
            data = _filled(row, said)
            if row.target == stage.code and data is not None:
                return [Step(row.action, data, data.get("report", ""))]
    return []


def _filled(row: Transition, said: Resource) -> dict[str, str] | None:
    """What the Task can say to the action's form; None where it can't say what is required."""
    words = said.get("statusReason", {}).get("text", "")
    told = {"report": first_new(said), "question": words}
    offered = next((one for one in row.fields if one.name == "reason"), None)
    told |= reason_in(said, offered) if offered else {}
    data = {one.name: told[one.name] for one in row.fields if told.get(one.name)}
    return data if all(one.name in data for one in row.fields if one.required) else None


def _along_the_path(handoff: Handoff, status: str) -> list[Step]:
    known = {step for step, _action in PATHS["referral"]}
    behind = status in BEFORE_THE_OUTCOME and ORDER.index(status) <= ORDER.index(_reached(handoff))
    if behind and handoff.task_status != status:
        return [Step("contradict")]  # it stood further: nothing that was reached is undone unasked
    if status not in known:
        raise unreachable(handoff)
    return _walk(handoff, status)[0]


def _walk(handoff: Handoff, until: str) -> tuple[list[Step], str]:
    """The steps of the path beyond the performer's last status, up to ``until``, and the stage that they lead to.

    A step that asks for more than a status can say (a booking asks for its time) waits for the evidence.
    """
    stage, steps = handoff.stage, []
    for status, action in PATHS[handoff.loop.kind]:
        is_between = ORDER.index(_reached(handoff)) < ORDER.index(status) <= ORDER.index(until)
        row = _rows(handoff, stage).get(action) if is_between else None
        skips = action == "receive" and until != "received"
        if row is not None and not skips and not any(one.required for one in row.fields):
            steps.append(Step(action))
            stage = row.target
    return steps, stage


def _reached(handoff: Handoff) -> str:
    """How far along the path the performer has been: on hold, as far as the stage that it had reached."""
    status = handoff.task_status
    return status if status in ORDER else STAGES["fulfil", handoff.stage].task_status or "in-progress"


def unreachable(handoff: Handoff, element: str = "Task.status") -> Incorrect:
    """The refusal of a status that no step leads to, saying what the sender may do; ``element`` is what stands in the way."""
    situation = Situation(handoff.loop, handoff, (), {})
    theirs = (row for row in _rows(handoff).values() if "performer" in row.who)
    may = [row.action for row in theirs if all(holds(one, situation) for one in row.needs)]
    possible = ", ".join(may) or _("nothing")
    text = _("This status can't follow on the stage “%(stage)s”. Possible now: %(actions)s.") % {
        "stage": handoff.stage,
        "actions": possible,
    }
    if handoff.reason_code in REASONS:
        text = f"{text} {REASONS[handoff.reason_code].label}."
    return Incorrect(text, Issue(text, element, "business-rule"))


# What these statuses mean doesn't depend on how far the path has been walked.
OUTRIGHT = {"completed": _completed, "on-hold": _hold}
