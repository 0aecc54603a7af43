"""Each performer's visits, documents and results move its own part, whatever stands in another's calendar."""

from datetime import datetime
from typing import Any

import pytest

from records import clock
from records.access import Actor
from records.json import Resource
from referrals import people, workflow
from referrals.models import Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import answer, appointment, document, request, result, sent, take, the, the_loop
from tests.referrals.region import CLINIC, HOSPITAL, Region
from tests.referrals.ward import hours

pytestmark = pytest.mark.django_db
LEADS_TO = {"cancelled": "appointment-cancelled", "noshow": "no-show", "fulfilled": "seen-awaiting-report"}
FIRST, SECOND = "first", "second"


@pytest.fixture
def clinic(here: Region) -> Actor:
    """The clinic's own system."""
    return region.client("clinic", CLINIC)


def hear(at: int, resource: Resource, actor: Actor) -> None:
    with clock.at(hours(at)):
        take(resource, actor)


def visit(key: str, status: str, at: int, start: int) -> Resource:
    return appointment(status, hours(at), key, start=hours(start).isoformat(), end=hours(start + 1).isoformat())


def ask(here: Region, *performers: str) -> tuple[Loop, list[Handoff]]:
    """A referral that several are asked to perform, and the part of each."""
    take(request(), here.ehr)
    loop = the_loop()
    workflow.perform(the(loop, "dispatch").id, "send", here.gp, data={"performer": list(performers)})
    parts = Handoff.objects.select_related("owner").filter(loop=loop, kind="fulfil")
    return loop, sorted(parts, key=lambda one: performers.index(f"{people.type_of(one.owner.kind)}/{one.owner.key}"))


def stands(part: Handoff) -> tuple[str, datetime | None]:
    now = Handoff.objects.get(pk=part.pk)
    return now.stage, now.slot_end_at


@pytest.mark.parametrize("status", LEADS_TO)
def test_each_of_two_performers_has_a_visit_of_its_own(here: Region, clinic: Actor, status: str) -> None:
    pool = people.default_pool(CLINIC)
    _loop, [theirs, ours] = ask(here, f"Organization/{HOSPITAL}", f"CareTeam/{pool.key}")
    hear(1, visit(FIRST, "booked", 1, 240), here.partner)
    hear(2, visit(SECOND, "booked", 2, 48), clinic)
    assert (stands(theirs), stands(ours)) == (("scheduled", hours(241)), ("scheduled", hours(49)))
    hear(60, visit(SECOND, status, 60, 48), clinic)
    assert (stands(theirs)[0], stands(ours)[0]) == ("scheduled", LEADS_TO[status])


@pytest.mark.parametrize("status", LEADS_TO)
def test_what_stands_in_the_calendar_of_who_was_asked_before_says_nothing_of_whoever_is_asked_instead(
    here: Region, clinic: Actor, status: str
) -> None:
    loop = sent(here)
    hear(1, visit(FIRST, "booked", 1, 240), here.partner)
    hear(2, answer(the(loop, "fulfil"), "failed", hours(2)), here.partner)
    with clock.at(hours(3)):
        instead = {"performer": [f"Organization/{CLINIC}"]}
        workflow.perform(the(loop, "decide-next-step").id, "redirect", here.gp, data=instead)
    hear(4, visit(SECOND, "booked", 4, 48), clinic)
    part = the(loop, "fulfil")
    assert stands(part) == ("scheduled", hours(49))
    hear(60, visit(SECOND, status, 60, 48), clinic)
    assert stands(part)[0] == LEADS_TO[status]


@pytest.mark.parametrize("place", [0, 1])
def test_a_document_that_names_a_task_is_of_that_part_though_one_house_has_both(
    here: Region, clinic: Actor, place: int
) -> None:
    teams = [people.create_pool(CLINIC, name).owner for name in ("Heart", "Lungs")]
    _loop, parts = ask(here, *(f"CareTeam/{team.key}" for team in teams))
    named: dict[str, Any] = {"context": {"related": [{"reference": f"Task/{parts[place].id}"}]}}
    hear(1, document(hours(1), id="letter", **named), clinic)
    assert stands(parts[place])[0] == "report-sent"
    assert stands(parts[1 - place])[0] == "sent"


def test_a_result_under_the_first_request_is_not_of_what_was_asked_in_its_place(here: Region) -> None:
    loop = sent(here)
    old = the(loop, "fulfil")
    hear(2, request("sr-2", replaces=[{"reference": "ServiceRequest/sr"}]), here.ehr)
    with clock.at(hours(3)):
        asked = {"performer": [f"Organization/{HOSPITAL}"]}
        workflow.perform(the(loop, "dispatch").id, "send", here.gp, data=asked)
    new = the(loop, "fulfil")
    hear(6, result("final", hours(6), basedOn=[{"reference": "ServiceRequest/sr"}]), here.partner)
    assert (stands(old)[0], stands(new)[0]) == ("report-sent", "sent")


@pytest.mark.parametrize("code", ["replaces", "appends"])
@pytest.mark.parametrize("is_over", [False, True])
def test_what_replaces_or_appends_to_a_report_that_a_person_has_sent_is_read_too(
    here: Region, clinic: Actor, code: str, *, is_over: bool
) -> None:
    loop, [part] = ask(here, f"CareTeam/{people.default_pool(CLINIC).key}")
    consultant = people.actor_for(region.person("consultant", "practitioner", organization=CLINIC))
    hear(1, document(hours(1), id="letter"), clinic)
    does = workflow.perform
    with clock.at(hours(2)):
        does(part.id, "report", consultant, data={"report": "DocumentReference/letter"})
        if is_over:
            does(
                the(loop, "review-report").id,
                "acknowledge",
                here.gp,
                data={"plan": "Go on.", "question_answered": True},
            )
            does(the(loop, "notify-patient").id, "tell", here.nina, data={"channel": "phone"})
    earlier = {"relatesTo": [{"code": code, "target": {"reference": "DocumentReference/letter"}}]}
    hear(3, document(hours(3), id="second", **earlier), clinic)
    to_read = Handoff.objects.filter(kind="review-report", closed_at=None)
    assert "DocumentReference/second" in to_read.values_list("focus", flat=True)
