"""What was read of the reports on a request, also in the loops after the first one's end, and what the patient has heard.

By the journal: a report that turns out to be void concerns whoever was told of it, and nobody else (PATHWAYS §4).
"""

from dataclasses import dataclass, field

from django.db.models import Q

from referrals.models import Event, Handoff, Loop

VOIDING = frozenset({"void", "withdraw-report"})


@dataclass(frozen=True, slots=True)
class Readings:
    """References of the reports that were read and stand; empty for one that was read where none was named.

    ``told`` are those of which the patient may have heard, ``untold`` those of which somebody may still have to tell.
    """

    told: set[str] = field(default_factory=set)
    untold: set[str] = field(default_factory=set)

    def was_told_of(self, report: str) -> bool:
        """Whether the patient has heard of that report."""
        return bool({report, ""} & self.told)

    def has_untold_beside(self, report: str) -> bool:
        """Whether the patient is still to hear of another one."""
        return bool(self.untold - {report})


def line_of(loop: Loop) -> Q:
    """The rows of the loop and of those that follow the same request after its end."""
    request = loop.request_reference
    if not request:
        return Q(loop=loop)
    return Q(loop=loop) | Q(loop__about=request) | Q(loop__request_id=request.removeprefix("ServiceRequest/"))


def is_void(handoff: Handoff, report: str = "") -> bool:
    """Whether what has ended there is void: the report that was read, the one named, or all that its performer gave."""
    if handoff.is_open or handoff.kind not in ("review-report", "fulfil"):
        return False
    if handoff.kind == "review-report":
        return _is_void(handoff.loop, handoff.focus) if handoff.focus else handoff.events.filter(action="void").exists()
    given = handoff.events.filter(details__has_key="report").values_list("details__report", flat=True)
    reports = {report} if report else set(given)
    return bool(reports) and all(_is_void(handoff.loop, one) for one in reports)


def _is_void(loop: Loop, report: str) -> bool:
    """Whether the last that the journals say of that report is that it is void."""
    said = Event.objects.filter(line_of(loop), Q(evidence=report) | Q(details__report=report)).order_by("-id")
    return said.values_list("action", flat=True).first() in VOIDING


def readings_of(loop: Loop) -> Readings:
    """What was read and told in the loop and in those that follow the same request."""
    found, unread = Readings(), set[str]()
    reviews = dict(Handoff.objects.filter(line_of(loop), kind="review-report").values_list("id", "focus"))
    for event in Event.objects.filter(line_of(loop)).select_related("handoff").order_by("id"):
        opened, ended = ({reviews.get(key, "") for key in event.details.get(name, ())} for name in ("opened", "ended"))
        unread = (unread - ended) | (opened - {""})
        if event.action == "acknowledge":
            found.untold.add(event.handoff.focus if event.handoff else "")
        elif event.action in VOIDING:
            report = event.evidence or event.details.get("report", "")
            found.told.discard(report)
            found.untold.discard(report)
        elif event.action == "tell" or event.reason_code == "told-by-performer":
            found.told.update(found.untold | unread)
            # Who was called about something else may not have heard of what was read: that call is still to be made.
            found.untold.difference_update(found.untold if event.from_stage == "to-tell" else ())
    return found
