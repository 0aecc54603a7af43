"""How people behave, as tables: what somebody does with a responsibility that has come to a stage, and when.

A row of `HABITS`: kinds of loop (r, f, t, u) | handoff | stages (empty: any) | choices "weight action@who". The first row
that fits counts; who acts is the referrer, a coordinator of the placer, or somebody of the performer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bench.oracle import Item

# What a partner's Task says after an action of theirs; elsewhere it keeps its last status.
STATUSES = {
    "receive": "received",
    "accept": "accepted",
    "book-collection": "accepted",
    "decline": "rejected",
    "fail": "failed",
    "reject-specimen": "failed",
    "call-off": "cancelled",
    "refuse-cancellation": "rejected",
    "withdraw-report": "completed",
    **dict.fromkeys(("report", "result", "complete-without-report", "accept-cancellation"), "completed"),
    **dict.fromkeys(("book", "rebook", "no-show", "cancel-appointment", "seen", "interim-report"), "in-progress"),
    "start-anyway": "in-progress",
    **dict.fromkeys(("collect", "receive-specimen", "preliminary-result"), "in-progress"),
}

HABITS_TABLE = """
rt|dispatch||93 send@referrer; 3 send@coordinator; 4 withdraw@referrer
r|fulfil|authorisation-pending|80 authorise@coordinator; 14 refuse-authorisation@coordinator; 3 cancel@referrer; 3 hold@referrer
r|fulfil|referral-proposed|87 -; 6 report@performer; 4 decline@performer; 3 cancel@referrer
rft|fulfil|cancelled declined failed|6 start-anyway@partner; 94 -
r|fulfil|sent|8 propose-referral@performer; 3 add-performer@referrer; 46 receive@performer; 25 accept@performer; 8 ask-information@performer; 8 book@performer; 7 decline@performer; 2 cancel@referrer; 2 hold@performer; 2 fail@performer
r|fulfil|in-triage|30 propose-referral@performer; 2 add-performer@coordinator; 70 accept@performer; 12 ask-information@performer; 10 decline@performer; 5 book@performer; 3 cancel@referrer
r|fulfil|awaiting-information|15 accept@performer; 85 -
r|fulfil|awaiting-booking|86 book@performer; 4 ask-information@performer; 3 decline@performer; 3 cancel@coordinator; 4 call-off@performer
r|fulfil|scheduled|66 seen@performer; 9 report@performer; 9 no-show@performer; 6 cancel-appointment@performer; 5 rebook@performer; 5 request-cancellation@referrer
r|fulfil|in-progress|60 seen@performer; 40 report@performer
r|fulfil|no-show|55 rebook@performer; 25 fail@performer; 20 call-off@performer
r|fulfil|appointment-cancelled|80 rebook@performer; 20 call-off@performer
r|fulfil|seen-awaiting-report|80 report@performer; 12 interim-report@performer; 8 complete-without-report@performer
r|fulfil|interim-report|90 report@performer; 10 interim-report@performer
r|fulfil|completed-no-report|100 report@performer
r|fulfil|report-sent|4 amend@performer; 3 withdraw-report@performer; 93 -
t|fulfil|ordered|2 add-performer@referrer; 30 book-collection@performer; 45 collect@performer; 15 receive-specimen@performer; 5 decline@performer; 3 cancel@referrer; 2 hold@performer
t|fulfil|collection-booked|88 collect@performer; 7 book-collection@performer; 5 cancel@coordinator
t|fulfil|specimen-collected|70 receive-specimen@performer; 22 result@performer; 8 reject-specimen@performer
t|fulfil|in-lab|75 result@performer; 18 preliminary-result@performer; 4 reject-specimen@performer; 3 call-off@performer
t|fulfil|preliminary|100 result@performer
t|fulfil|final|6 amend@performer; 4 withdraw-report@performer; 90 -
f|fulfil|planned|35 book@coordinator; 5 cancel@referrer; 60 -
f|fulfil|booked|80 complete@coordinator; 12 no-show@coordinator; 4 book@coordinator; 4 supersede@referrer
f|fulfil|no-show|60 book@coordinator; 15 fail@coordinator; 25 -
f|fulfil|done|3 amend@coordinator; 2 withdraw-report@coordinator; 95 -
r|decide-next-step|proposal-to-decide|65 convert@referrer; 25 decline-proposal@referrer; 5 redirect@referrer; 5 close@referrer
rt|decide-next-step|right-result|70 keep@referrer; 15 close@referrer; 15 redirect@referrer
rt|decide-next-step||62 redirect@referrer; 13 close@referrer; 25 keep@referrer
f|decide-next-step||20 keep@referrer; 80 close@referrer
r|provide-information||80 answer@referrer; 20 answer@coordinator
rft|review-report|review-report|96 acknowledge@referrer; 4 void@referrer
rft|review-report|acknowledged|3 void@referrer; 97 -
rft|notify-patient||76 tell@coordinator; 24 attempt@coordinator
f|contact-patient||55 book@coordinator; 20 attempt@coordinator; 15 reached@coordinator; 4 patient-declines@coordinator; 6 give-up@coordinator
r|contact-patient||40 book@coordinator; 25 attempt@coordinator; 25 reached@coordinator; 4 patient-declines@coordinator; 6 give-up@coordinator
rft|request-cancellation||60 accept-cancellation@performer; 40 refuse-cancellation@performer
t|recollect||90 recollected@performer; 4 fail@performer; 3 cancel@referrer; 3 patient-declines@coordinator
d|confirm-death||85 confirm@coordinator; 15 refute@coordinator
u|match-evidence||60 match@coordinator; 40 refuse@coordinator
rft|confirm-handover||100 confirm@holder
"""
# What must not happen before the appointment is over, and what only before it.
AFTER_THE_SLOT = frozenset({"seen", "report", "no-show", "collect", "complete"})
APPOINTED = frozenset({"scheduled", "booked", "collection-booked"})
REASONS = {
    "withdraw": ("withdrawn", "no-longer-needed", "patient-died"),
    "cancel": ("withdrawn", "no-longer-needed", "patient-declined"),
    "request-cancellation": ("no-longer-needed", "patient-declined"),
    "decline": ("no-capacity", "not-our-service", "patient-declined"),
    "fail": ("unable", "lost-contact"),
    "call-off": ("unable", "cancelled-by-provider"),
    "cancel-appointment": ("cancelled-by-provider", "cancelled-by-patient"),
    "reject-specimen": ("specimen-unsatisfactory",),
    "supersede": ("superseded",),
    "close": ("no-longer-needed", "done-elsewhere", "patient-declined", "lost-after-attempts"),
    "not-reached": ("no-contact-details", "lost-after-attempts"),
    "give-up": ("lost-after-attempts",),
    "refuse-cancellation": ("already-performed",),
    "refuse": ("not-ours",),
    "refuse-authorisation": ("not-covered",),
    "void": ("wrong-patient", "entered-in-error"),
    "withdraw-report": ("entered-in-error", "wrong-patient"),
}
# How often who does it names whom to ask, else it is whoever was meant; several at once; for the first of them to take
# it; and how often the payer has to agree first.
ASKING = {"send": 0.12, "redirect": 1.0, "add-performer": 1.0, "convert": 0.3}
SEVERAL, OFFERING = 0.4, {"send": 0.7, "redirect": 0.5, "add-performer": 0.4}
PAYER = {"send": 0.07, "redirect": 0.05}
BOOKINGS = frozenset({"book", "rebook", "book-collection"})
REPORTS = frozenset({"report", "interim-report", "result", "preliminary-result", "amend", "complete"})
# Whoever acts asks a colleague, whom `Play` knows.
ANOTHER = "Practitioner/another"
WHO_AGREES = frozenset({"withdraw", "cancel", "request-cancellation", "close", "not-reached"})


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that somebody may do next; an empty action is: nothing, others will."""

    weight: int
    action: str
    who: str


