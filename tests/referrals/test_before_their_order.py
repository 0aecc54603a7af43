"""What names an order before the order is here is heard once it is: an EHR may write both at one moment."""

from functools import partial
from typing import Any

import pytest

from records import access, clock
from records.json import Resource
from referrals import adoption, intake, workflow
from referrals.models import Event, Handoff, Loop
from tests.referrals import region
from tests.referrals.exchange import appointment, concept, document, open_kinds, request, result, take, the, the_loop
from tests.referrals.meanwhile import overtaken
from tests.referrals.region import Region
from tests.referrals.ward import MONDAY, hours

PANEL: dict[str, Any] = {"category": [concept("108252007")], "code": concept("58410-2", system="http://loinc.org")}
VISIT: dict[str, Any] = {"code": concept("390906007"), "performer": [{"reference": "Organization/practice"}]}


@pytest.fixture
def town(commits: None) -> Region:
    with clock.at(MONDAY):
        return region.build()


def note(**elements: Any) -> Resource:
    return document(hours(1), context={"related": [{"reference": "ServiceRequest/sr"}]}, **elements)


@pytest.mark.django_db
def test_a_result_that_came_before_its_order_is_matched_by_a_person(here: Region) -> None:
    take(result("final", hours(0)), here.partner)
    assert not Loop.objects.exists()
    take(request(**PANEL), here.ehr)
    asked = Handoff.objects.get(kind="match-evidence")
    assert asked.loop.about == "DiagnosticReport/result"
    assert open_kinds(the_loop()) == ["dispatch"]
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    assert "review-report" not in open_kinds(the_loop())
    workflow.perform(asked.id, "match", here.nina, data={"request": "ServiceRequest/sr"})
    assert the(the_loop(), "review-report").focus == "DiagnosticReport/result"


@pytest.mark.django_db
def test_what_a_person_has_refused_is_not_asked_again_when_the_order_is_sent(here: Region) -> None:
    take(result("final", hours(0)), here.partner)
    take(request(**PANEL), here.ehr)
    workflow.perform(
        Handoff.objects.get(kind="match-evidence").id, "refuse", here.nina, data={"reason": "wrong-patient"}
    )
    workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    assert not Handoff.objects.filter(kind="match-evidence", closed_at=None).exists()


@pytest.mark.django_db
def test_the_visit_that_was_booked_before_its_order_came_stands_in_it(here: Region) -> None:
    take(appointment("booked", hours(0)), here.ehr)
    take(request(**VISIT), here.ehr)
    assert the(the_loop(), "fulfil").stage == "booked"
    assert Event.objects.get(evidence="Appointment/visit").actor_id == here.ehr.id


@pytest.mark.django_db
def test_the_visit_that_was_booked_before_the_order_was_sent_stands_in_it(here: Region) -> None:
    take(request(), here.ehr)
    with clock.at(hours(1)):
        take(appointment("booked", hours(1)), here.partner)
        assert open_kinds(the_loop()) == ["dispatch"]
        workflow.perform(the(the_loop(), "dispatch").id, "send", here.gp)
    assert the(the_loop(), "fulfil").stage == "scheduled"


@pytest.mark.django_db
def test_the_letter_that_its_placer_wrote_first_goes_with_the_order(here: Region) -> None:
    take(note(), here.ehr)
    take(request(**VISIT), here.ehr)
    assert the(the_loop(), "fulfil").stage == "planned"
    assert not Handoff.objects.filter(kind="match-evidence").exists()
    assert access.visible(here.gp, "DocumentReference").filter(pk="note").exists()


@pytest.mark.django_db
def test_a_report_of_another_patient_shows_in_no_patients_order(here: Region) -> None:
    take(result("final", hours(0), subject={"reference": "Patient/ben"}), here.partner)
    take(request(**VISIT), here.ehr)
    assert the(the_loop(), "fulfil").stage == "planned"
    assert Handoff.objects.get(kind="match-evidence").loop.patient_id == ""


@pytest.mark.django_db
def test_an_order_that_is_adopted_hears_what_was_imported_with_it(here: Region) -> None:
    intake.receive(appointment("booked", hours(0)), here.ehr, opens=False)
    intake.receive(request(**VISIT), here.ehr, opens=False)
    adoption.adopt(here.nina, ["sr"])
    assert the(the_loop(), "fulfil").stage == "booked"


@pytest.mark.parametrize("is_reported_first", [True, False])
def test_a_result_and_its_order_find_each_other(town: Region, is_reported_first: bool) -> None:
    reporting = partial(take, result("final", MONDAY), town.partner)
    with clock.at(MONDAY):
        ordering = partial(take, request(**PANEL), town.ehr)
    first, second = (reporting, ordering) if is_reported_first else (ordering, reporting)
    overtaken(first, second)
    assert Handoff.objects.get(kind="match-evidence").loop.about == "DiagnosticReport/result"


@pytest.mark.django_db
def test_a_value_of_another_patient_that_came_first_is_only_kept(here: Region) -> None:
    value = {
        **result("final", hours(0), "value"),
        "resourceType": "Observation",
        "subject": {"reference": "Patient/ben"},
    }
    take({name: said for name, said in value.items() if name != "issued"}, here.partner)
    take(request(**VISIT), here.ehr)
    assert Loop.objects.count() == 1
