"""The named conditions of the tables (``needs``, ``unless``, ``required_if``): pure questions about a situation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from django.utils.translation import gettext_lazy as _

from referrals import performing
from referrals.bidding import STARTED, rivals
from referrals.clocks import APPOINTED, RETURNING
from referrals.models import Handoff, Loop
from referrals.pathways import REASONS, first_stage
from referrals.pathways.stages import OUTCOMES
from referrals.vocabulary import Words

# Two calls and a letter (PATHWAYS §3) before somebody may say that a patient can't be reached.
ATTEMPTS_BEFORE_GIVING_UP = 3
# Where the stage tells more than the performer's status: somebody has begun on the patient there, or nobody has.
BEGUN = frozenset(
    {
        *("in-progress", "seen-awaiting-report", "interim-report", "completed-no-report"),
        *("specimen-collected", "in-lab", "preliminary"),
    }
)
NOT_BEGUN = frozenset({"no-show", "appointment-cancelled", "planned", "booked"})
# States of a report that brings nothing which somebody might still be waiting for.
WITHOUT_A_RESULT = frozenset({"cancelled", "superseded"})
URGENT = frozenset({"stat", "asap", "urgent"})


@dataclass(frozen=True, slots=True)
class Situation:
    """A handoff in its loop, beside the loop's other open handoffs, and what the action carries.

    ``is_back``: it decides about an end after which that performer goes on (`performing.returned`).
    """

    loop: Loop
    handoff: Handoff
    others: Sequence[Handoff]
    data: Mapping[str, Any]
    is_back: bool = False
    is_unsaid: bool = False
    """Whether an EHR has placed the request, and it doesn't say what the action decides."""
    is_void: bool = False
    """Whether what the action would void is so already (`readings.is_void`)."""
    zone: tzinfo = UTC
    """Where the days of whoever sees the patient begin."""

    @property
    def reason(self) -> str:
        """The action's coded reason, else the one that the handoff was opened with."""
        return str(self.data.get("reason") or self.handoff.reason_code)

    def has_open(self, *kinds: str) -> bool:
        """Whether another handoff of one of these kinds is open."""
        return any(other.kind in kinds for other in self.others)

    def is_related(self, other: Handoff) -> bool:
        """Whether the other one opened this, was opened by it, or by the same."""
        mine = {self.handoff.id, self.handoff.opened_by_id}
        return other.id == self.handoff.opened_by_id or other.opened_by_id in mine - {None}

    def is_asked_to_cancel(self, performing: Handoff) -> bool:
        """Whether its performer has been asked to cancel it, and hasn't answered yet."""
        asked = [other for other in self.others if other.kind == "request-cancellation" and not is_about_a_visit(other)]
        return any(other.opened_by_id == performing.id for other in asked)

    def is_about_the_same(self, other: Handoff) -> bool:
        """Whether the action's report is what the other one is to read, or waits for; True for all that isn't about one."""
        if other.kind != "review-report":
            return self.data.get("state") not in WITHOUT_A_RESULT
        return other.focus in {"", self.data.get("report"), self.data.get("replaces")}


def is_theirs_to_end(handoff: Handoff) -> bool:
    """Whether the performer has to agree before it ends: it works elsewhere, and is engaged in it (PATHWAYS §1)."""
    return handoff.is_outside and _is_engaged(handoff)


def _is_engaged(handoff: Handoff) -> bool:
    """Whether its performer has it in progress, or holds a slot for it."""
    return handoff.kind == "fulfil" and (handoff.task_status in STARTED or handoff.stage in APPOINTED)


def is_of_the_dead(loop: Loop) -> bool:
    """Whether the patient's death stands for telling them (PATHWAYS §7)."""
    return "patient-died" in (loop.end_reason, loop.told_reason)


def is_about_a_visit(asked: Handoff) -> bool:
    """Whether a request to cancel is about an appointment alone, and not about all that its performer does."""
    return asked.focus.startswith("Appointment/")


def stands_alone(asked: Handoff, everyone: Iterable[Handoff]) -> bool:
    """Whether a performer elsewhere is asked to stop what has ended here already: only its answer ends that."""
    is_asked = asked.kind == "request-cancellation" and asked.list_id != asked.owner_id
    return is_asked and asked.opened_by_id not in {one.id for one in everyone}


def _has_begun(handoff: Handoff) -> bool:
    if handoff.kind != "fulfil":
        return False
    # While it waits for an answer it has come as far as it had when it stopped.
    stage = handoff.paused_stage if handoff.stage in RETURNING else handoff.stage
    return stage in BEGUN or (stage not in NOT_BEGUN and handoff.task_status in STARTED)