def choose(item: Item, allows: Callable[[str], bool], random: Random) -> Choice | None:
    """What is done next with an item; None when it waits for others, or nothing of the table is possible."""
    row = _row(item)
    possible = [one for one in row if not one.action or allows(one.action)]
    if item.kind in ("notify-patient", "contact-patient") and item.attempts >= MOST_ATTEMPTS:
        return Choice(1, "not-reached" if item.kind == "notify-patient" else "give-up", "coordinator")
    if not possible:
        return None
    chosen = random.choices(possible, [one.weight for one in possible])[0]
    return chosen if chosen.action else None


MOST_ATTEMPTS = 3


def when(item: Item, action: str, slot_end: datetime | None, now: datetime, random: Random) -> datetime:
    """When it is done: most in good time, some late beyond every escalation, a few after weeks. Whole seconds."""
    due = max(item.due, now + timedelta(hours=2))
    start = now
    if slot_end is not None and item.stage in APPOINTED and action in AFTER_THE_SLOT:
        start = max(now, slot_end)
        due = max(due, start + timedelta(hours=2))
    mood = random.random()
    if not item.is_open:
        seconds = random.uniform(3_600, 40 * 86_400)
    elif mood < IN_TIME:
        seconds = (due - start).total_seconds() * random.uniform(0.02, 0.85)
    elif mood < FORGETS:
        seconds = (due - start).total_seconds() + random.uniform(60, 110 * 3_600)
    else:
        seconds = (due - start).total_seconds() + random.uniform(5, 25) * 86_400
    return start + timedelta(seconds=max(60, int(seconds)))


