"""The end, held against the history: everything that somebody was told is in both places, once, and nothing is left to do."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.chaos.people import HOSPITAL, History, notes
from bench.fake_ehr.wire import Body
from fhir_bridge.models import Inbox, Link
from fhir_bridge.sharing import references
from records import store
from referrals.models import Event, Handoff, Loop

STAGES = {"requested": "sent", "received": "in-triage", "accepted": "awaiting-booking", "in-progress": "in-progress"}
STEPS = frozenset(STAGES.values()) - {STAGES["requested"]}
SETTLED = (Inbox.State.APPLIED, Inbox.State.DISCARDED)
UPKEEP = ("upkeep", "unsolicited")
COUNTED = ("Organization", "Practitioner", "Patient", "ServiceRequest", "Task")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: ``kind`` is lost, duplicated or unresolved."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def unresolved() -> Iterator[Finding]:
    """What the exchange has still to do, or a person has."""
    for link in Link.objects.exclude(state=Link.State.CLEAN).iterator():
        yield Finding("unresolved", f"{link} is {link.state}: {link.error_text}")
    for item in Inbox.objects.exclude(state__in=SETTLED).iterator():
        yield Finding("unresolved", f"{item} is {item.state}: {item.error_text}")
    for loop in Loop.objects.filter(kind__in=UPKEEP, closed_at=None).iterator():
        yield Finding("unresolved", f"{loop.kind} {loop.about}")


def is_idle() -> bool:
    """Whether nothing is left to be exchanged."""
    return next(unresolved(), None) is None


def check(history: History, there: Mapping[str, list[Body]], origin: str) -> list[Finding]:
    """Everything that is wrong; ``there`` is what the hospital's EHR holds, by type."""
    copies: dict[str, list[Body]] = {}
    for copy in there["Task"]:
        copies.setdefault(_ours(copy, origin), []).append(copy)
    found = [*unresolved(), *_numbers(history, there)]
    handoffs = Handoff.objects.select_related("owner").in_bulk(history.notes)
    steps = Counter(Event.objects.filter(handoff__in=history.notes).values_list("handoff", "to_stage"))
    for task in history.notes:
        found += _of_one(task, history, copies.get(task, []), handoffs[task])
    for (task, stage), times in steps.items():
        if stage in STEPS and times > 1:
            found.append(Finding("duplicated", f"Task/{task} came to {stage} {times} times"))
    return found


def _numbers(history: History, there: Mapping[str, list[Body]]) -> Iterator[Finding]:
    """Each person, place and request is there once."""
    referrals = len(history.notes)
    expected = {
        "ServiceRequest": referrals,
        "Task": referrals,
        "Patient": len(history.patients),
        "Practitioner": min(referrals, 1),
        "Organization": 2 * min(referrals, 1),
    }
    for type_, number in expected.items():
        held = len(there[type_])
        if held != number:
            yield Finding("duplicated" if held > number else "lost", f"{held} {type_} there, of {number}")
    if Handoff.objects.filter(kind="fulfil").count() != referrals:
        yield Finding("duplicated", "referrals here")


def _of_one(task: str, history: History, copies: list[Body], handoff: Handoff) -> Iterator[Finding]:
    if len(copies) != 1:
        yield Finding("duplicated" if copies else "lost", f"Task/{task} is there {len(copies)} times")
        return
    ours, theirs, told = store.get("Task", task), copies[0], history.notes[task]
    yield from compared(f"Task/{task} here", notes(ours), told)
    yield from compared(f"Task/{task} there", notes(theirs), told)
    status = history.status[task]
    state = (theirs["status"], ours["status"], handoff.stage, handoff.owner.organization or handoff.owner.key)
    if state != (status, status, STAGES[status], HOSPITAL):
        yield Finding("lost", f"Task/{task} is {state}, and they had said {status}")


def compared(where: str, held: Iterable[str], told: Iterable[str]) -> Iterator[Finding]:
    """What is wrong with the texts that a place holds, against those that somebody was told of."""
    counted = Counter(held)
    for text in told:
        if counted[text] != 1:
            yield Finding(
                "duplicated" if counted[text] else "lost", f"“{text}” of {where} is there {counted[text]} times"
            )
    for text in set(counted) - set(told):
        yield Finding("duplicated", f"“{text}” of {where} was said by nobody")


def _ours(task: Body, origin: str) -> str:
    system = references.identifier(origin, "Task", "")["system"]
    return next((each["value"] for each in task.get("identifier", []) if each.get("system") == system), "")
