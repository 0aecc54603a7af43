"""What a handoff carries when it opens or moves: what it is about, and for which reason."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from referrals.lifecycle import Decision
from referrals.models import Handoff, Loop
from referrals.pathways.parts import DEPENDENTS
from referrals.vocabulary import Opening

# What stands under the request that its opener stands under.
UNDER_A_REQUEST = frozenset({"dispatch", "fulfil", "recollect", "decide-next-step"})
ASKING = frozenset({"request-cancellation", "propose-change"})


def focus_of(opening: Opening, opener: Handoff | None, data: Mapping[str, Any]) -> str:
    """What a handoff is about when that isn't the request."""
    if opening.handoff == "request-cancellation" and opener is not None:
        return str(data.get("appointment", "")) or f"Task/{opener.id}"
    if opening.handoff == "propose-change" and opener is not None:
        later = request_of(opener, opener.loop)
        return later if later != opener.loop.request_reference else ""
    names = {"review-report": "report", "fulfil": "request"}
    about = str(data.get(names.get(opening.handoff, ""), ""))
    return about or (opener.focus if opener and opening.handoff in UNDER_A_REQUEST and is_under_another(opener) else "")


def inherited_reason_of(opening: Opening, opener: Handoff | None, data: Mapping[str, Any]) -> tuple[str, str]:
    """Why the performer is asked to cancel, or the placer's EHR to change its request: the code, and words to the latter."""
    if opening.handoff not in ASKING or opener is None:
        return "", ""
    if opening.handoff == "propose-change":
        words = data.get("reason_text") or data.get("note") or ""
        return str(data.get("reason") or opener.reason_code), str(words)
    # Why its performer had ended it says nothing of why it is to stop now.
    why = opener.reason_code if opener.stage not in ("declined", "failed") else ""
    return str(data.get("reason") or why or opener.loop.end_reason or "sent-elsewhere"), ""


def reason_of(handoff: Handoff, decision: Decision, *, own: bool) -> tuple[str, str]:
    """The reason that a handoff carries now; what was overtaken carries none but the end of its loop."""
    if not own:
        return decision.reasons.get(handoff.id) or decision.loop.get("end_reason", ""), ""
    if handoff.closed_at is not None and not decision.reason_code:
        return handoff.reason_code, handoff.reason_text
    if handoff.kind == "request-cancellation":
        return decision.reason_code or handoff.reason_code, decision.reason_text
    return decision.reason_code, decision.reason_text


def relieved(handoff: Handoff, performing: Iterable[Handoff], decision: Decision) -> Iterator[Handoff]:
    """What goes on although its performer was asked to stop, without that reason any more (PATHWAYS §3)."""
    for one in performing if "goes-on" in decision.transition.sets else ():
        if one.id == handoff.opened_by_id and one.reason_code:
            one.reason_code = one.reason_text = ""
            one.version += 1
            yield one


def stem_of(opener: Handoff | None) -> str | None:
    """What a handoff hangs on: its opener, or what that hung on itself, since a decision is about the performer's part."""
    if opener is not None and opener.kind in DEPENDENTS and opener.opened_by_id:
        return opener.opened_by_id
    return opener.id if opener is not None else None


def request_of(handoff: Handoff, loop: Loop) -> str:
    """The request that a handoff stands under, as a reference: a later one, its opener's, or the loop's first."""
    opener = handoff.opened_by if handoff.kind in ASKING and handoff.opened_by_id else None
    later = [one.focus for one in (handoff, opener) if one is not None and is_under_another(one)]
    return later[0] if later else loop.request_reference


def is_under_another(handoff: Handoff) -> bool:
    """Whether it stands under a later request than the loop's first."""
    return handoff.focus.startswith("ServiceRequest/")
