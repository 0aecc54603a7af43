"""What people look at: lists of what is to be done, a loop with its journal, a patient's loops.

Every view is derived from the rows and the clock at the moment of the query; nothing here is stored, so that the lists
are right with every worker dead (law 2). Everything comes as plain dataclasses, in a number of statements that does not
depend on the number of rows.
"""

from referrals.worklists.filters import LABELS, Filters, Scope
from referrals.worklists.lists import MOST_COUNTED, TILES, Page, Row, rows, tiles, tiles_of
from referrals.worklists.loops import EventView, HandoffView, LoopView, loop_view, timeline
from referrals.worklists.patients import display_name, display_names
from referrals.worklists.progress import MILESTONES, Step

__all__ = [
    "LABELS",
    "MILESTONES",
    "MOST_COUNTED",
    "TILES",
    "EventView",
    "Filters",
    "HandoffView",
    "LoopView",
    "Page",
    "Row",
    "Scope",
    "Step",
    "display_name",
    "display_names",
    "loop_view",
    "rows",
    "tiles",
    "tiles_of",
    "timeline",
]