IN_TIME, FORGETS = 0.82, 0.97


def details(item: Item, action: str, number: int, now: datetime, random: Random) -> dict[str, Any]:
    """What the form of the action says."""
    told = _appointed(action, now, random)
    if action in REPORTS:
        told["report"] = f"DocumentReference/{item.case.name.replace('/', '-').replace('+', '-')}-{number}"
    if action in ("report", "result", "amend", "preliminary-result"):
        told |= {"severity": random.choice(("critical", "abnormal", "normal", "normal"))}
    if action in REASONS:
        told["reason"] = random.choice(REASONS[action])
    if action in ASKING:
        told |= _performers(item, action, random)
    return told | FIXED.get(action, {}) | ({"second_person": ANOTHER} if action in WHO_AGREES else {})


def _appointed(action: str, now: datetime, random: Random) -> dict[str, Any]:
    """When the visit is, and until when the payer agrees."""
    if action == "authorise":
        return {"valid_until": (now + timedelta(days=random.randint(3, 90))).date()}
    at = now + timedelta(hours=random.randint(20, 24 * 30)) if action in BOOKINGS else None
    return {"slot_end": at.replace(minute=0, second=0, microsecond=0)} if at else {}


def _performers(item: Item, action: str, random: Random) -> dict[str, Any]:
    """Whom somebody asks instead, besides or at first, who are several now and then; and if the payer must agree."""
    told: dict[str, Any] = {}
    if item.case.kind == "r" and random.random() < PAYER.get(action, 0):
        told["authorisation_needed"] = True
    if random.random() < ASKING[action]:
        region, others = item.case.placer.partition("-")[0], random.sample(PERFORMING, len(PERFORMING))
        told["performer"] = [f"Organization/{region}-{one}" for one in others[: 1 + (random.random() < SEVERAL)]]
        told |= {"bidding": True} if random.random() < OFFERING.get(action, 0) else {}
    return told


PERFORMING = ("hospital", "clinic", "laboratory")
FIXED: dict[str, dict[str, Any]] = {
    "decline": {"reason_text": "As discussed."},
    "propose-referral": {"proposal": "To be seen."},
    "decline-proposal": {"answer": "Advice is enough."},
    "authorise": {"authorisation": "A-1"},
    "refuse-authorisation": {"reason_text": "Not covered."},
    "ask-information": {"question": "Since when?"},
    "answer": {"answer": "Since May."},
    "acknowledge": {"plan": "Continue.", "question_answered": True},
    "tell": {"channel": "phone"},
    "attempt": {"channel": "phone"},
    "reached": {"channel": "phone"},
    "amend": {"state": "corrected"},
}


def _table() -> dict[tuple[str, str, str], tuple[Choice, ...]]:
    rows: dict[tuple[str, str, str], tuple[Choice, ...]] = {}
    for line in HABITS_TABLE.strip().splitlines():
        kinds, handoff, stage, choices = line.split("|")
        parsed = tuple(_choice(part.strip()) for part in choices.split(";"))
        rows |= {(kind, handoff, stage): parsed for kind in kinds}
    return rows


def _choice(text: str) -> Choice:
    weight, _space, what = text.partition(" ")
    action, _at, who = what.partition("@")
    return Choice(int(weight), "" if action == "-" else action, who)


_ROWS = _table()


def _row(item: Item) -> tuple[Choice, ...]:
    kind = item.case.kind
    return _ROWS.get((kind, item.kind, item.stage)) or _ROWS.get((kind, item.kind, ""), ())
