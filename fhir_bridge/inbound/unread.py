"""A type that a partner doesn't let us read, while all else goes on: an alarm that names it (PATHWAYS §8.12).

Since when it fails is in its mark, so that it is visible with every worker dead. A sweep puts it on the list of the partner's
steward pool, once, and takes it off when the type has been read again.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from fhir_bridge.models import Partner, Watermark
from fhir_bridge.sharing.relevance import polled
from records.access import SYSTEM
from referrals import workflow
from referrals.models import Handoff

ABOUT = "Watermark"


def types(now: datetime) -> list[Watermark]:
    """What has failed for longer than its partner may be silent. Of a paused partner nothing is read, so nothing fails."""
    failing = Watermark.objects.filter(failing_since__lte=now, partner__state=Partner.State.ACTIVE)
    marks = failing.select_related("partner__steward_pool").order_by("partner", "type")
    return [each for each in marks if _is_polled(each) and _alarm_at(each, now) <= now]


def sweep(now: datetime) -> int:
    """Tell the stewards of each such type once, and end what is over; gives how many were told."""
    with transaction.atomic():
        asked = {handoff.loop.about: handoff for handoff in _asked()}
        for handoff in _over(asked):
            workflow.perform(handoff.pk, "mend", SYSTEM)
        return sum(_tell(mark) for mark in types(now) if _about(mark) not in asked)


def _tell(mark: Watermark) -> bool:
    """Open its mend-exchange; False when another sweep is at it, or it was read meanwhile."""
    rows = Watermark.objects.select_for_update(skip_locked=True).filter(pk=mark.pk, failing_since=mark.failing_since)
    if not rows.exists() or _asked().filter(loop__about=_about(mark)).exists():
        return False
    workflow.open_handoff_loop(
        "upkeep",
        "mend-exchange",
        about=_about(mark),
        accountable_pool=mark.partner.steward_pool,
        title=f"{mark.partner.name} · {mark.type}",
        actor=SYSTEM,
    )
    return True


def _over(asked: dict[str, Handoff]) -> list[Handoff]:
    """Those whose type is read again, or isn't to be read any more."""
    keys = {about.partition("/")[2] for about in asked}
    failing = Watermark.objects.filter(pk__in=keys).exclude(failing_since=None).select_related("partner")
    going_on = {_about(mark) for mark in failing if _is_polled(mark)}
    return [handoff for about, handoff in asked.items() if about not in going_on]


def _asked() -> QuerySet[Handoff]:
    open_ = Handoff.objects.filter(kind="mend-exchange", closed_at=None, loop__about__startswith=f"{ABOUT}/")
    return open_.select_related("loop").order_by("pk")


def _about(mark: Watermark) -> str:
    return f"{ABOUT}/{mark.pk}"


def _is_polled(mark: Watermark) -> bool:
    return mark.type in polled(mark.partner)


def _alarm_at(mark: Watermark, now: datetime) -> datetime:
    return (mark.failing_since or now) + timedelta(seconds=mark.partner.silence_seconds)
