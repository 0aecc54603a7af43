"""A report is applied with its values: what can't be read at one moment is waited for, what is corrected there is heard."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import tasks
from fhir_bridge.inbound import items
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from records.json import Resource
from referrals.models import Handoff
from tests.fhir_bridge.story import Story

CRITICAL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"}
FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


def pull(partner: Partner, minutes: int) -> None:
    with clock.at(datetime.now(UTC) + timedelta(minutes=minutes)):
        tasks.pull(partner.pk)


def about_ana() -> Resource:
    reference = f"Patient/{Link.objects.get(type='Patient').remote_id}"
    return {"status": "final", "code": {"text": "Potassium"}, "subject": {"reference": reference}}


def put_value(ehr: FakeEhr, **more: object) -> None:
    critical = {"valueString": "7.2", "interpretation": [{"coding": [CRITICAL]}]}
    ehr.put({"resourceType": "Observation", "id": "k", **about_ana(), **critical, **more})


@pytest.fixture
def order(story: Story, hospital: Partner, ehr: FakeEhr) -> Handoff:
    """A test order, whose report is there with a critical value."""
    made = story.order_test()
    pushing.run_once(hospital)
    put_value(ehr)
    based_on = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
    listed = {"basedOn": based_on, "result": [{"reference": "Observation/k"}]}
    ehr.put({"resourceType": "DiagnosticReport", "id": "r", **about_ana(), **listed})
    return made


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(text="<html>Sign in</html>", headers={"Content-Type": "text/html"}),
        Answer(text='{"resourceType": "Obs'),
        Answer(body=FAILED),
    ],
    ids=["500", "a page", "cut", "an outcome"],
)
def test_a_critical_value_that_can_not_be_read_at_one_moment_is_as_urgent_as_any_other(
    answer: Answer, order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    reviews = Handoff.objects.filter(loop=order.loop, kind="review-report")

    with ehr.refusing(answer, "GET", "Observation/k"):
        pull(hospital, minutes=1)
    assert Inbox.objects.get(type="DiagnosticReport").state == Inbox.State.WAITING
    assert not reviews.exists()

    pull(hospital, minutes=3)
    review = reviews.get()
    assert review.due_at - review.opened_at == timedelta(days=1)
    assert not Inbox.objects.filter(state__in=items.OPEN).exists()


def test_a_value_that_was_wrong_and_is_corrected_there_is_heard(
    order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    put_value(ehr, effectiveDateTime="yesterday")
    pull(hospital, minutes=1)
    assert Inbox.objects.get(type="Observation").state == Inbox.State.QUARANTINED

    with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
        put_value(ehr)
    pull(hospital, minutes=3)

    assert Link.objects.filter(type="Observation", remote_id="k").exists()
    assert is_due_in_a_day(order)


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "with others"])
def test_a_value_that_can_be_had_only_after_its_report_was_applied_makes_the_review_urgent(
    is_alone: bool, order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    ehr.remove("Observation", "k")
    pull(hospital, minutes=1)
    assert not is_due_in_a_day(order)

    with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
        put_value(ehr)
        if not is_alone:
            based_on = [{"reference": f"ServiceRequest/{Link.objects.get(type='ServiceRequest').remote_id}"}]
            ehr.put({"resourceType": "Observation", "id": "na", **about_ana(), "basedOn": based_on})
    pull(hospital, minutes=3)

    assert is_due_in_a_day(order)
    value, report = (
        Link.objects.get(type=type_, remote_id=id_) for type_, id_ in (("Observation", "k"), ("DiagnosticReport", "r"))
    )
    assert store.get("DiagnosticReport", report.local_id)["result"] == [{"reference": f"Observation/{value.local_id}"}]


def test_a_value_that_is_corrected_to_a_critical_one_makes_the_review_urgent(
    order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    put_value(ehr, interpretation=[], valueString="4.2")
    pull(hospital, minutes=1)
    assert not is_due_in_a_day(order)

    with clock.at(datetime.now(UTC) + timedelta(minutes=2)):
        put_value(ehr, status="corrected")
    pull(hospital, minutes=3)
    assert is_due_in_a_day(order)


def is_due_in_a_day(order: Handoff) -> bool:
    review = Handoff.objects.get(loop=order.loop, kind="review-report", closed_at=None)
    return review.due_at - review.opened_at <= timedelta(days=1)
