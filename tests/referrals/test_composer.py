"""From a chosen patient and service to a sent request: the draft is valid R4, and what is wrong with it is said."""

from datetime import UTC, date, datetime, timedelta

import pytest

from records import clock, store, validation
from records.errors import Incorrect
from records.json import Resource
from referrals import composer, people
from referrals.models import Loop
from tests.referrals import region
from tests.referrals.exchange import open_kinds, the
from tests.referrals.region import CARDIOLOGY, HOSPITAL, PRACTICE, Region
from tests.referrals.ward import MONDAY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def referral(here: Region, patient: str = "ana", service: str = "heart-clinic", reason: str = "Chest pain") -> Resource:
    return composer.draft(
        here.gp, patient, service, reason=reason, priority="urgent", needed_by=date(2026, 3, 20), note="Please"
    )


def codes(here: Region, request: Resource) -> list[tuple[str, str]]:
    return [(one.severity, one.code) for one in composer.findings(request, here.gp)]


def test_a_referral_is_valid_r4_and_carries_our_identifier(here: Region) -> None:
    request = referral(here)
    validation.check(request)
    assert request["identifier"][0]["value"] == request["id"]
    assert request["occurrencePeriod"] == {"end": "2026-03-20"}
    assert codes(here, request) == []


def test_submitting_sends_it_to_the_service_in_one_step(here: Region) -> None:
    loop = composer.submit(referral(here), here.gp)
    assert (loop.kind, loop.service_id, loop.performer, loop.priority) == (
        "referral",
        "heart-clinic",
        HOSPITAL,
        "urgent",
    )
    assert open_kinds(loop) == ["fulfil"]
    fulfil = the(loop, "fulfil")
    assert (fulfil.owner.key, fulfil.list, fulfil.needed_by) == (CARDIOLOGY, here.pool.owner, loop.needed_by)
    assert store.get("Task", fulfil.id)["focus"] == {"reference": f"ServiceRequest/{loop.request_id}"}


def test_sending_can_wait(here: Region) -> None:
    assert open_kinds(composer.submit(referral(here), here.gp, send=False)) == ["dispatch"]


def test_the_same_draft_submitted_twice_is_one_request(here: Region) -> None:
    request = referral(here)
    assert composer.submit(request, here.gp) == composer.submit(request, here.gp)
    assert Loop.objects.count() == 1


def test_a_second_request_for_the_same_is_warned_of(here: Region) -> None:
    composer.submit(referral(here), here.gp)
    assert codes(here, referral(here)) == [("warning", "duplicate")]
    assert codes(here, referral(here, patient="ben")) == []


def test_what_is_missing_stops_it_and_writes_nothing(here: Region) -> None:
    request = referral(here, patient="eve", service="", reason="")
    assert codes(here, request) == [
        ("error", "patient-missing"),
        ("error", "performer-missing"),
        ("error", "reason-missing"),
    ]
    with pytest.raises(Incorrect) as refused:
        composer.submit(request, here.gp)
    assert [one.expression for one in refused.value.issues] == [
        "ServiceRequest.subject",
        "ServiceRequest.performer",
        "ServiceRequest.reasonCode",
    ]
    assert Loop.objects.count() == 0


def test_the_dead_the_closed_and_the_past_are_refused(here: Region) -> None:
    region.keep({"resourceType": "Patient", "id": "ana", "deceasedBoolean": True}, PRACTICE)
    service = store.get("HealthcareService", "heart-clinic")
    region.keep({**service, "active": False})
    request = referral(here)
    with clock.at(MONDAY + timedelta(days=30)):
        found = codes(here, request)
    assert found == [("error", "patient-deceased"), ("error", "service-closed"), ("error", "needed-by-past")]


def test_somebody_who_is_no_practitioner_is_told_where_the_report_goes() -> None:
    user = region.person("desk", "coordinator")
    user.practitioner = ""
    user.save()
    actor = people.actor_for(user)
    request = composer.draft(actor, "ana", "heart-clinic", reason="Chest pain")
    assert [one.code for one in composer.findings(request, actor)] == ["requester-missing"]
    assert composer.submit(request, actor).requester == ""


def test_a_follow_up_opens_the_visit_and_the_contact_in_its_window(here: Region) -> None:
    request = composer.draft_follow_up(
        here.gp, "ana", window_start=date(2026, 3, 10), window_end=date(2026, 3, 12), reason="Wound check"
    )
    validation.check(request)
    loop = composer.submit(request, here.gp)
    assert (loop.kind, loop.performer, open_kinds(loop)) == ("follow-up", PRACTICE, ["contact-patient", "fulfil"])
    assert (loop.window_start_at, loop.needed_by) == (
        datetime(2026, 3, 10, tzinfo=UTC),
        datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC),
    )


def test_a_year_that_was_perhaps_typed_wrong_is_asked_about_and_may_be_meant(here: Region) -> None:
    asked = composer.draft_follow_up(here.gp, "ana", window_start=None, window_end=date(2036, 3, 12), reason="Polyps")
    assert codes(here, asked) == [("warning", "needed-by-far")]
    assert composer.submit(asked, here.gp).needed_by == datetime(2036, 3, 12, 23, 59, 59, tzinfo=UTC)


def test_a_test_order_may_have_a_laboratory_or_none_yet(here: Region) -> None:
    order = composer.draft_test_order(here.gp, "ana", test="CBC panel", loinc="58410-2", laboratory="heart-clinic")
    validation.check(order)
    assert codes(here, order) == [("warning", "reason-missing")]
    loop = composer.submit(order, here.gp)
    assert (loop.kind, loop.title, open_kinds(loop)) == ("test-order", "CBC panel", ["fulfil"])
    unsent = composer.draft_test_order(here.gp, "ana", test="Ferritin", reason="Tired")
    assert open_kinds(composer.submit(unsent, here.gp)) == ["dispatch"]
