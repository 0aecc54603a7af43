"""Two at one moment leave what one after the other would: the second sees what the first has left (docs/decisions/0124)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from records import access, clock, store
from records.access import Actor
from records.errors import Stale
from records.json import Resource
from referrals import adoption, intake, locking, people, workflow
from referrals.models import Handoff, Loop
from referrals.parties import held
from referrals.pathways.handoffs import HL7_TASK_CODE
from referrals.upheavals import death
from tests.referrals import region
from tests.referrals.exchange import (
    answer,
    appointment,
    concept,
    document,
    encounter,
    output,
    request,
    result,
    said,
    sent,
    take,
    the,
    the_loop,
)
from tests.referrals.meanwhile import overtaken
from tests.referrals.region import Region
from tests.referrals.ward import MONDAY, hours

Doing = Callable[[Region], Any]
NOW = hours(5)
HOSPITAL, CLINIC = "Organization/hospital", "Organization/clinic"
PANEL: dict[str, Any] = {"category": [concept("108252007")], "code": concept("58410-2", system="http://loinc.org")}


def fulfil(organization: str = "hospital") -> Handoff:
    found = Handoff.objects.select_related("loop__accountable", "owner").filter(kind="fulfil")
    return found.filter(owner__organization=organization).order_by("-opened_at")[0]


def act(kind: str, action: str, by: str = "gp", **data: Any) -> Doing:
    """A colleague does that to the loop's handoff of that kind."""

    def does(here: Region) -> None:
        workflow.perform(the(the_loop(), kind).id, action, getattr(here, by), data=data)

    return does


def answers(status: str, at: float = 5, **elements: Any) -> Doing:
    return lambda here: take(answer(fulfil(), status, hours(at), **elements), here.partner)


def sends(resource: Callable[[], Resource]) -> Doing:
    return lambda here: take(resource(), here.partner)


def reports(status: str, key: str = "result") -> Doing:
    return sends(lambda: result(status, NOW, key))


def visit(status: str, at: float = 5, key: str = "visit") -> Doing:
    return sends(lambda: appointment(status, hours(at), key))


def specimen(status: str, at: float = 5) -> Doing:
    body = {
        "resourceType": "Specimen",
        "id": "specimen",
        "status": status,
        "subject": {"reference": "Patient/ana"},
        "request": [{"reference": "ServiceRequest/sr"}],
    }
    return sends(lambda: said(body, hours(at)))


def orders(status: str) -> Doing:
    """The practice's EHR says so of its request."""
    return lambda here: take({**store.get("ServiceRequest", "sr"), "status": status}, here.ehr)


def dies(here: Region) -> None:
    asked = death.report("ana", here.partner)
    assert asked is not None
    workflow.perform(asked.handoffs.get().id, "confirm", here.nina)


def panel_ordered(here: Region) -> None:
    take(request(**PANEL), here.ehr)
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)


def bidden(here: Region) -> None:
    take(request(), here.ehr)
    performers = {"performer": [HOSPITAL, CLINIC], "bidding": True}
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp, data=performers)


def clinic_accepts(here: Region) -> None:
    workflow.perform(fulfil("clinic").id, "accept", region.client("clinic", "clinic"))


def matches(here: Region) -> None:
    waiting = Handoff.objects.get(kind="match-evidence")
    workflow.perform(waiting.id, "match", here.nina, data={"request": "ServiceRequest/sr"})


def unnamed(here: Region) -> None:
    take({name: value for name, value in result("final", NOW).items() if name != "basedOn"}, here.partner)


def reported(here: Region) -> None:
    take(document(NOW), here.partner)
    take(answer(fulfil(), "completed", NOW, output=output("DocumentReference/note")), here.partner)


def its_ehr_sends(here: Region) -> None:
    body = {
        "resourceType": "Task",
        "id": "from-ehr",
        "status": "requested",
        "intent": "order",
        "code": concept("fulfill", system=HL7_TASK_CODE),
        "focus": {"reference": "ServiceRequest/sr"},
        "for": {"reference": "Patient/ana"},
        "owner": {"reference": HOSPITAL},
    }
    take(body, here.ehr)


