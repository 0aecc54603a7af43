"""Whose report it is: by who has done it rather than who brings it, by the order's number, and by what is said of it next."""

from datetime import timedelta
from typing import Any

import pytest

from records import clock, store
from records.access import SYSTEM, Actor
from records.errors import Incorrect
from records.json import Resource
from referrals import intake, workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals.exchange import answer, output, result
from tests.referrals.ward import MONDAY, Ward

HOUR = timedelta(hours=1)
ABOUT = {"subject": {"reference": "Patient/pat"}}
NUMBER = {"system": "urn:practice:orders", "value": "4711"}
OWN_EHR = Actor(
    id="client:ehr",
    kind="client",
    display="Practice EHR",
    organization="practice",
    scopes=frozenset({"system/*.cruds"}),
)
STRANGER = Actor(id="partner:x", kind="partner", display="X lab", organization="xlab")


def report(status: str, at: Any = MONDAY + HOUR, **elements: Any) -> Resource:
    """A laboratory's report about the ward's patient that names nothing besides what is given."""
    found = result(status, at, "r", **ABOUT)
    return {name: value for name, value in found.items() if name != "basedOn"} | elements


def done_by(key: str) -> dict[str, Any]:
    return {"performer": [{"reference": f"Organization/{key}"}]}


def names(loop: Loop) -> dict[str, Any]:
    return {"basedOn": [{"reference": f"ServiceRequest/{loop.request_id}"}]}


def receive(actor: Actor, resource: Resource, hours: int) -> None:
    with clock.at(MONDAY + hours * HOUR):
        intake.receive(resource, actor)


def split(ward: Ward, first: str, second: str) -> Loop:
    """A test order that two are asked to perform."""
    loop = ward.order("test-order", performer=first)
    both = [f"Organization/{first}", f"Organization/{second}"]
    workflow.perform(ward.only(loop, "dispatch").id, "send", ward.referrer, data={"performer": both})
    return loop


def stages(loop: Loop) -> dict[str, str]:
    """How far each performer is."""
    parts = Handoff.objects.filter(loop=loop, kind="fulfil")
    return dict(parts.values_list("owner__organization", "stage"))


def kept_order(ward: Ward) -> Loop:
    """A test order that was sent to Elsewhere and has a number."""
    key = clock.new_id()
    order: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": key,
        "status": "active",
        "intent": "order",
        **ABOUT,
    }
    order |= {"identifier": [NUMBER], "requester": {"reference": "Organization/practice"}}
    store.write(order, actor=SYSTEM, validate=False, audience=["practice"])
    return ward.sent("test-order", performer="elsewhere", request=key)[0]


@pytest.mark.parametrize("asked", [("elsewhere", "clinic"), ("clinic", "elsewhere")])
@pytest.mark.parametrize("doer", ["elsewhere", "clinic"])
def test_a_report_that_was_matched_ends_the_part_of_who_has_done_it(
    ward: Ward, asked: tuple[str, str], doer: str
) -> None:
    loop = split(ward, *asked)
    receive(OWN_EHR, report("final", **done_by(doer)), 2)
    match(ward, loop)
    ended = stages(loop)
    assert ended.pop(doer) == "final"
    assert [*ended.values()] == ["ordered"], "the other one's part goes on"


def match(ward: Ward, loop: Loop, **data: Any) -> None:
    asked = Handoff.objects.get(kind="match-evidence")
    ward.does(ward.coordinator, asked, "match", request=names(loop)["basedOn"][0]["reference"], **data)


@pytest.mark.parametrize("doer", ["elsewhere", "clinic"])
def test_of_a_report_that_names_no_doer_a_person_says_which_performers_it_is(ward: Ward, doer: str) -> None:
    loop = split(ward, "elsewhere", "clinic")
    receive(OWN_EHR, report("final"), 2)

    with pytest.raises(Incorrect, match="Several perform this order") as refused:
        match(ward, loop)
    assert [one.expression for one in refused.value.issues] == ["done_by"]
    assert set(stages(loop).values()) == {"ordered"}, "nobody guesses"
    with pytest.raises(Incorrect, match="Nobody of that name"):
        match(ward, loop, done_by="Organization/practice")

    match(ward, loop, done_by=f"Organization/{doer}")
    ended = stages(loop)
    assert (ended.pop(doer), [*ended.values()]) == ("final", ["ordered"])


