"""What happened to the patients' loops, as tables: a story is a chain of moves, and how long ago the last one was.

Each variant (priority, hours since the last move) of a story becomes one loop or more, so that every stage is there
fresh and late. Nothing here is drawn by chance; `demo.playing` acts it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DAY = 24
Side = Literal["placer", "performer"]


@dataclass(frozen=True, slots=True)
class Move:
    """An action on a loop's open handoff of one kind: who takes it, so many hours after the move before.

    ``makes`` names the resource that is written first and goes with it: an appointment, or a kind of report.
    """

    handoff: str
    action: str
    side: Side
    post: str
    after_hours: float
    data: Mapping[str, Any] = field(default_factory=dict)
    makes: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """``moves`` are words of MOVES; ``variants`` are (priority, hours since the last move).

    ``ahead_hours`` is when an appointment takes place that no later move shows, from now. ``sent`` is False for a
    request that nobody has sent yet; ``outside`` is a performer that telephones instead of signing in; ``imaging`` is a
    test order without a specimen; ``by_hospital`` is ordered by the first hospital's first doctor.
    """

    kind: str
    ends_as: str
    moves: str
    variants: tuple[tuple[str, float], ...]
    ahead_hours: float = 5 * DAY
    sent: bool = True
    outside: bool = False
    imaging: bool = False
    by_hospital: bool = False


def _late(reason: str, words: str) -> dict[str, str]:
    return {"reason": reason, "reason_text": words}


MOVES: Mapping[str, Move] = {
    # The performer of a referral
    "receive": Move("fulfil", "receive", "performer", "coordinator", 5),
    "accept": Move("fulfil", "accept", "performer", "coordinator", 20),
    "ask": Move(
        "fulfil", "ask-information", "performer", "doctor", 6, {"question": "Which anticoagulant, and since when?"}
    ),
    "book": Move("fulfil", "book", "performer", "coordinator", 22, makes="appointment"),
    "rebook": Move("fulfil", "rebook", "performer", "coordinator", 26, makes="appointment"),
    "start": Move("fulfil", "start", "performer", "doctor", 40),
    "miss": Move("fulfil", "no-show", "performer", "coordinator", 6 * DAY),
    "cancel-visit": Move(
        "fulfil",
        "cancel-appointment",
        "performer",
        "coordinator",
        2 * DAY,
        _late("cancelled-by-provider", "The clinic is closed that day."),
    ),
    "see": Move("fulfil", "seen", "performer", "doctor", 7 * DAY, makes="encounter"),
    "interim": Move("fulfil", "interim-report", "performer", "doctor", 20, makes="note"),
    "end-bare": Move("fulfil", "complete-without-report", "performer", "coordinator", 20),
    "report": Move("fulfil", "report", "performer", "doctor", 26, {"severity": "normal"}, makes="note"),
    "amend": Move(
        "fulfil", "amend", "performer", "doctor", 50, {"state": "amended", "severity": "abnormal"}, makes="note"
    ),
    "decline": Move(
        "fulfil",
        "decline",
        "performer",
        "doctor",
        30,
        _late("no-capacity", "No appointment within three months; the walk-in clinic may be faster."),
    ),
    "fail": Move("fulfil", "fail", "performer", "coordinator", 30, _late("lost-contact", "Three calls, no answer.")),
    # The laboratory or the imaging department
    "book-collection": Move("fulfil", "book-collection", "performer", "coordinator", 8, makes="appointment"),
    "collect": Move("fulfil", "collect", "performer", "coordinator", 20),
    "take-in": Move("fulfil", "receive-specimen", "performer", "doctor", 5),
    "preliminary": Move(
        "fulfil", "preliminary-result", "performer", "doctor", 18, {"severity": "abnormal"}, makes="preliminary"
    ),
    "result": Move("fulfil", "result", "performer", "doctor", 22, {"severity": "normal"}, makes="final"),
    "critical": Move("fulfil", "result", "performer", "doctor", 4, {"severity": "critical"}, makes="final"),
    "correct": Move(
        "fulfil", "amend", "performer", "doctor", 30, {"state": "corrected", "severity": "abnormal"}, makes="corrected"
    ),
    "spoil": Move(
        "fulfil",
        "reject-specimen",
        "performer",
        "doctor",
        6,
        _late("specimen-unsatisfactory", "The sample has clotted."),
    ),
    "collect-again": Move("recollect", "recollected", "performer", "coordinator", 20),
    # A follow-up at the practice itself
    "plan-visit": Move("fulfil", "book", "performer", "coordinator", 24, makes="appointment"),
    "visit": Move("fulfil", "complete", "performer", "doctor", 8 * DAY, makes="note"),
    "supersede": Move("fulfil", "supersede", "performer", "doctor", 40, _late("superseded", "Readmitted.")),
    # The placer
    "answer": Move(
        "provide-information", "answer", "placer", "doctor", 16, {"answer": "Apixaban 5 mg twice a day since March."}
    ),
    "withdraw": Move(
        "fulfil", "cancel", "placer", "doctor", 20, _late("no-longer-needed", "Better without treatment.")
    ),
    "acknowledge": Move(
        "review-report",
        "acknowledge",
        "placer",
        "doctor",
        20,
        {"plan": "Continue as advised; see again in three months.", "question_answered": True},
    ),
    "tell": Move("notify-patient", "tell", "placer", "coordinator", 9, {"channel": "phone"}),
    "try-to-tell": Move("notify-patient", "attempt", "placer", "coordinator", 9, {"channel": "phone"}),
    "try-to-reach": Move("contact-patient", "attempt", "placer", "coordinator", 20, {"channel": "phone"}),
    "reach": Move("contact-patient", "reached", "placer", "coordinator", 20, {"channel": "phone"}),
    "give-up": Move(
        "contact-patient",
        "give-up",
        "placer",
        "coordinator",
        30,
        _late("lost-after-attempts", "Two calls and a letter, no answer."),
    ),
    "refuse": Move("contact-patient", "patient-declines", "placer", "coordinator", 20),
    "end-lost": Move("decide-next-step", "close", "placer", "doctor", 20, _late("lost-after-attempts", "See journal.")),
    "end-refused": Move("decide-next-step", "close", "placer", "doctor", 20, _late("patient-declined", "See journal.")),
    "end": Move(
        "decide-next-step", "close", "placer", "doctor", 20, _late("done-elsewhere", "Seen at another hospital.")
    ),
    "ask-to-cancel": Move(
        "fulfil", "request-cancellation", "placer", "doctor", 20, _late("done-elsewhere", "Seen elsewhere already.")
    ),
}

REFERRALS: tuple[Story, ...] = (
    Story("referral", "to-send", "", (("routine", 4), ("urgent", 5 * DAY)), sent=False),
    Story("referral", "sent", "", (("routine", 3), ("urgent", 20), ("routine", 5 * DAY), ("stat", 3 * DAY))),
    Story("referral", "sent", "", (("routine", 8), ("urgent", 4 * DAY)), outside=True),
    Story("referral", "in-triage", "receive", (("routine", 20), ("urgent", 40), ("urgent", 4 * DAY))),
    Story("referral", "awaiting-information", "receive ask", (("routine", 6), ("urgent", 5 * DAY))),
    Story("referral", "in-triage", "receive ask answer", (("routine", 4),)),
    Story("referral", "awaiting-booking", "receive accept", (("routine", 5), ("urgent", 8 * DAY))),
    Story("referral", "awaiting-booking", "accept", (("routine", 30), ("routine", 13 * DAY)), outside=True),
    Story("referral", "scheduled", "receive accept book", (("routine", 12), ("urgent", 3), ("routine", 2 * DAY))),
    Story("referral", "scheduled", "accept book", (("routine", 9 * DAY),), ahead_hours=-4 * DAY),
    Story("referral", "scheduled", "accept book", (("routine", DAY),), ahead_hours=45 * DAY),
    Story("referral", "in-progress", "accept start", (("routine", 2 * DAY),)),
    Story("referral", "no-show", "receive accept book miss", (("routine", 5), ("urgent", 6 * DAY))),
    Story("referral", "no-show", "accept book miss try-to-reach", (("routine", 20),)),
    Story("referral", "appointment-cancelled", "accept book cancel-visit", (("routine", 4), ("routine", 6 * DAY))),
    Story("referral", "seen-awaiting-report", "receive accept book see", (("routine", 10), ("urgent", 6 * DAY))),
    Story("referral", "interim-report", "accept book see interim", (("routine", 10),)),
    Story("referral", "completed-no-report", "accept book see end-bare", (("routine", 5 * DAY),)),
    Story("referral", "to-review", "receive accept book see report", (("routine", 5), ("routine", 9 * DAY))),
    Story("referral", "to-review", "accept book see report amend", (("urgent", 8),)),
    Story("referral", "to-tell", "receive accept book see report acknowledge", (("routine", 6), ("urgent", 20))),
    Story("referral", "to-tell", "accept book see report acknowledge try-to-tell", (("routine", 16 * DAY),)),
    Story(
        "referral",
        "closed",
        "receive accept book see report acknowledge tell",
        (("routine", 3 * DAY), ("routine", 12 * DAY), ("urgent", 30 * DAY), ("routine", 60 * DAY)),
    ),
    Story("referral", "closed", "receive ask answer accept book see report acknowledge tell", (("routine", 20 * DAY),)),
    Story("referral", "closed", "accept book miss reach rebook see report acknowledge tell", (("urgent", 9 * DAY),)),
    Story("referral", "to-decide", "receive decline", (("routine", 4), ("urgent", 5 * DAY))),
    Story("referral", "to-decide", "receive accept fail", (("routine", 10),)),
    Story("referral", "cancelled", "receive decline tell end", (("routine", 7 * DAY),)),
    Story("referral", "cancelled", "withdraw tell", (("routine", 5 * DAY),)),
    Story("referral", "cancellation-asked", "accept book ask-to-cancel", (("routine", 10),)),
    Story("referral", "sent", "", (("urgent", 6),), by_hospital=True),
    Story("referral", "to-review", "accept book see report", (("routine", 6), ("urgent", 8 * DAY)), by_hospital=True),
    Story("referral", "to-decide", "receive decline", (("routine", 7),), by_hospital=True),
    Story("referral", "awaiting-information", "receive ask", (("routine", 5),), by_hospital=True),
)

TEST_ORDERS: tuple[Story, ...] = (
    Story("test-order", "ordered", "", (("routine", 8), ("urgent", 2 * DAY), ("routine", 16 * DAY), ("stat", 30))),
    Story("test-order", "ordered", "", (("routine", 6),), outside=True),
    Story("test-order", "collection-booked", "book-collection", (("routine", 10), ("urgent", 5)), ahead_hours=3 * DAY),
    Story("test-order", "specimen-collected", "collect", (("routine", 6), ("stat", 2 * DAY))),
    Story("test-order", "in-lab", "book-collection collect take-in", (("routine", 20), ("urgent", 3 * DAY))),
    Story("test-order", "preliminary", "collect take-in preliminary", (("routine", 10),)),
    Story("test-order", "to-review", "collect take-in result", (("routine", 8), ("routine", 16 * DAY))),
    Story("test-order", "to-review", "collect take-in critical", (("stat", 2), ("urgent", 40))),
    Story("test-order", "to-review", "collect take-in result acknowledge correct", (("routine", 8),)),
    Story("test-order", "to-tell", "collect take-in result acknowledge", (("routine", 20),)),
    Story("test-order", "to-review", "collect take-in result", (("urgent", 6),), by_hospital=True),
    Story("test-order", "ordered", "", (("routine", 20),), imaging=True),
    Story("test-order", "collection-booked", "book-collection", (("routine", 30),), ahead_hours=-3 * DAY, imaging=True),
    Story("test-order", "to-review", "book-collection result", (("routine", 30), ("urgent", 10)), imaging=True),
    Story("test-order", "to-recollect", "collect take-in spoil", (("urgent", 5), ("routine", 3 * DAY))),
    Story("test-order", "specimen-collected", "collect take-in spoil collect-again", (("routine", 6),)),
    Story("test-order", "to-decide", "decline", (("routine", 20),)),
    Story(
        "test-order",
        "closed",
        "book-collection collect take-in result acknowledge tell",
        (("routine", 2 * DAY), ("routine", 15 * DAY), ("urgent", 40 * DAY)),
    ),
)

FOLLOW_UPS: tuple[Story, ...] = (
    Story("follow-up", "planned", "", (("routine", 10), ("routine", 3 * DAY), ("routine", 25 * DAY))),
    Story("follow-up", "planned", "try-to-reach", (("routine", 2 * DAY),)),
    Story("follow-up", "booked", "plan-visit", (("routine", 10), ("urgent", 2 * DAY))),
    Story("follow-up", "booked", "plan-visit", (("routine", 8 * DAY),), ahead_hours=-4 * DAY),
    Story("follow-up", "no-show", "plan-visit miss", (("routine", 10), ("routine", 7 * DAY))),
    Story("follow-up", "to-decide", "plan-visit miss " + "try-to-reach " * 3 + "give-up", (("routine", 10),)),
    Story(
        "follow-up",
        "closed-lost-after-attempts",
        "plan-visit miss " + "try-to-reach " * 3 + "give-up end-lost",
        (("routine", 6 * DAY),),
    ),
    Story("follow-up", "closed-patient-declined", "refuse end-refused", (("routine", 4 * DAY),)),
    Story("follow-up", "to-review", "plan-visit visit", (("routine", 10),)),
    Story("follow-up", "to-tell", "plan-visit visit acknowledge", (("routine", 20),)),
    Story("follow-up", "to-decide", "supersede", (("routine", 20),)),
    Story(
        "follow-up",
        "closed",
        "plan-visit visit acknowledge tell",
        (("routine", 3 * DAY), ("routine", 18 * DAY)),
    ),
)

# Results that name no order, as (severity, hours ago): somebody has to find out what they belong to.
STRAYS: tuple[tuple[str, float], ...] = (("normal", 10), ("critical", 6), ("abnormal", 4 * DAY))
STORIES: tuple[Story, ...] = REFERRALS + TEST_ORDERS + FOLLOW_UPS