def _going_on(situation: Situation) -> bool:
    """Whether somebody still performs it, or another performer's report stands."""
    return situation.has_open("fulfil", "dispatch", "recollect") or holds("reported", situation)


def _nothing_started(situation: Situation) -> bool:
    return not any(_has_begun(other) for other in situation.others)


def _nothing_started_here(situation: Situation) -> bool:
    return not any(_has_begun(other) and situation.is_related(other) for other in situation.others)


def _untouched(situation: Situation) -> bool:
    handoff = situation.handoff
    is_new = handoff.version == 1 and handoff.remote_lasted_at is None
    return is_new and handoff.stage == first_stage(handoff.kind, situation.loop.kind)


def _attempts_made(situation: Situation) -> bool:
    return situation.handoff.attempts >= ATTEMPTS_BEFORE_GIVING_UP


def _telling_today_open(situation: Situation) -> bool:
    return any(other.stage == "to-tell-today" for other in situation.others)


def _owner_kind(situation: Situation) -> str:
    return situation.handoff.owner.kind if situation.handoff.owner_id else ""


def _claimed(situation: Situation) -> bool:
    """Whether a person, or the organisation itself, holds what its pool would hold otherwise."""
    handoff = situation.handoff
    taken = _owner_kind(situation) == "person" or (_owner_kind(situation) == "organisation" and handoff.owner.internal)
    return taken and handoff.owner_id != situation.loop.responsible_id


def _authorisation_expired(situation: Situation) -> bool:
    """Whether an appointment would come after the day until which the payer has agreed to that performer's part."""
    parts = [one for one in (situation.handoff, *situation.others) if one.kind == "fulfil"]
    mine = {situation.handoff.id, situation.handoff.opened_by_id} - {None}
    until = min((one.authorised_until for one in parts if one.authorised_until and one.id in mine), default=None)
    on = _day(situation.data.get("slot_end") or situation.data.get("slot_start"), situation.zone)
    return until is not None and on is not None and on > until


def _day(at: datetime | str | None, zone: tzinfo) -> date | None:
    """The day of a time there; None for what is no time, which the action's form refuses."""
    try:
        moment = at if isinstance(at, datetime) or not at else datetime.fromisoformat(at)
        return moment.astimezone(zone).date() if moment else None
    except (ValueError, TypeError, OverflowError):
        return None


def _patient_knows(situation: Situation) -> bool:
    return situation.reason in REASONS and REASONS[situation.reason].patient_knows


def outlives(handoff: Handoff) -> bool:
    """Whether it goes on after the patient's death: a report to read, and what a performer elsewhere has started or booked."""
    # Whoever doesn't sign in here has no list of their own.
    is_elsewhere = handoff.list_id != handoff.owner_id
    is_started = is_elsewhere and _is_engaged(handoff)
    return is_started or handoff.kind in ("review-report", "request-cancellation")


def _goes_on_elsewhere(situation: Situation) -> bool:
    return any(one.kind == "fulfil" and outlives(one) for one in (situation.handoff, *situation.others))


def _asked_again(situation: Situation) -> bool:
    """Whether its performer has been asked for it once more already."""
    goes_on = [other for other in situation.others if other.kind == "fulfil"]
    part = performing.part_of(situation.handoff) if goes_on else None
    performer = performing.asked(part) if part else situation.loop.performer_owner
    return any(performing.asked(other) == performer for other in goes_on)


def _was_reported(situation: Situation) -> bool:
    """Whether there is a report to take back: this performer's outcome, or one that came after another end."""
    is_outcome = situation.handoff.stage in OUTCOMES
    return is_outcome or holds("reported", situation) or bool(situation.loop.based_on_id)


def _end_to_decide(situation: Situation) -> bool:
    """Whether the referrer is still to decide what comes after the end of this handoff."""
    asked = [other for other in situation.others if other.kind == "decide-next-step"]
    return any(other.opened_by_id == situation.handoff.id for other in asked)


def _has_open_here(situation: Situation, word: str) -> bool:
    """Whether another handoff of that kind, or at that stage, is open about the same performer's part or the whole loop."""
    alike = (other for other in situation.others if word in (other.kind, other.stage))
    return any(situation.is_related(one) or performing.is_of_same_part(one, situation.handoff) for one in alike)


def _patient_told(situation: Situation) -> bool:
    return bool(situation.loop.told_by)