def stays(status: str, key: str, at: float) -> Doing:
    """The practice's EHR says so of a stay in its own beds."""
    body = {
        "resourceType": "Encounter",
        "id": key,
        "status": status,
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/ana"},
        "period": {"start": hours(at).isoformat()} | ({"end": hours(at).isoformat()} if status == "finished" else {}),
        "serviceProvider": {"reference": "Organization/practice"},
        "priority": {"coding": [{"code": "EL"}]},
    }
    return lambda here: take(said(body, hours(at)), here.ehr)


def visit_off(here: Region) -> None:
    workflow.perform(fulfil("practice").id, "cancel", here.nina, data={"reason": "withdrawn"})


def lives_in(state: str) -> Doing:
    return lambda here: take({**store.get("Patient", "ana"), "address": [{"state": state}]}, here.ehr)


def no_longer(action: str = "cancel") -> Doing:
    return act("fulfil", action, reason="withdrawn")


DECLINE: dict[str, Any] = {"statusReason": {"text": "No capacity"}}
BEFORE: dict[str, tuple[Doing, ...]] = {
    "ordered": (lambda here: take(request(), here.ehr),),
    "sent": (sent,),
    "accepted": (sent, answers("accepted", 1)),
    "booked": (sent, answers("accepted", 1), visit("booked", 2)),
    "started": (sent, answers("in-progress", 1)),
    "declined": (sent, answers("rejected", 1, **DECLINE)),
    "tested": (panel_ordered,),
    "collected": (panel_ordered, specimen("available", 1)),
    "unmatched": (panel_ordered, unnamed),
    "bidden": (bidden,),
    "known address": (sent, lives_in("TX")),
    "discharged": (stays("finished", "stay", 0),),
}
DOING: dict[str, Doing] = {
    "send": act("dispatch", "send"),
    "its EHR sends": its_ehr_sends,
    "accepts": answers("accepted"),
    "starts": answers("in-progress"),
    "declines": answers("rejected", **DECLINE),
    "fails": answers("failed", **DECLINE),
    "reports": reported,
    "r1 final": reports("final", "r1"),
    "r2 final": reports("final", "r2"),
    "r2 registered": reports("registered", "r2"),
    "r2 cancelled": reports("cancelled", "r2"),
    "unusable": specimen("unsatisfactory"),
    "books": visit("booked"),
    "books another slot": visit("booked", 4.5, "v2"),
    "cancels the old slot": visit("cancelled"),
    "noshow": visit("noshow"),
    "sees": sends(lambda: encounter(NOW)),
    "dies": dies,
    "cancel": no_longer(),
    "ask back": no_longer("request-cancellation"),
    "redirect": act("decide-next-step", "redirect", performer=CLINIC),
    "close": act("decide-next-step", "close", reason="withdrawn"),
    "tell": act("notify-patient", "tell", "nina", channel="phone"),
    "clinic accepts": clinic_accepts,
    "match": matches,
    "revoke": orders("revoked"),
    "hold": orders("on-hold"),
    "moves": lives_in("MA"),
    "visit off": visit_off,
    "readmitted": stays("in-progress", "again", 4),
}
EVIDENCE = """
tested: r1 final || r2 final
tested: r1 final || r2 registered
tested: r1 final || r2 cancelled
tested: r2 cancelled || r1 final
collected: unusable || r1 final
collected: r1 final || unusable
accepted: cancel || books
accepted: cancel || sees
accepted: dies || books
accepted: dies || sees
booked: dies || cancels the old slot
bidden: clinic accepts || books
unmatched: cancel || match
unmatched: dies || match
booked: books another slot || cancels the old slot
booked: cancels the old slot || books another slot
booked: sees || noshow
booked: noshow || sees
booked: fails || sees
accepted: books || starts
accepted: starts || books
declined: redirect || books
declined: close || books
discharged: visit off || readmitted
known address: declines || moves
known address: cancel || moves
"""
REQUESTS = """
ordered: send || its EHR sends
ordered: send || revoke
declined: redirect || revoke
declined: close || revoke
declined: tell || revoke
accepted: starts || revoke
accepted: declines || revoke
accepted: cancel || revoke
accepted: revoke || cancels the old slot
accepted: revoke || starts
accepted: dies || revoke
started: ask back || revoke
started: fails || revoke
sent: cancel || hold
sent: declines || revoke
sent: accepts || hold
"""


def pairs(text: str) -> list[tuple[str, str, str]]:
    lines = (line.replace(": ", "|").replace(" || ", "|").split("|") for line in text.strip().splitlines())
    return [(before, first, second) for before, first, second in lines]