def test_its_own_task_then_says_nothing_new(ward: Ward) -> None:
    loop = split(ward, "elsewhere", "clinic")
    receive(OWN_EHR, report("final", **done_by("elsewhere")), 2)
    match(ward, loop)
    theirs = Handoff.objects.get(loop=loop, kind="fulfil", owner=ward.outside)
    receive(ward.partner, answer(theirs, "completed", MONDAY + 3 * HOUR, output=output("DiagnosticReport/r")), 4)
    assert stages(loop) == {"elsewhere": "final", "clinic": "ordered"}
    assert Handoff.objects.filter(kind="review-report").count() == 1


@pytest.mark.parametrize("asked", [("elsewhere", "clinic"), ("clinic", "elsewhere")])
def test_who_was_asked_is_not_elsewhere_whoever_brings_the_report(ward: Ward, asked: tuple[str, str]) -> None:
    loop = split(ward, *asked)
    receive(OWN_EHR, report("final", **done_by("elsewhere"), **names(loop)), 2)
    assert not Event.objects.filter(action="seen-elsewhere").exists()
    assert Loop.objects.get(kind="unsolicited").about == "DiagnosticReport/r", "a person looks at it"


@pytest.mark.parametrize("is_partner", [True, False])
def test_a_report_that_names_our_order_by_its_number_alone_is_of_that_order(ward: Ward, is_partner: bool) -> None:
    loop = kept_order(ward)
    by_number = {"basedOn": [{"type": "ServiceRequest", "identifier": NUMBER}]}
    receive(ward.partner if is_partner else OWN_EHR, report("final", **by_number), 2)
    if is_partner:
        assert stages(loop) == {"elsewhere": "final"}
    else:
        assert Loop.objects.get(kind="unsolicited").about == "DiagnosticReport/r", "a person looks at it"


@pytest.mark.parametrize(
    "named",
    [
        {"reference": "https://lab.example/fhir/ServiceRequest/filler-1"},
        {"identifier": {"system": "urn:lab", "value": "F-1"}},
    ],
)
def test_a_report_that_names_an_order_of_its_own_is_matched_by_a_person(ward: Ward, named: dict[str, Any]) -> None:
    ward.sent("test-order", performer="elsewhere")
    receive(ward.partner, report("final", basedOn=[named]), 2)
    assert Loop.objects.get(kind="unsolicited").about == "DiagnosticReport/r"


@pytest.mark.parametrize(("performer", "is_asked"), [("elsewhere", True), ("clinic", False)])
def test_so_is_one_whose_order_of_its_own_is_kept_here(ward: Ward, performer: str, is_asked: bool) -> None:
    ward.sent("test-order", performer=performer)
    filler = {"resourceType": "ServiceRequest", "id": "filler", "status": "active", "intent": "filler-order", **ABOUT}
    store.write(filler, actor=SYSTEM, validate=False)
    receive(ward.partner, report("final", basedOn=[{"reference": "ServiceRequest/filler"}]), 2)
    assert Loop.objects.filter(kind="unsolicited").exists() == is_asked


def test_of_a_partner_that_was_asked_nothing_an_order_of_its_own_is_its_own_affair(ward: Ward) -> None:
    ward.sent("test-order", performer="clinic")
    foreign = {"reference": "https://lab.example/fhir/ServiceRequest/filler-1"}
    receive(ward.partner, report("final", basedOn=[foreign]), 2)
    assert not Loop.objects.filter(kind="unsolicited").exists()


