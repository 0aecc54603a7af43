"""How far a due time is, in words, and how loud to say it.

Days are counted on the wall clock of the reader's time zone, so that "overdue by 3 d" stays right when the clocks
change in between; below a day the real hours and minutes count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Due:
    """``words`` such as "overdue by 3 d", ``tone`` danger, warn or calm, ``sign`` an icon (never colour alone)."""

    words: str
    tone: str
    sign: str


def due(at: datetime, now: datetime, *, soon: timedelta = DAY) -> Due:
    """What to say of a due time; both instants aware, read in the current time zone."""
    if at < now:
        return Due(_("overdue by %(span)s") % {"span": span(at, now)}, "danger", "alert")
    words = _("due in %(span)s") % {"span": span(now, at)}
    return Due(words, "warn", "clock") if at - now <= soon else Due(words, "calm", "clock")


def span(start: datetime, end: datetime) -> str:
    """The time from ``start`` to ``end`` in its largest fitting unit."""
    days = (timezone.make_naive(end) - timezone.make_naive(start)) // DAY
    if days >= 1:
        return _("%(count)d d") % {"count": days}
    hours = (end - start) // HOUR
    if hours >= 1:
        return _("%(count)d h") % {"count": hours}
    return _("%(count)d min") % {"count": (end - start) // MINUTE}