def come_to(before: str) -> Region:
    with clock.at(MONDAY):
        here = region.build()
    for number, step in enumerate(BEFORE[before]):
        with clock.at(hours(number)):
            step(here)
    return here


def left() -> list[tuple[Any, ...]]:
    """What stands in the loops, and what is kept, whatever its ids."""
    loops = [(loop.kind, loop.stage, loop.end_reason, bool(loop.based_on_id)) for loop in Loop.objects.all()]
    handoffs = [
        (one.kind, one.stage, one.task_status, one.reason_code, one.owner.organization, one.is_open, one.loop.kind)
        for one in Handoff.objects.select_related("owner", "loop")
    ]
    kept = [
        (type_, key)
        for type_, keys in {
            "DiagnosticReport": ("r1", "r2"),
            "Appointment": ("visit", "v2"),
            "Encounter": ("contact", "again"),
            "Task": ("from-ehr",),
        }.items()
        for key in keys
        if held(type_, key)
    ]
    return [*sorted(loops), *sorted(handoffs), *kept]


def one_after_the_other(before: str, first: str, second: str) -> list[tuple[Any, ...]]:
    with transaction.atomic():
        here = come_to(before)
        with clock.at(NOW):
            DOING[first](here)
            DOING[second](here)
        found = left()
        transaction.set_rollback(True)
    return found


@pytest.mark.parametrize(("before", "first", "second"), pairs(EVIDENCE + REQUESTS.lstrip()))
def test_whoever_comes_second_does_what_they_would_have_done_afterwards(
    commits: None, before: str, first: str, second: str
) -> None:
    expected = one_after_the_other(before, first, second)
    here = come_to(before)
    overtaken(lambda: DOING[first](here), lambda: DOING[second](here), NOW)
    assert left() == expected


def test_who_matches_second_hears_that_somebody_else_has(commits: None) -> None:
    here = come_to("unmatched")
    other = people.actor_for(region.person("ida", "coordinator"))
    asked = Handoff.objects.get(kind="match-evidence")

    def match(who: Actor) -> None:
        data = {"request": "ServiceRequest/sr"}
        workflow.perform(asked.id, "match", who, version=asked.version, data=data)

    with pytest.raises(Stale, match="Somebody else"):
        overtaken(lambda: match(here.nina), lambda: match(other), NOW)
    assert Handoff.objects.filter(kind="review-report").count() == 1


@pytest.mark.parametrize("is_named_first", [True, False])
def test_a_report_and_the_task_that_names_it_find_each_other(commits: None, is_named_first: bool) -> None:
    here = come_to("sent")
    naming = partial(answers("completed", output=output("DocumentReference/note")), here)
    coming = partial(take, document(NOW), here.partner)
    first, second = (naming, coming) if is_named_first else (coming, naming)
    overtaken(first, second, NOW)
    assert the(the_loop(), "review-report").focus == "DocumentReference/note"
    assert access.visible(here.gp, "DocumentReference").filter(pk="note").exists()


def test_an_order_that_its_ehr_sends_again_while_it_is_adopted_has_one_loop(commits: None) -> None:
    with clock.at(MONDAY):
        here = region.build()
        intake.receive(request("old"), here.ehr, opens=False)
    again = request("old", note=[{"text": "Still wanted"}])
    (done,) = overtaken(lambda: take(again, here.ehr), lambda: adoption.adopt(here.nina, ["old"]), NOW)
    assert (done.loop, done.refused) == (the_loop("old").id, "")


def test_whoever_works_on_an_order_holds_what_followed_it_too(commits: None, others: ThreadPoolExecutor) -> None:
    here = come_to("tested")
    read: dict[str, Any] = {"plan": "None", "question_answered": True}
    with clock.at(NOW):
        for does in (
            reports("final"),
            act("review-report", "acknowledge", **read),
            act("notify-patient", "tell", "nina", channel="phone"),
            reports("amended"),
        ):
            does(here)
    first = the_loop()
    later = Loop.objects.get(based_on=first)

    def take_it() -> Loop:
        try:
            return Loop.objects.select_for_update(nowait=True).get(pk=later.pk)
        finally:
            connection.close()

    with transaction.atomic():
        locking.settled(lambda: [first], lambda loop: loop)
        with pytest.raises(OperationalError, match="could not obtain lock"):
            others.submit(transaction.atomic(take_it)).result()
