"""What nothing came of at first: it is asked for again, ever more rarely, and heard however late it comes to be ours."""

from datetime import timedelta
from typing import Any

import pytest

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import status
from fhir_bridge.models import Inbox, Inquiry, Link, Partner
from records import clock, store
from referrals.models import Handoff
from tests.fhir_bridge.story import HOSPITAL, PRACTICE, Story, keep
from tests.fhir_bridge.test_addressed import ask, later, opened, read, take
from tests.fhir_bridge.test_missing import round_at, test_order, time_for_review

__all__ = ["test_order"]  # a fixture

DAY = 24 * 60
THERE = "https://hospital.example/organisations"


def anew(ehr: FakeEhr, type_: str, id_: str, **more: Any) -> None:
    """The hospital writes something anew."""
    ehr.put(next(each for each in ehr.all(type_) if each["id"] == id_) | more)


def named_here(**more: Any) -> None:
    """The practice is written anew here."""
    keep(store.get("Organization", PRACTICE) | more)


def test_what_can_not_be_read_is_asked_for_ever_more_rarely_and_the_page_says_when_next(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    with ehr.refusing(Answer(500), "GET", "Organization/us"):
        for minutes in range(0, 130, 10):
            later(hospital, ehr, minutes)
        before = read(ehr, "Organization/us")
        for minutes in range(130, 240, 10):
            later(hospital, ehr, minutes)
        assert read(ehr, "Organization/us") <= before + 2, "hourly"
        with clock.at(clock.now() + timedelta(minutes=240)):
            [trouble] = status.troubles(hospital.pk)
        assert trouble.due_at == Inbox.objects.get(type="Organization").due_at is not None
        for days in range(2, 6):
            later(hospital, ehr, days * DAY)
        before = read(ehr, "Organization/us")
        later(hospital, ehr, 5 * DAY + 10)
        assert read(ehr, "Organization/us") == before

    later(hospital, ehr, 7 * DAY)
    later(hospital, ehr, 7 * DAY + 5)
    assert len(opened()) == 1


def test_who_turns_out_there_to_be_one_of_ours_is_heard_from_the_first_order_on(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, {"reference": "Organization/us"})
    ours = next(each for each in ehr.all("Organization") if each["id"] == "us")
    anew(ehr, "Organization", "us", identifier=[{"system": THERE, "value": "17"}])
    take(hospital)
    later(hospital, ehr, 2 * DAY)
    assert opened() == []

    anew(ehr, "Organization", "us", identifier=ours["identifier"])
    later(hospital, ehr, 4 * DAY)

    assert len(opened()) == 1
    assert not Inquiry.objects.filter(remote_id="us").exists()


@pytest.mark.parametrize(
    "whom",
    [{"reference": "Organization/us"}, {"identifier": {"system": THERE, "value": "17"}}],
    ids=["by reference", "by an identifier alone"],
)
def test_who_turns_out_here_to_be_one_of_ours_is_heard_in_the_next_round(
    whom: dict[str, Any], story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    ask(ehr, story, whom)
    anew(ehr, "Organization", "us", identifier=[{"system": THERE, "value": "17"}])
    take(hospital)
    later(hospital, ehr, 30)
    assert opened() == []

    named_here(identifier=[{"system": THERE, "value": "17"}])
    later(hospital, ehr, 60)

    assert [one[0] for one in opened()] == [HOSPITAL]


def test_a_role_that_goes_over_to_us_there_is_heard(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ehr.put({"resourceType": "PractitionerRole", "id": "part", "organization": {"reference": "Organization/others"}})
    ask(ehr, story, {"reference": "PractitionerRole/part"})
    take(hospital)

    anew(ehr, "PractitionerRole", "part", organization={"reference": "Organization/us"})
    later(hospital, ehr, 2 * DAY)

    assert [one[:2] for one in opened()] == [(HOSPITAL, PRACTICE)]


def test_a_service_that_is_linked_and_goes_over_to_us_here_is_heard(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    service = {
        "resourceType": "HealthcareService",
        "id": "here",
        "providedBy": {"reference": f"Organization/{HOSPITAL}"},
    }
    keep(service)
    Link.objects.create(partner=hospital, type="HealthcareService", local_id="here", remote_id="there")
    ask(ehr, story, {"reference": "HealthcareService/there"})
    ehr.put({"resourceType": "HealthcareService", "id": "there"})
    take(hospital)
    assert opened() == []

    keep(service | {"providedBy": {"reference": f"Organization/{PRACTICE}"}})
    later(hospital, ehr, 60)

    assert [one[0] for one in opened()] == [HOSPITAL]


def test_others_are_read_again_once_a_day_and_lead_to_nothing(story: Story, hospital: Partner, ehr: FakeEhr) -> None:
    ask(ehr, story, {"reference": "Organization/others"})
    take(hospital)
    for minutes in (60, 120):
        later(hospital, ehr, minutes)
    before = read(ehr, "Organization/others")
    for minutes in (DAY + 10, DAY + 60):
        later(hospital, ehr, minutes)

    assert read(ehr, "Organization/others") == before + 1
    assert not Inbox.objects.exists()


def test_a_value_that_can_be_read_one_day_without_any_change_hurries_its_review(
    test_order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    with ehr.refusing(Answer(403), "GET", "Observation"):
        for minutes in (1, 5, 60):
            round_at(minutes, ehr, hospital)
    assert time_for_review(test_order).days == 14
    assert not status.troubles(hospital.pk)
    Inbox.objects.filter(type="Observation").delete()

    round_at(180, ehr, hospital)

    assert time_for_review(test_order).total_seconds() <= DAY * 60
    assert not Inquiry.objects.filter(type="Observation").exists()


def test_a_value_that_is_refused_for_good_is_forgotten_after_some_weeks(
    test_order: Handoff, hospital: Partner, ehr: FakeEhr
) -> None:
    with ehr.refusing(Answer(403), "GET", "Observation"):
        round_at(1, ehr, hospital)
        Inquiry.objects.filter(type="Observation").update(attempts=54)
        round_at(DAY, ehr, hospital)

    assert not Inquiry.objects.filter(type="Observation").exists()