@pytest.mark.parametrize("then", ["corrected", "entered-in-error"])
@pytest.mark.parametrize("is_decided", [True, False])
def test_what_is_said_elsewhere_of_its_report_next_is_asked_about_again(
    ward: Ward, then: str, is_decided: bool
) -> None:
    store.write({"resourceType": "Organization", "id": "xlab", "name": "X"}, actor=SYSTEM)
    loop, _fulfil = ward.sent("test-order", performer="elsewhere")
    receive(STRANGER, report("final", **done_by("xlab"), **names(loop)), 2)
    if is_decided:
        ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "keep")
    receive(STRANGER, report(then, MONDAY + 3 * HOUR, **done_by("xlab"), **names(loop), conclusion="Critical."), 4)
    assert Event.objects.filter(loop=loop, action="seen-elsewhere").count() == 2
    assert ward.only(loop, "decide-next-step").is_open, "once, until it is decided"
    receive(STRANGER, report(then, MONDAY + 3 * HOUR, **done_by("xlab"), **names(loop), conclusion="Critical."), 5)
    assert Event.objects.filter(loop=loop, action="seen-elsewhere").count() == 2, "the same again is no news"


@pytest.mark.parametrize("then", ["corrected", "entered-in-error"])
def test_an_order_that_was_ended_for_a_report_from_elsewhere_is_decided_again_when_that_is_taken_back(
    ward: Ward, then: str
) -> None:
    store.write({"resourceType": "Organization", "id": "xlab", "name": "X"}, actor=SYSTEM)
    loop, fulfil = ward.sent("test-order")
    receive(STRANGER, report("final", **done_by("xlab"), **names(loop)), 2)
    ward.does(ward.referrer, ward.only(loop, "decide-next-step"), "close", reason="done-elsewhere")
    for call in Handoff.objects.filter(kind="notify-patient", closed_at=None):
        ward.does(ward.coordinator, call, "tell", channel="phone")
    assert Loop.objects.get(pk=loop.pk).closed_at
    for hours in (4, 5):
        receive(STRANGER, report(then, MONDAY + 3 * HOUR, **done_by("xlab"), **names(loop), conclusion="K 7.1"), hours)
    [decision] = Handoff.objects.filter(kind="decide-next-step", closed_at=None)
    assert decision.loop.based_on_id == loop.id
    assert not Handoff.objects.filter(kind="fulfil", closed_at=None).exclude(pk=fulfil.pk).exists(), "nothing by itself"


def test_a_report_that_was_refused_and_turns_out_to_be_our_patients_is_asked_about_again(ward: Ward) -> None:
    ben = {"resourceType": "Patient", "id": "ben", "name": [{"family": "Ben"}]}
    store.write(ben, actor=SYSTEM, audience=["practice"])
    receive(OWN_EHR, report("final", subject={"reference": "Patient/ben"}), 2)
    ward.does(ward.coordinator, Handoff.objects.get(kind="match-evidence"), "refuse", reason="wrong-patient")
    receive(OWN_EHR, report("corrected", MONDAY + 3 * HOUR, conclusion="K 7.1"), 4)
    assert Handoff.objects.get(kind="match-evidence", closed_at=None).loop.about == "DiagnosticReport/r"


def test_a_report_that_a_form_has_named_is_not_read_again_for_its_language(ward: Ward) -> None:
    loop, fulfil = ward.sent("test-order")
    laboratory = Actor(
        id="client:lis", kind="client", display="LIS", organization="clinic", scopes=frozenset({"system/*.cruds"})
    )
    with clock.at(MONDAY + HOUR):
        ward.does(ward.clinic, fulfil, "result", report="DiagnosticReport/r")
        store.write(report("final"), actor=laboratory, audience=["practice", "clinic"])
    review = ward.only(loop, "review-report")
    receive(laboratory, report("final", language="de"), 3)
    assert ward.only(loop, "review-report") == review
    receive(laboratory, report("final", language="de", conclusion="K 7.1"), 4)
    assert ward.only(loop, "review-report") != review, "but what it says anew is"
