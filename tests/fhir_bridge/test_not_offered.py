"""A gateway that answers "there is no such thing" while the server behind it is away: nothing of that time is missed."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import tasks
from fhir_bridge.inbound import polling
from fhir_bridge.models import Link, Partner, Watermark
from fhir_bridge.outbound import pushing
from records import clock, errors
from referrals.models import Handoff, Loop
from tests.fhir_bridge.story import Story, put_order
from tests.fhir_bridge.test_unread import at, to_mend, unread

# As a gateway says it, for whatever is asked
AWAY = [Answer(status, None, {"Content-Type": "text/html"}, text="<html>nginx</html>") for status in (404, 405, 501)]


@pytest.mark.parametrize("answer", AWAY, ids=["404", "405", "501"])
def test_an_order_that_is_filed_while_a_gateway_says_that_there_is_nothing_is_read_afterwards(
    answer: Answer, story: Story, office: Partner, ehr: FakeEhr
) -> None:
    at(0, ehr, office)
    heard_at = Partner.objects.get(pk=office.pk).last_success_at
    with ehr.refusing(answer, "GET"):
        for minutes in (1, 5, 15, 30):
            at(minutes, ehr, office)
            if minutes == 5:
                put_order(ehr, story.run)
        assert Partner.objects.get(pk=office.pk).last_success_at == heard_at, "nothing was heard of it"

    for minutes in (46, 47):
        at(minutes, ehr, office)

    assert Loop.objects.filter(kind="referral").exists()
    assert not Watermark.objects.exclude(failing_since=None).exists()


def test_a_result_that_is_filed_meanwhile_is_read_afterwards_and_the_outage_was_somebodys_work(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    story.order_test()
    pushing.run_once(hospital)
    at(0, ehr, hospital)
    about = {kind: {"reference": f"{kind}/{Link.objects.get(type=kind).remote_id}"} for kind in PARTS}
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Potassium"}}
    with ehr.refusing(AWAY[0], "GET", "DiagnosticReport"):
        at(1, ehr, hospital)
        ehr.put(report | {"subject": about["Patient"], "basedOn": [about["ServiceRequest"]]})
        for minutes in (30, 62):
            at(minutes, ehr, hospital)
        assert (to_mend(story, 62), unread(hospital, 62)) == (["Hospital · DiagnosticReport"], ["DiagnosticReport"])

    at(63, ehr, hospital)

    assert Handoff.objects.filter(kind="review-report", closed_at=None).exists()
    assert (to_mend(story, 63), unread(hospital, 63)) == ([], [])


PARTS = ("Patient", "ServiceRequest")


def test_a_type_that_a_partner_has_never_had_is_nobodys_work(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    hospital.abilities = {}
    hospital.save()
    with ehr.refusing(AWAY[0], "GET", "Specimen"):
        for minutes in (0, 30, 62, 125):
            at(minutes, ehr, hospital)
    assert (to_mend(story, 125), unread(hospital, 125)) == ([], [])
    heard_at = Partner.objects.get(pk=hospital.pk).last_success_at
    assert heard_at is not None
    assert heard_at > datetime.now(UTC) + timedelta(minutes=124)


@pytest.mark.usefixtures("story")
def test_who_says_of_every_type_that_there_is_none_was_not_heard(hospital: Partner, ehr: FakeEhr) -> None:
    hospital.abilities = {}
    hospital.save()
    with ehr.refusing(AWAY[0], "GET"), pytest.raises(errors.Unsupported):
        polling.poll(hospital)
    assert Partner.objects.get(pk=hospital.pk).last_success_at is None


def test_a_type_that_is_offered_later_is_read_from_the_beginning(story: Story, office: Partner, ehr: FakeEhr) -> None:
    with ehr.refusing(AWAY[0], "GET", "ServiceRequest"):
        at(0, ehr, office)
        put_order(ehr, story.run)
        at(30, ehr, office)
    with clock.at(datetime.now(UTC) + timedelta(minutes=31)):
        tasks.pull(office.pk)
    assert Loop.objects.filter(kind="referral").exists()
