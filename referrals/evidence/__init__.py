"""Evidence: resources that prove that a step happened. It moves our stage and never writes a performer's Task.

Applied by itself only if (a) it names our request or Task, or one of our Tasks names it as output, **and** (b) its
patient is the request's. (a) without (b), an outcome that doesn't come from the performer or before the order was
sent, and a fresh report that names nothing, become match-evidence in a loop of the kind `unsolicited`: candidates are
ranked there (`referrals.matching`), never guessed (PATHWAYS §6). So does what had moved something here and now names
another patient; what it has led to is taken back. What the placer adds to its own order is kept with it.

What the table says is done only where the pathway allows it from the present stage, so late and repeated evidence
undoes nothing: the record is kept, the loop stays as it is.
"""

from referrals.evidence.applying import apply
from referrals.evidence.asking import ask_for_match
from referrals.evidence.earlier import apply_earlier
from referrals.evidence.matches import apply_matches, release
from referrals.evidence.naming import named_loops, references_of, requests_of
from referrals.evidence.parting import sort_out
from referrals.evidence.saying import happened_at
from referrals.evidence.table import EVIDENCE, OUTPUTS, RECORDED, TYPES
from referrals.evidence.values import hear_again, hold_reports_with, listed_by, reports_with

__all__ = [
    "EVIDENCE",
    "OUTPUTS",
    "RECORDED",
    "TYPES",
    "apply",
    "apply_earlier",
    "apply_matches",
    "ask_for_match",
    "happened_at",
    "hear_again",
    "hold_reports_with",
    "listed_by",
    "named_loops",
    "references_of",
    "release",
    "reports_with",
    "requests_of",
    "sort_out",
]
