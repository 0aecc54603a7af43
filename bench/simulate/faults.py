"""What goes wrong, as tables: workers that stand still, partners that go silent, repeat themselves or are overtaken."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

REPEATED = 0.08
"""How often a partner's message comes twice."""
BELATED = 0.12
"""How often it arrives long after it was written."""
OVERTAKEN = 0.06
"""How often the next message arrives before it."""
ATTESTED = 0.2
"""How often a partner telephones instead, and a coordinator enters what was said."""
MEDDLED = 0.02
"""How often somebody tries what isn't possible any more."""

# The message that comes first although it was written second.
OVERTAKES = {"receive": "accept", "accept": "book", "collect": "receive-specimen", "seen": "report"}


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when something is down."""

    start: datetime
    end: datetime


def outages(start: datetime, days: int, random: Random) -> list[Window]:
    """When no worker runs: about one outage in ten days, of an hour to two days."""
    windows, at = [], start
    while (at := at + timedelta(hours=random.randint(40, 440))) < start + timedelta(days=days):
        windows.append(Window(at, at + timedelta(minutes=random.choice((60, 90, 240, 600, 2_880)))))
        at = windows[-1].end
    return windows


def silences(start: datetime, days: int, random: Random) -> list[Window]:
    """When a partner's messages stay with it: about every second month, for three to twelve days."""
    windows, at = [], start
    while (at := at + timedelta(days=random.randint(20, 90))) < start + timedelta(days=days):
        windows.append(Window(at, at + timedelta(days=random.randint(3, 12))))
        at = windows[-1].end
    return windows


@dataclass(frozen=True, slots=True)
class Absence:
    """When somebody is away, and whether somebody is named who stands in."""

    start: datetime
    end: datetime
    is_covered: bool


def absences(start: datetime, days: int, random: Random) -> list[Absence]:
    """Holidays and illness: about every third month, for one to fourteen days, two of three with a surrogate."""
    found, at = [], start
    while (at := at + timedelta(hours=random.randint(12 * 24, 130 * 24))) < start + timedelta(days=days):
        found.append(Absence(at, at + timedelta(hours=random.randint(24, 14 * 24)), random.random() < COVERED))
        at = found[-1].end
    return found


COVERED = 2 / 3


def after(windows: list[Window], at: datetime) -> datetime:
    """The instant itself, or the end of the window that it falls into."""
    return next((window.end for window in windows if window.start <= at < window.end), at)
