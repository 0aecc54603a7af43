"""What ``Task.status`` says of a handoff, and whose word that is (PATHWAYS §1)."""

from records.json import Resource
from referrals.bidding import STARTED
from referrals.models import Handoff
from referrals.projection import is_ours_to_say
from referrals.vocabulary import Stage

# Ends that the placer gives a performer's Task, and the status that it may write there (PATHWAYS §1).
PLACERS_ENDS = {
    "cancelled": "cancelled",
    "entered-in-error": "entered-in-error",
    **dict.fromkeys(("patient-declined", "lost-after-attempts", "superseded", "overtaken"), "cancelled"),
    # A proposal that its EHR has answered by the request itself, or that a person has ended, is asked no longer.
    **dict.fromkeys(("change-made", "change-refused", "proposal-dropped"), "cancelled"),
}
ACCEPTED = frozenset({"accepted", "in-progress"})


def task_status(handoff: Handoff, stage: Stage, base: Resource | None) -> str:
    """What ``Task.status`` says: the performer's own word, unless the performer works here or the end is the placer's."""
    if base is not None:
        return str(base["status"])
    if not is_ours_to_say(handoff):
        return _placers_word(handoff, stage)
    if stage.task_status_after_acceptance and handoff.task_status in ACCEPTED:
        return stage.task_status_after_acceptance
    return stage.task_status or handoff.task_status


def _placers_word(handoff: Handoff, stage: Stage) -> str:
    """What we may say in the place of a performer who works elsewhere: that it is asked, an end of the placer's, else its own last word."""
    if stage.code == "superseded" and handoff.task_status in STARTED:
        return handoff.task_status
    if handoff.task_status == "draft" and stage.task_status == "requested":
        return stage.task_status
    return PLACERS_ENDS.get(stage.code, handoff.task_status)