CONDITIONS: dict[str, Callable[[Situation], bool]] = {
    "going-on": _going_on,
    "begun": lambda situation: _has_begun(situation.handoff),
    "not-begun": lambda situation: not _has_begun(situation.handoff),
    "nothing-started": _nothing_started,
    "nothing-started-here": _nothing_started_here,
    "placed-here": lambda situation: not situation.loop.answer_only,
    "untouched": _untouched,
    "attempts-made": _attempts_made,
    "reported": lambda situation: situation.has_open("review-report") or situation.loop.acknowledged_at is not None,
    "was-reported": _was_reported,
    "stands": lambda situation: not situation.is_void,
    "attested": lambda situation: situation.handoff.reconfirm_at is not None,
    "no-report": lambda situation: not situation.data.get("report"),
    "right-result-open": lambda situation: any(other.stage == "right-result" for other in situation.others),
    "asked-again": _asked_again,
    "placer-says-so": lambda situation: not situation.is_unsaid,
    "answering": lambda situation: situation.loop.answer_only,
    "hold-open": lambda situation: any(other.stage == "hold-proposed" for other in situation.others),
    "deciding": lambda situation: situation.has_open("decide-next-step"),
    "deciding-here": lambda situation: _has_open_here(situation, "decide-next-step"),
    "end-to-decide": _end_to_decide,
    "not-back": lambda situation: not situation.is_back,
    "to-decide-open": lambda situation: _has_open_here(situation, "to-decide"),
    "telling-open": lambda situation: situation.has_open("notify-patient"),
    "telling-today-open": _telling_today_open,
    "contact-open": lambda situation: _has_open_here(situation, "contact-patient"),
    "cancellation-needed": lambda situation: any(is_theirs_to_end(other) for other in situation.others),
    "cancellation-open": lambda situation: situation.is_asked_to_cancel(situation.handoff),
    "about-a-visit": lambda situation: is_about_a_visit(situation.handoff),
    "about-the-task": lambda situation: not is_about_a_visit(situation.handoff),
    "still-performed": lambda situation: any(one.id == situation.handoff.opened_by_id for one in situation.others),
    "bids-open": lambda situation: bool(rivals(situation.handoff, situation.others)),
    "unclaimed": lambda situation: _owner_kind(situation) == "pool",
    "claimed": _claimed,
    "advice-only": lambda situation: situation.loop.is_advice,
    "payer-decides": lambda situation: bool(situation.data.get("authorisation_needed")),
    "payer-agrees": lambda situation: not situation.data.get("authorisation_needed"),
    "payer-awaited": lambda situation: situation.handoff.stage == "authorisation-pending",
    "payer-not-awaited": lambda situation: situation.handoff.stage != "authorisation-pending",
    "booked-as-authorised": lambda situation: situation.data.get("override") != "booked-elsewhere",
    "authorisation-expired": _authorisation_expired,
    "patient-knows": _patient_knows,
    "patient-told": _patient_told,
    "handover-open": lambda situation: situation.has_open("confirm-handover"),
    "ends-with-patient": lambda situation: not _goes_on_elsewhere(situation),
    "patient-died": lambda situation: is_of_the_dead(situation.loop),
    "urgent": lambda situation: situation.loop.priority in URGENT,
    "other-reason": lambda situation: situation.data.get("reason") == "other",
    "no-performer": lambda situation: situation.loop.performer_owner_id is None,
}

# Why an action that stands in the table is not possible just now.
UNMET: dict[str, Words] = {
    "going-on": _("nobody is performing it any more"),
    "begun": _("it hasn't been started; cancel it"),
    "not-begun": _("it has been started; ask the performer to cancel first"),
    "nothing-started": _("it has been started; ask the performer to cancel first"),
    "nothing-started-here": _("it has been started; ask the performer to cancel first"),
    "unclaimed": _("somebody has taken it already"),
    "claimed": _("nobody has taken it from the pool"),
    "advice-only": _("a full referral was asked for"),
    "was-reported": _("no report has been given"),
    "stands": _("it is void already"),
    "attested": _("nobody has entered it for the performer"),
    "placed-here": _("it was placed elsewhere"),
    "about-a-visit": _("it is about more than an appointment"),
    "about-the-task": _("it is about an appointment alone"),
    "still-performed": _("nobody is performing it any more"),
    "untouched": _("something has happened already"),
    "patient-died": _("the patient's death was not confirmed"),
    "attempts-made": _("there were too few attempts to reach the patient"),
}


def holds(name: str, situation: Situation) -> bool:
    """Whether the named condition holds."""
    return CONDITIONS[name](situation)
